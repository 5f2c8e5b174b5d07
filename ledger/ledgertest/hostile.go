package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

func hostileTests() []test {
	return []test{
		{"Text", hostileText},
		{"AddressesDifferByOneByte", addressesDiffer},
		{"NotThere", notThere},
		{"BigUpdate", bigUpdate},
		{"ContextIsDone", contextIsDone},
		{"Closed", closed},
	}
}

// nasty is text that must come back as it went in.
var nasty = []string{
	"'; DROP TABLE deliveries; --", `"quoted" \ backslash \n`, "line\r\nbreak\ttab\x01\x7f", "ünï 日本 😀 👩‍👩‍👧", "\u202eright to left",
	"\ufeffBOM\uFFFD", "?1 $1 :a @a %s {{.}}", strings.Repeat("long ", 2000), " spaces ", "NULL",
}

func hostileText(t *testing.T, r *rig) {
	for i, s := range nasty {
		id := fmt.Sprintf("%s %d", s, i)
		a := update(id, 1, "mail/"+s)
		a.Update.Title, a.Update.Source, a.Update.Override, a.Update.Customer, a.Incident.Customer = s, s, s, s, s
		a.Renderings[0] = channels.Message{Format: channels.FormatEmail, Subject: s, Text: s, HTML: s, Payload: []byte(s + "\x00\xff")}
		a.Deliveries[0].To.Name, a.Deliveries[0].List = s, s
		got := r.accept(a)
		same(t, "update", got.Update, a.Update)
		c := r.ask(ledger.ClaimRequest{Owner: s, Now: t0, Incident: id}).Claims[0]
		same(t, "recipient", c.To, a.Deliveries[0].To)
		m, err := r.Rendering(context.Background(), c.Rendering)
		r.check(err)
		same(t, "rendering", m, a.Renderings[0])
		read, err := r.Updates(context.Background(), ledger.UpdateQuery{Incident: id})
		r.check(err)
		same(t, "update as read", read, []ledger.Update{a.Update})
		same(t, "of this customer", len(r.deliveries(ledger.DeliveryQuery{Customer: s})), 1)
		r.applied(ends(c, ledger.Delivered, t0))
	}
}

func addressesDiffer(t *testing.T, r *rig) {
	to := []string{"mail/a", "mail/A", "mail/a ", "mail/ä", "mail/a\u0308", "mail/"}
	same(t, "added", r.accept(update("INC-1", 1, to...)).Added, len(to))
	same(t, "claimed", len(r.claim("me", t0)), len(to))
}

// notThere looks for names that nothing can have.
func notThere(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	ctx := context.Background()
	for _, s := range []string{"a\x00b", "\xff\xfe\xfd\xfc\xfb\xfa", "nothing", strings.Repeat("x", 1<<16)} {
		if _, err := r.PageByToken(ctx, s); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("page %.9q: %v", s, err)
		}
		if _, err := r.Entry(ctx, s); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("entry %.9q: %v", s, err)
		}
		if _, err := r.Reopen(ctx, s, t0, t0); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("update %.9q: %v", s, err)
		}
		if lifted, err := r.Lift(ctx, "mail", s); lifted || err != nil {
			t.Errorf("suppression %.9q: %v", s, err)
		}
		same(t, "updates", len(keys(r, ledger.UpdateQuery{Key: s})), 0)
		same(t, "updates", len(keys(r, ledger.UpdateQuery{Incident: s})), 0)
		same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{Channel: s})), 0)
		same(t, "attempts", len(r.attempts(s)), 0)
	}
}

