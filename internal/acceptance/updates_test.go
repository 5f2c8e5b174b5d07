package acceptance_test

import "strings"

// The words by which a section is recognised wherever it comes out. None of them is
// anywhere else.
const (
	summaryMark = "Quittenbaum"
	impactMark  = "Zwetschgenmus"
	notesMark   = "Kumquatschale"
)

// Lines of the summary that transports like to damage: dots and From at the
// beginning of a line, letters beyond ASCII, an equals sign, a long word.
var awkward = []string{
	".htaccess rules were lost on two balancers.",
	"From here on sign-in works again at the first try.",
	"Grüße aus Zürich – “naïve” 日本語 ✓ 40 % = 2/5.",
	strings.Repeat("longword", 16) + ".",
}

// The updates of one incident, in order.
var (
	identified = compose("Identified", "The cause of the "+summaryMark+" outage is known.")
	monitoring = compose("Monitoring", "The previous "+summaryMark+" version is back everywhere.")
)

func compose(status, summary string) string {
	return `### Enterprise ABC SEV1 outage

#### Status: ` + status + `

#### Incident Time: 9 hours

` + summary + `

` + strings.Join(awkward, "\n\n") + `

Next update will be shared at 8:30pm ET.

#### Customer Impact

- Four sign-ins in ten fail with ` + impactMark + `.
- No data has been lost.

| Site | Working |
|------|---------|
| East | yes     |
| West | half    |

#### Technical Notes

The ` + notesMark + ` balancer image drops keep-alive on long polls.

    sum(rate(http_requests_total{instance=~"$server",method="GET"}[5m]))
`
}
