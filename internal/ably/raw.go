package ably

// Raw is JSON, as a value of the wire: what this package has no words for.
type Raw string

func (r *Raw) decode(d *decoder) { *r = Raw(d.raw()) }

func (r *Raw) encode(e *encoder) { e.writeRaw(string(*r)) }
