package metrics_test

import (
	"strings"
	"testing"

	"sitrep/internal/metrics"
)

func returning() metrics.Options {
	o := options()
	o.Outcomes = append(o.Outcomes, "bounced")
	o.Returns, o.ReturnKinds = []string{"mail"}, []string{"failure", "forged", "other"}
	return o
}

// has fails for each line that the exposition lacks.
func has(t *testing.T, m *metrics.Metrics, lines ...string) {
	t.Helper()
	text := exposition(t, m)
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
}

// The series are there from the start, and only of channels whose mail comes back.
func TestReturnsAtZero(t *testing.T) {
	m := metrics.New(returning())
	has(t, m, `sitrep_bounces_total{channel="mail",kind="failure"} 0`, `sitrep_bounces_total{channel="mail",kind="forged"} 0`,
		`sitrep_required_bounces_total{channel="mail",customer="abc"} 0`, `sitrep_required_bounces_total{channel="mail",customer="xyz"} 0`)
	if text := exposition(t, m); strings.Contains(text, `sitrep_bounces_total{channel="chat"`) {
		t.Errorf("nothing comes back on chat:\n%s", text)
	}
}

func TestReturns(t *testing.T) {
	m := metrics.New(returning())
	m.Settled("abc", "mail", "", "delivered", "dlv1", 0)
	m.Settled("abc", "mail", "", "unknown", "dlv2", 0)
	m.CameBack("mail", "failure")
	m.CameBack("fax", "no such kind")
	m.Bounced("abc", "mail", true, false)
	m.Bounced("abc", "mail", false, true)
	m.Bounced("nobody", "fax", true, true)
	m.Untold("xyz", "chat")
	has(t, m, `sitrep_bounces_total{channel="mail",kind="failure"} 1`, `sitrep_bounces_total{channel="other",kind="other"} 1`,
		`sitrep_deliveries_total{channel="mail",customer="abc",outcome="bounced"} 1`,
		`sitrep_deliveries_total{channel="mail",customer="abc",outcome="delivered"} 1`,
		`sitrep_deliveries_total{channel="other",customer="other",outcome="bounced"} 1`,
		`sitrep_required_bounces_total{channel="chat",customer="xyz"} 1`, `sitrep_required_bounces_total{channel="chat",customer="abc"} 0`,
		`sitrep_required_bounces_total{channel="mail",customer="abc"} 1`, `sitrep_required_bounces_total{channel="other",customer="other"} 1`)
}

// A customer or channel that is gone takes its series along.
func TestReturnsForgotten(t *testing.T) {
	m := metrics.New(returning())
	m.Bounced("abc", "mail", true, true)
	o := returning()
	o.Customers = []string{"xyz"}
	m.Reload(o)
	if text := exposition(t, m); strings.Contains(text, `customer="abc"`) {
		t.Errorf("abc is still there:\n%s", text)
	}
	o.Channels, o.Returns = []string{"chat"}, nil
	m.Reload(o)
	if text := exposition(t, m); strings.Contains(text, `channel="mail"`) {
		t.Errorf("mail is still there:\n%s", text)
	}
}
