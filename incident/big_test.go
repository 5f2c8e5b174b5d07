package incident_test

import (
	"strings"
	"testing"
	"time"

	"sitrep/incident"
)

// TestBigInputIsQuick: the largest update of the most awkward text is read in a
// time that nobody notices much.
func TestBigInputIsQuick(t *testing.T) {
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
		t.Run(name, func(t *testing.T) {
			head := write("19:20 ET", "Identified", "")
			src := head + strings.Repeat(unit, (incident.MaxSource-len(head))/len(unit))
			begin := time.Now()
			resolve(src, known())
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("took %v", took)
			} else {
				t.Log(took)
			}
		})
	}
}
