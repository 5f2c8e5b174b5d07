package maildns

// The parsers, for fuzzing.
var (
	ParseSPF   = parseSPF
	ParseDKIM  = parseDKIM
	ParseDMARC = parseDMARC
	ZoneLine   = zoneLine
	Merged     = merged
)
