package engine

// SetMaxBytes bounds each bucket, so that a test can fill one.
func (o *Options) SetMaxBytes(n int64) { o.maxBytes = n }

// BatchFor is how much is asked for at once.
var BatchFor = batchFor
