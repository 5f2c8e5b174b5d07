package dispatcher

import (
	"fmt"
	"slices"
	"strings"

	"sitrep/renderers"
)

// Refusal is what the leak guard says about an update that must not leave the team
// as it is. Nothing was recorded and nobody was told.
type Refusal struct {
	Findings []renderers.Finding
}

// Error names every finding with the author's own line, and the three ways on.
func (r *Refusal) Error() string {
	var b strings.Builder
	shown := merged(r.Findings)
	noun := "things"
	if len(shown) == 1 {
		noun = "thing"
	}
	fmt.Fprintf(&b, "Nothing was sent: the text holds %d %s that readers outside the team must not see.\n", len(shown), noun)
	for _, f := range shown {
		b.WriteString("  " + f + "\n")
	}
	b.WriteString("Three ways on: mend the text; send it to your own people only (--only internal);\n" +
		"or say why it is right all the same, which is put on record (--override \"reason\").")
	return b.String()
}

// merged is one line for each finding, whoever of the audiences it concerns.
func merged(all []renderers.Finding) []string {
	type what struct {
		text, section, why, remedy string
		line                       int
	}
	var order []what
	who := map[what][]string{}
	for _, f := range all {
		w := what{f.Text, f.Section, f.Why, f.Remedy, f.Line}
		if _, ok := who[w]; !ok {
			order = append(order, w)
		}
		if a := string(f.Audience); !slices.Contains(who[w], a) {
			who[w] = append(who[w], a)
		}
	}
	lines := make([]string, len(order))
	for i, w := range order {
		lines[i] = strings.TrimSpace(fmt.Sprintf("%s“%s” (seen by: %s): %s %s",
			position(w.line, w.section), w.text, strings.Join(who[w], ", "), w.why, w.remedy))
	}
	return lines
}

func position(line int, section string) string {
	switch {
	case line > 0 && section != "":
		return fmt.Sprintf("line %d, %s: ", line, section)
	case line > 0:
		return fmt.Sprintf("line %d: ", line)
	case section != "":
		return section + ": "
	default:
		return ""
	}
}
