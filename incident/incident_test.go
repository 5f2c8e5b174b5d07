package incident_test

import (
	"errors"
	"testing"
	"time"

	"sitrep/incident"
)

func TestHours(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 minutes", 0: "0 minutes", time.Minute: "1 minute", 9*time.Minute + 20*time.Second: "9 minutes",
		43 * time.Minute: "45 minutes", 58 * time.Minute: "1 hour", time.Hour: "1 hour", 75 * time.Minute: "1 hour 15 minutes",
		90 * time.Minute: "1.5 hours", 118 * time.Minute: "2 hours", 9 * time.Hour: "9 hours", 9*time.Hour + 20*time.Minute: "9.5 hours", 50 * time.Hour: "50 hours",
	} {
		if got := incident.Hours(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestJoins(t *testing.T) {
	l := incident.List{Severities: []incident.Severity{1, 2}, Statuses: []incident.Status{incident.Identified, incident.Resolved}, After: time.Hour}
	at := utc("2026-11-22 10:00")
	for name, c := range map[string]struct {
		u   incident.Update
		why string
	}{
		"all":      {incident.Update{Severity: 1, Status: incident.Identified, At: at, Started: at.Add(-time.Hour)}, ""},
		"severity": {incident.Update{Severity: 3, Status: incident.Identified, At: at, Started: at.Add(-time.Hour)}, "only for SEV1, SEV2"},
		"status":   {incident.Update{Severity: 1, Status: incident.Monitoring, At: at, Started: at.Add(-time.Hour)}, "only when identified, resolved"},
		"age":      {incident.Update{Severity: 1, Status: incident.Identified, At: at, Started: at.Add(-59 * time.Minute)}, "only once the incident is older than 1 hour"},
	} {
		if ok, why := l.Joins(c.u); ok != (c.why == "") || why != c.why {
			t.Errorf("%s: %v, %q; want %q", name, ok, why, c.why)
		}
	}
	if ok, _ := (incident.List{}).Joins(incident.Update{}); !ok {
		t.Error("a list without conditions did not join")
	}
}

func TestLeast(t *testing.T) {
	rank := map[incident.Audience]int{incident.Internal: 0, incident.Customer: 1, incident.Public: 2}
	for _, a := range incident.Audiences() {
		for _, b := range incident.Audiences() {
			if got := a.Least(b); rank[got] != max(rank[a], rank[b]) {
				t.Errorf("%s with %s: %s", a, b, got)
			}
		}
	}
	if incident.Audience("").Valid() || incident.Audience("Public").Valid() {
		t.Error("an audience outside the three is valid")
	}
}

func TestAnswers(t *testing.T) {
	p := incident.Party{ID: "enterprise-abc", Name: "Enterprise ABC", Aliases: []string{"ABC"}}
	for name, want := range map[string]bool{"enterprise-abc": true, " ENTERPRISE abc ": true, "abc": true, "AB": false, "": false, "Enterprise": false} {
		if p.Answers(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestParseSeverity(t *testing.T) {
	for text, want := range map[string]incident.Severity{"SEV1": 1, "sev 2": 2, "Sev-3": 3, "4": 4, " sev5 ": 5, "SEVERITY 1": 1} {
		if got, err := incident.ParseSeverity(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "SEV", "SEV0", "SEV6", "P1", "1.5"} {
		if got, err := incident.ParseSeverity(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestStatusAndElapsed(t *testing.T) {
	if incident.Resolved.Title() != "Resolved" || incident.Status("").Title() != "" || incident.Severity(0).String() != "" {
		t.Error("a title or a zero value is spelt wrongly")
	}
	u := incident.Update{At: utc("2026-11-22 10:00"), Started: utc("2026-11-22 11:00")}
	if u.Elapsed() != 0 {
		t.Error("elapsed time is negative")
	}
	if (incident.Incident{Status: incident.Resolved}).Open() || !(incident.Incident{Status: incident.Monitoring}).Open() {
		t.Error("open is not: not resolved")
	}
}

func TestProblems(t *testing.T) {
	p := incident.Problems{{3, "It is wrong.", "Mend it."}, {0, "It is missing.", ""}}
	if got, want := p.Error(), "line 3: It is wrong. Mend it.\nIt is missing."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var none incident.Problems
	if none.Err() != nil {
		t.Error("no problem is an error")
	}
	if as, ok := errors.AsType[incident.Problems](p.Err()); !ok || len(as) != 2 {
		t.Error("problems are lost as an error")
	}
}
