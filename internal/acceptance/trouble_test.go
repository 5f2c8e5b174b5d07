package acceptance_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// plainHome is the folder of somebody who sends without TLS to one address of
// 127.0.0.1, with further lines for the channel.
func plainHome(t *testing.T, port, channel string, addresses ...string) home {
	t.Helper()
	h := newHome(t, `
ledger: sqlite://ledger.db
channels:
  - id: mail
    kind: email
    host: 127.0.0.1:`+port+`
    tls: none
    from: Status <status@status.example>
`+channel+`
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    lists:
      - {id: contacts, audience: customer, to: [{mail: [`+strings.Join(addresses, ", ")+`]}]}
`)
	h.write(t, "identified.md", identified)
	return h
}

// manyAddresses are those of n mailboxes.
func manyAddresses(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = manyBox(i) + "@abc.example"
	}
	return all
}

// timed is what send --json says of times.
type timed struct {
	Update struct{ Accepted time.Time }
}

// One update to somebody who does not exist, somebody whose server puts us off, and
// somebody who just gets it: each ends by itself, and nobody waits for another.
func TestPostfixEachByItself(t *testing.T) {
	t.Parallel()
	p := startPostfix(t)
	h := plainHome(t, p.plain, "", "nobody@abc.example", "slow@abc.example", "alice@abc.example")
	r := h.sitrep(t, "send", "--json", "identified.md")
	var said struct{ Update account }
	var at timed
	if err := json.Unmarshal([]byte(r.out), &said); err != nil || r.code != 5 {
		t.Fatalf("%v: want exit code 5, got %v", err, r)
	}
	if err := json.Unmarshal([]byte(r.out), &at); err != nil {
		t.Fatal(err)
	}
	settled := h.settled(t, said.Update.Update)
	for _, want := range []struct {
		address, outcome string
		attempts         int
		least, most      time.Duration
	}{
		{"alice@abc.example", "delivered", 1, 0, 2 * time.Second},
		{"nobody@abc.example", "failed", 1, 0, 2 * time.Second},
		{"slow@abc.example", "delivered", 2, 2 * time.Second, 20 * time.Second},
	} {
		got := settled[want.address]
		took := got.Settled.Sub(at.Update.Accepted)
		if got.Outcome != want.outcome || got.Attempts != want.attempts || took < want.least || took > want.most {
			t.Errorf("%s: %s after %d attempts and %v, want %s after %d and between %v and %v",
				want.address, got.Outcome, got.Attempts, took, want.outcome, want.attempts, want.least, want.most)
		}
	}
	p.mail(t, "alice", 1)
	p.mail(t, "slow", 1)
}

// ending is how and when a delivery ended.
type ending struct {
	Address, Outcome, Reason string
	Attempts                 int
	Settled                  time.Time
}

// settled returns how the deliveries of an update ended, by address.
func (h home) settled(t *testing.T, update string) map[string]ending {
	t.Helper()
	r := h.sitrep(t, "report", "--json", "--all", update)
	var said struct {
		Updates []struct{ Recipients []ending }
	}
	if err := json.Unmarshal([]byte(r.out), &said); err != nil || len(said.Updates) != 1 {
		t.Fatalf("sitrep report --json %s: %v in %v", update, err, r)
	}
	all := map[string]ending{}
	for _, e := range said.Updates[0].Recipients {
		all[e.Address] = e
	}
	return all
}

// A relay that says 421 in the middle of a session: what it was told after that was not
// looked at, and goes out by another. Answers that are under way when the relay hangs up
// can be lost, where messages are sent without waiting for them; then, and only then,
// somebody has a second copy.
func TestPostfixSessionEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, channel string
		extra         int // copies that there may be, for each attempt more
	}{
		{"by chunks", "", 1},
		{"one by one", "    window: 1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := startPostfix(t)
			to := manyAddresses(many)
			to[many/2] = "busy@abc.example"
			h := plainHome(t, p.plain, "    max_sessions: 1\n"+c.channel, to...)
			acc := h.send(t, 0, "identified.md")
			if acc.Delivered != many {
				t.Errorf("the account: %+v, want all %d delivered", acc, many)
			}
			report := h.report(t, acc.Update)
			for _, address := range to {
				r := report["mail "+address]
				if n := p.arrived(t, strings.TrimSuffix(address, "@abc.example")); n < 1 || n > 1+c.extra*(r.Attempts-1) {
					t.Errorf("%s has %d copies after %d attempts", address, n, r.Attempts)
				}
			}
			if r := report["mail busy@abc.example"]; r.Attempts < 2 || p.arrived(t, "busy") != 1 {
				t.Errorf("the recipient at whom the session ended: %+v, want at least 2 attempts and one copy", r)
			}
			if !strings.Contains(p.log(t), "421 4.3.2") {
				t.Error("Postfix did not end a session")
			}
		})
	}
}

// The connection is cut after Postfix took a message and before it could say so: nobody
// knows, and the channel's policy decides.
func TestPostfixCutAfterTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, channel, policy string
		code, copies          int
		outcome               string
	}{
		{"sent again, by chunks", "", "resend", 0, 2, "delivered"},
		{"sent again, one by one", "    window: 1\n", "resend", 0, 2, "delivered"},
		{"left to a person", "    window: 1\n", "unknown", 5, 1, "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := startPostfix(t)
			through := startCutter(t, p.plain)
			h := plainHome(t, through.port, c.channel+"    on_ambiguous: "+c.policy, "alice@abc.example")
			acc := h.send(t, c.code, "identified.md")
			if n := through.count(); n != 1 {
				t.Fatalf("%d connections were cut, want one", n)
			}
			r := h.report(t, acc.Update)["mail alice@abc.example"]
			if r.Outcome != c.outcome || r.Attempts != c.copies {
				t.Errorf("alice: %+v, want %s after %d attempts", r, c.outcome, c.copies)
			}
			mails := p.mail(t, "alice", c.copies)
			for _, m := range mails[1:] {
				if one, two := open(t, mails[0]).id(t, "Message-Id"), open(t, m).id(t, "Message-Id"); one != two {
					t.Errorf("the copies are %s and %s: nobody can tell that they are the same", one, two)
				}
			}
		})
	}
}

// One of many in the same session is cut off: nobody is lost, and only who was not
// answered may have a second copy.
func TestPostfixCutAmongMany(t *testing.T) {
	t.Parallel()
	p := startPostfix(t)
	through := startCutter(t, p.plain)
	h := plainHome(t, through.port, "    max_sessions: 2", manyAddresses(many)...)
	acc := h.send(t, 0, "identified.md")
	if acc.Delivered != many || through.count() != 1 {
		t.Errorf("the account: %+v, want all %d delivered (%d connections were cut)", acc, many, through.count())
	}
	report := h.report(t, acc.Update)
	twice := 0
	for i := range many {
		r := report[fmt.Sprintf("mail %s@abc.example", manyBox(i))]
		n := p.arrived(t, manyBox(i))
		if n < 1 || n > r.Attempts {
			t.Errorf("%s has %d copies after %d attempts", manyBox(i), n, r.Attempts)
		}
		if n > 1 {
			twice++
		}
	}
	if twice == 0 {
		t.Error("nobody has two copies, though Postfix took a message and could not say so")
	}
}
