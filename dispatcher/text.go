package dispatcher

import (
	"strings"
	"unicode"

	"sitrep/ledger"
)

// fit makes everything a channel said fit to be kept and shown: remote sides send
// us anything.
func fit(s ledger.Settlement) ledger.Settlement {
	s.Detail = oneLine(s.Detail)
	return s.Clean()
}

// oneLine is text as one line that a terminal or a log can show: no control
// characters, and no more than the ledger keeps.
func oneLine(text string) string {
	return ledger.CleanText(strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)))
}
