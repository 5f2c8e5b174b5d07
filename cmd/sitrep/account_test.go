package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// Many who miss an update for the same reason are one thing to read, not forty-two.
func TestAccountGroups(t *testing.T) {
	acc := account{Update: "mfrggzdfmztwq2lk"}
	add := func(n int, r recipient) {
		for i := range n {
			r.Address = fmt.Sprintf("r%d@%s.example", i, r.List)
			r.Reason = strings.ReplaceAll(r.Reason, "WHO", r.Address)
			acc.Recipients = append(acc.Recipients, r)
			r.Reason = strings.ReplaceAll(r.Reason, r.Address, "WHO")
		}
	}
	add(42, recipient{Channel: "mail", List: "many", Outcome: "failed", Attempts: 1, Reason: "refused for good (550 WHO is over quota)"})
	add(4, recipient{Channel: "mail", List: "four", Outcome: "failed", Attempts: 1, Reason: "no such recipient"})
	add(6, recipient{Channel: "mail", List: "law", Outcome: "failed", Attempts: 1, Reason: "no such recipient", Required: true})
	add(5, recipient{Channel: "chat", List: "many", Outcome: "expired", Attempts: 9, Reason: "its time was over before it got through"})
	add(5, recipient{Channel: "mail", List: "slow", Outcome: "delivered", Delayed: true, Reason: "not delivered yet: mx.example: 451 WHO is busy"})
	lines := func() (string, int) {
		var b bytes.Buffer
		acc.print(&b, style{}, november())
		return b.String(), strings.Count(b.String(), "\n")
	}
	got, n := lines()
	for _, want := range []string{
		"\nDid not get it:\n  mail         r0@many.example (many): failed after 1 attempt: refused for good (550 r0@many.example is over quota)\n",
		"… and 39 others for the same reason; 'sitrep report mfrggzdfmz --all' lists them\n  mail         r0@four.example",
		"r3@four.example", "r5@law.example (law, required by contract)",
		"  chat         … and 2 others for the same reason",
		"\nSent, and not there yet; if it comes back it is reported as bounced:\n  mail         r0@slow.example (slow): sent at 00:00:00 UTC, not delivered yet: mx.example: 451 r0@slow.example is busy\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if want := 2 + 4 + 4 + 6 + 4 + 2 + 4; n != want {
		t.Errorf("%d lines, want %d:\n%s", n, want, got)
	}
	acc.all = true
	if got, n := lines(); n != 4+62 || strings.Contains(got, "others") {
		t.Errorf("with all of them it is %d lines:\n%s", n, got)
	}
	if js, err := json.Marshal(acc); err != nil || strings.Count(string(js), `"address"`) != 62 {
		t.Errorf("the JSON is not whole: %s (%v)", js, err)
	}
}

// What a mail server says after it has taken a message over shows in the report.
func TestReportShowsDelays(t *testing.T) {
	dir, env := readingHome(t)
	if code, out, errOut := cli(t, env, "send", "--yes", filepath.Join(dir, "update.md")); code != exitOK {
		t.Fatalf("%d %s%s", code, out, errOut)
	}
	l, err := sqlite.Open(t.Context(), filepath.Join(dir, "state", "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	incident := ""
	for d, err := range l.Deliveries(t.Context(), ledger.DeliveryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		incident = d.Incident
		if _, changed, err := l.Bounce(t.Context(), ledger.Bounce{
			Key: d.Key, At: november(), Delayed: true, Detail: "not delivered yet, tried until Tuesday: mx.abc.example: 451 busy",
		}); err != nil || !changed {
			t.Fatal(changed, err)
		}
	}
	code, out, _ := cli(t, env, "report", incident)
	if code != exitOK || !strings.Contains(out, "abc (contacts): sent at ") || !strings.Contains(out, "UTC, not delivered yet, tried until Tuesday: mx.abc.example: 451 busy") {
		t.Errorf("%d\n%s", code, out)
	}
	_, out, _ = cli(t, env, "report", incident, "--json")
	var answer struct {
		Updates []account `json:"updates"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Updates) != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	acc := answer.Updates[0]
	if acc.Delayed != 1 || acc.Delivered != 1 || len(acc.Recipients) != 1 || !acc.Recipients[0].Delayed || acc.Recipients[0].Outcome != "delivered" {
		t.Errorf("%s", out)
	}
}
