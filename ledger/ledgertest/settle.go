package ledgertest

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"sitrep/channels"
	"sitrep/ledger"
)

func settleTests() []test {
	return []test{
		{"EveryOutcome", everyOutcome},
		{"Receipt", receiptIsKept},
		{"WhyItFailed", whyItFailed},
		{"Attempts", attemptsAreKept},
		{"Suppress", settleSuppresses},
		{"NoneFailsAnother", noneFailsAnother},
		{"NotAnOutcome", notAnOutcome},
		{"DetailIsBounded", detailIsBounded},
		{"RemoteSideIsHostile", remoteSideIsHostile},
	}
}

func everyOutcome(t *testing.T, r *rig) {
	var to []string
	for _, o := range ledger.Outcomes() {
		to = append(to, "mail/"+string(o))
	}
	r.accept(update("INC-1", 1, to...))
	for _, c := range r.claim("me", t0) {
		o := ledger.Outcome(c.To.Address)
		same(t, "verdict", r.applied(ends(c, o, t0)), o)
		d := r.delivery(c.Key)
		if d.Outcome != o || d.Leased || d.Attempts != 1 || !d.Settled.Equal(after(1)) {
			t.Errorf("%s: %+v", o, d)
		}
	}
	same(t, "claimable", len(r.claim("me", after(99))), 0)
}

func receiptIsKept(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	s := ends(r.only("me", t0), ledger.Delivered, t0)
	s.Receipt = channels.Receipt{RemoteID: "id", Permalink: "https://chat.example/1", Thread: `{"root":"x"}`}
	r.applied(s)
	same(t, "receipt", r.delivery("INC-1-1-mail/a").Receipt, s.Receipt)
}

func whyItFailed(t *testing.T, r *rig) {
	failing(r)
	d := r.delivery("INC-1-1-mail/a")
	if d.Fault != channels.Unavailable || d.Detail != "connection refused" || d.Attempts != 1 || !d.Due.Equal(after(5)) {
		t.Errorf("while it waits: %+v", d)
	}
	s := ends(r.only("me", after(5)), ledger.Expired, after(5))
	s.Fault, s.Detail = "", ""
	r.applied(s)
	if d = r.delivery("INC-1-1-mail/a"); d.Fault != channels.Unavailable || d.Detail != "connection refused" || d.Attempts != 2 {
		t.Errorf("once it expired: %+v", d)
	}
}

func attemptsAreKept(t *testing.T, r *rig) {
	failing(r)
	s := again(r.only("me", after(5)), after(5), after(7))
	s.Fault, s.Detail = channels.RateLimited, "slow down"
	r.applied(s)
	r.applied(ends(r.only("me", after(7)), ledger.Delivered, after(7)))
	same(t, "attempts", r.attempts("INC-1-1-mail/a"), []ledger.Attempt{
		{Number: 1, Fault: channels.Unavailable, Detail: "connection refused", Started: t0, Ended: after(1)},
		{Number: 2, Fault: channels.RateLimited, Detail: "slow down", Started: after(5), Ended: after(6)},
	})
	same(t, "attempts of nothing", len(r.attempts("no such delivery")), 0)
}

func settleSuppresses(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	claims := r.claim("me", t0)
	s := ends(claims[0], ledger.Failed, t0)
	s.Suppress, s.Detail, s.Fault = true, "550 no such user", channels.NoRecipient
	r.settle(s, ends(claims[1], ledger.Failed, t0))
	got, err := r.Suppressions(context.Background(), "mail")
	r.check(err)
	same(t, "suppressions", got, []ledger.Suppression{{Channel: "mail", Address: "a", Reason: "550 no such user", At: after(1)}})
}

func noneFailsAnother(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b", "mail/c"))
	c := r.claim("me", t0)
	stale := ends(c[0], ledger.Failed, t0)
	stale.Attempt = 7
	unknown := ends(c[0], ledger.Failed, t0)
	unknown.ID = 1 << 40
	got := r.settle(ends(c[2], ledger.Delivered, t0), stale, unknown, ends(c[0], ledger.Delivered, t0), again(c[1], t0, after(5)),
		ends(c[0], ledger.Failed, t0))
	same(t, "verdicts, in order", got, []ledger.Verdict{
		{Applied: true, Outcome: ledger.Delivered}, {}, {}, {Applied: true, Outcome: ledger.Delivered}, {Applied: true}, {},
	})
	r.outcome("INC-1-1-mail/a", ledger.Delivered)
	r.outcome("INC-1-1-mail/b", ledger.Pending)
	same(t, "no settlements", len(r.settle()), 0)
}

func notAnOutcome(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	c := r.only("me", t0)
	s := ends(c, "gone", t0)
	if _, err := r.Settle(context.Background(), []ledger.Settlement{s}); err == nil {
		t.Error("an outcome outside the closed set was recorded")
	}
	s = again(c, t0, after(1))
	s.Fault = "sick"
	if _, err := r.Settle(context.Background(), []ledger.Settlement{s}); err == nil {
		t.Error("a fault outside the closed set was recorded")
	}
	r.applied(ends(c, ledger.Delivered, t0))
}

func detailIsBounded(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	s := again(r.only("me", t0), t0, after(5))
	s.Detail = "x" + strings.Repeat("ü", 1<<20)
	r.applied(s)
	for _, got := range []string{r.delivery("INC-1-1-mail/a").Detail, r.attempts("INC-1-1-mail/a")[0].Detail} {
		if len(got) > ledger.MaxDetail || len(got) < ledger.MaxDetail-8 || !utf8.ValidString(got) || !strings.HasSuffix(got, "ü…") {
			t.Errorf("%d bytes, valid %v, ending in %q", len(got), utf8.ValidString(got), got[len(got)-8:])
		}
	}
}

func remoteSideIsHostile(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	c := r.claim("me", t0)
	s := ends(c[0], ledger.Delivered, t0)
	s.Detail = "bad \xff\x00 bytes'); DROP TABLE deliveries; --"
	s.Receipt = channels.Receipt{
		RemoteID: "\xff", Permalink: strings.Repeat("p", ledger.MaxReceipt+1), Thread: channels.Thread(strings.Repeat("t", ledger.MaxThread+1)),
	}
	b := ends(c[1], ledger.Delivered, t0)
	b.Receipt.Thread = channels.Thread(strings.Repeat("t", ledger.MaxThread))
	r.settle(s, b)
	d := r.delivery("INC-1-1-mail/a")
	same(t, "detail", d.Detail, "bad \uFFFD\uFFFD bytes'); DROP TABLE deliveries; --")
	same(t, "receipt", d.Receipt, channels.Receipt{})
	same(t, "a thread as long as allowed", r.delivery("INC-1-1-mail/b").Receipt, b.Receipt)
}
