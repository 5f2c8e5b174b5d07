package renderers

// What tests outside the package compare with.
var (
	NewParser = newParser
	Clean     = clean
	Unescape  = unescape
)
