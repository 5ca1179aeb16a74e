package apps

// SetAsked bounds the token requests of one app, and of all, that a test can do.
func (a *Authority) SetAsked(each, total int) { a.asked.each, a.asked.total = each, total }

// AllAsked is how many token requests are remembered at most.
const AllAsked = maxAllAsked