func bigUpdate(t *testing.T, r *rig) {
	const n = 3000
	a := update("INC-1", 1, many("mail", n)...)
	a.Update.Source = strings.Repeat("ü", 2<<20)
	a.Renderings[0].HTML = strings.Repeat("<p>", 2<<20)
	same(t, "added", r.accept(a).Added, n)
	seen := map[string]bool{}
	for len(seen) < n {
		claims := r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Limit: 1000}).Claims
		if len(claims) == 0 {
			t.Fatalf("claimed %d of %d", len(seen), n)
		}
		all := make([]ledger.Settlement, len(claims))
		for i, c := range claims {
			seen[c.Key] = true
			all[i] = ends(c, ledger.Delivered, t0)
		}
		r.settle(all...)
	}
	m, err := r.Rendering(context.Background(), r.deliveries(ledger.DeliveryQuery{})[0].Rendering)
	r.check(err)
	same(t, "size of the rendering", len(m.HTML), len(a.Renderings[0].HTML))
}

// calls is every method that takes a context.
func calls(l ledger.Ledger) map[string]func(context.Context) error {
	only := func(_ any, err error) error { return err }
	return map[string]func(context.Context) error{
		"Accept": func(ctx context.Context) error { return only(l.Accept(ctx, update("INC-2", 1, "mail/b"))) },
		"Reopen": func(ctx context.Context) error { return only(l.Reopen(ctx, "INC-1-key-1", t0, t0)) },
		"Claim": func(ctx context.Context) error {
			return only(l.Claim(ctx, ledger.ClaimRequest{Channel: "mail", Owner: "me", Now: t0, Until: after(1), Limit: 1}))
		},
		"Settle":    func(ctx context.Context) error { return only(l.Settle(ctx, []ledger.Settlement{{ID: 1}})) },
		"Renew":     func(ctx context.Context) error { return l.Renew(ctx, "me", after(9)) },
		"Rendering": func(ctx context.Context) error { return only(l.Rendering(ctx, 1)) },
		"Pause":     func(ctx context.Context) error { return l.Pause(ctx, ledger.Pause{Channel: "mail", Until: after(9)}) },
		"Incidents": func(ctx context.Context) error { return only(l.Incidents(ctx, ledger.IncidentQuery{})) },
		"Updates":   func(ctx context.Context) error { return only(l.Updates(ctx, ledger.UpdateQuery{})) },
		"Deliveries": func(ctx context.Context) error {
			for _, err := range l.Deliveries(ctx, ledger.DeliveryQuery{}) {
				return err
			}
			return nil
		},
		"Attempts":     func(ctx context.Context) error { return only(l.Attempts(ctx, "INC-1-1-mail/a")) },
		"Tally":        func(ctx context.Context) error { return only(l.Tally(ctx, ledger.DeliveryQuery{})) },
		"Suppressions": func(ctx context.Context) error { return only(l.Suppressions(ctx, "")) },
		"Suppress": func(ctx context.Context) error {
			return l.Suppress(ctx, ledger.Suppression{Channel: "mail", Address: "z"})
		},
		"Lift":        func(ctx context.Context) error { return only(l.Lift(ctx, "mail", "z")) },
		"Publish":     func(ctx context.Context) error { return l.Publish(ctx, entry("k", "p", 1)) },
		"Entry":       func(ctx context.Context) error { return only(l.Entry(ctx, "k")) },
		"Entries":     func(ctx context.Context) error { return only(l.Entries(ctx, "p", t0)) },
		"Page":        func(ctx context.Context) error { return only(l.Page(ctx, "p")) },
		"PageByToken": func(ctx context.Context) error { return only(l.PageByToken(ctx, "t")) },
	}
}

func contextIsDone(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, call := range calls(r.Ledger) {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", name, err)
		}
	}
	same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{})), 1)
	if c := r.only("me", t0); c.Attempt != 1 {
		t.Errorf("a cancelled call had an effect: %+v", c)
	}
}

func closed(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.check(r.Ledger.Close())
	for name, call := range calls(r.Ledger) {
		if err := call(context.Background()); err == nil {
			t.Errorf("%s works on a closed ledger", name)
		}
	}
	r.check(r.Ledger.Close())
}
