package incident_test

import (
	"strings"
	"testing"

	"sitrep/incident"
)

// BenchmarkAwkward reads updates of the most awkward text at a tenth of the limit
// and at the limit: what is read in a second must not fall with the size, or an
// author could stop everybody with one update.
func BenchmarkAwkward(b *testing.B) {
	for name, unit := range map[string]string{
		"sentence":  "next update at 8 ",
		"words":     "we will update at noonish by 8 in 3 ",
		"lines":     "Techncal notess\n",
		"headings":  "##### a\n",
		"unknown":   "#### Custmer Impac\n",
		"emphasis":  "**",
		"at":        "at ",
		"fences":    "```\n",
		"underline": "a\n\n---\n\n",
		"status":    "Status: Identified\n",
		"hours":     "1 hour ",
		"angle":     "<a ",
	} {
		for size, n := range map[string]int{"tenth": incident.MaxSource / 10, "whole": incident.MaxSource} {
			b.Run(name+"/"+size, func(b *testing.B) {
				head := write("19:20 ET", "Identified", "")
				src := head + strings.Repeat(unit, (n-len(head))/len(unit))
				b.SetBytes(int64(len(src)))
				for b.Loop() {
					_, _, _ = resolve(src, known())
				}
			})
		}
	}
}
