package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

func changeTests() []test {
	return []test{
		{"WholeLife", changesWholeLife},
		{"EveryMethod", func(_ *testing.T, r *rig) { everyMethod(r) }},
		{"Supersession", changesSupersession},
		{"OtherHandle", changesOtherHandle},
		{"Concurrent", changesConcurrent},
		{"Forget", changesForget},
		{"Cursor", changesCursor},
		{"Listing", listingAfter},
	}
}

func (r *rig) changes(after string, limit int) []ledger.Change {
	r.Helper()
	got, err := addOn[ledger.Changes](r).Changes(context.Background(), after, limit)
	r.check(err)
	return got
}

// await reads n changes after a cursor. An engine may show one a moment after it was
// committed.
func (r *rig) await(after string, n int) []ledger.Change {
	r.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if got := r.changes(after, 1000); len(got) >= n || time.Now().After(end) {
			same(r, "number of changes", len(got), n)
			return got
		}
	}
}

func (r *rig) latest() string {
	r.Helper()
	at, err := addOn[ledger.Changes](r).Latest(context.Background())
	r.check(err)
	return at
}

// feed checks the changes after a cursor, one a line. Those of one delivery are in their
// order; deliveries are told of in any.
func (r *rig) feed(after, want string) {
	r.Helper()
	var b strings.Builder
	for _, c := range r.await(after, strings.Count(want, "\n")) {
		fmt.Fprintf(&b, "%s %s/%s %q %d %s\n", c.Update, c.Channel, c.To.Address, c.Outcome, c.Attempts, c.Fault)
	}
	same(r, "the feed", byDelivery(b.String()), byDelivery(want))
}

// byDelivery puts the lines about one delivery together.
func byDelivery(feed string) string {
	lines := strings.SplitAfter(feed, "\n")
	about := func(line string) string {
		before, _, _ := strings.Cut(line, ` "`)
		return before
	}
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(about(a), about(b)) })
	return strings.Join(lines, "")
}

func changesWholeLife(t *testing.T, r *rig) {
	from := r.latest()
	r.accept(update("INC-1", 1, "mail/a", "mail/b", "mail/c"))
	for _, c := range r.claim("me", t0) {
		switch c.To.Address {
		case "a":
			r.applied(ends(c, ledger.Delivered, t0))
		case "b":
			r.applied(again(c, t0, after(1)))
		case "c":
			r.applied(back(c, after(5))) // nothing has become of it
		}
	}
	r.applied(ends(r.only("me", after(2)), ledger.Failed, after(2)))
	r.accept(update("INC-1", 1, "mail/d"))
	_, err := r.Reopen(context.Background(), "INC-1-key-1", after(3), after(99))
	r.check(err)
	r.cancel("INC-1-key-1", after(4))
	r.feed(from, `INC-1-key-1 / "" 0 
INC-1-key-1 mail/a "delivered" 1 
INC-1-key-1 mail/b "" 1 unavailable
INC-1-key-1 mail/b "failed" 2 rejected
INC-1-key-1 / "" 0 
INC-1-key-1 mail/b "" 2 rejected
INC-1-key-1 mail/b "cancelled" 2 rejected
INC-1-key-1 mail/c "cancelled" 0 
INC-1-key-1 mail/d "cancelled" 0 
`)
	var c ledger.Change
	for _, c = range r.changes(from, 100) {
		if c.To.Address == "a" {
			break
		}
	}
	want := ledger.Change{
		Cursor: c.Cursor, At: after(1), Update: "INC-1-key-1", Incident: "INC-1", Customer: "abc", Seq: 1, Delivery: "INC-1-1-mail/a",
		List: "contacts", Audience: "customer", Channel: "mail", To: channels.Recipient{Address: "a", Name: "N a"},
		Outcome: ledger.Delivered, Attempts: 1,
	}
	same(t, "a change", c, want)
	same(t, "after the last", len(r.changes(r.latest(), 10)), 0)
}

func changesSupersession(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.applied(again(r.only("me", t0), t0, after(9)))
	from := r.latest()
	r.accept(update("INC-1", 2, "mail/a"))
	r.applied(ends(r.only("me", after(1)), ledger.Delivered, after(1)))
	r.feed(from, `INC-1-key-2 / "" 0 
INC-1-key-1 mail/a "superseded" 1 unavailable
INC-1-key-2 mail/a "delivered" 1 
`)
}

func changesOtherHandle(t *testing.T, r *rig) {
	from := r.latest()
	other := &rig{T: t, Store: Store{Ledger: r.Again(t), Again: r.Again}}
	other.accept(update("INC-1", 1, "mail/a"))
	r.await(from, 1)
	same(t, "both agree on the latest", r.latest(), other.latest())
}

// changesConcurrent reads the feed while several write: nothing may be skipped.
func changesConcurrent(t *testing.T, r *rig) {
	const writers, each = 4, 15
	var wg sync.WaitGroup
	for w := range writers {
		h := &rig{T: t, Store: Store{Ledger: r.Again(t), Again: r.Again}}
		wg.Go(func() {
			for n := range each {
				if _, err := h.Accept(context.Background(), update(fmt.Sprintf("INC-%d", w), n+1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	seen := map[string]int{}
	end := time.Now().Add(20 * time.Second)
	for at := ""; len(seen) < writers*each && time.Now().Before(end); {
		for _, c := range r.changes(at, 3) {
			seen[c.Update]++
			at = c.Cursor
		}
	}
	<-done
	for w := range writers {
		for n := range each {
			if key := fmt.Sprintf("INC-%d-key-%d", w, n+1); seen[key] != 1 {
				t.Errorf("%s was seen %d times", key, seen[key])
			}
		}
	}
}

func changesForget(t *testing.T, r *rig) {
	r.unfed = true
	feed := addOn[ledger.Changes](r)
	for n := range 4 {
		r.accept(update("INC-1", n+1))
	}
	all := r.await("", 4)
	n, err := feed.Forget(context.Background(), after(2))
	r.check(err)
	same(t, "forgotten", n, 2)
	same(t, "left", len(r.changes("", 10)), 2)
	same(t, "after the last that was forgotten", len(r.changes(all[1].Cursor, 10)), 2)
	if _, err := feed.Changes(context.Background(), all[0].Cursor, 10); !errors.Is(err, ledger.ErrForgotten) {
		t.Errorf("reading from a forgotten place: %v", err)
	}
	last := r.latest()
	_, err = feed.Forget(context.Background(), after(1000))
	r.check(err)
	same(t, "the latest after all are old", r.latest(), last)
	same(t, "left", len(r.changes("", 10)), 1)
	r.accept(update("INC-1", 5))
	r.await(last, 1)
}

func changesCursor(t *testing.T, r *rig) {
	feed := addOn[ledger.Changes](r)
	same(t, "of an empty ledger", len(r.changes(r.latest(), 10)), 0)
	r.accept(update("INC-1", 1, "mail/a"))
	form := regexp.MustCompile(`^[0-9A-Za-z.-]{1,64}$`)
	for _, c := range append(r.await("", 1), ledger.Change{Cursor: r.latest()}) {
		if !form.MatchString(c.Cursor) {
			t.Errorf("cursor %q", c.Cursor)
		}
	}
	for _, bad := range []string{"x", "-1", "1.5.2", "99999999", "99999999999999999999999", "1;DROP TABLE", "\x00", "9999999999.99999"} {
		if _, err := feed.Changes(context.Background(), bad, 10); !errors.Is(err, ledger.ErrForgotten) {
			t.Errorf("cursor %q: %v", bad, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := feed.Changes(ctx, "", 10); !errors.Is(err, context.Canceled) {
		t.Errorf("after the caller has gone: %v", err)
	}
}

// listingAfter checks that deliveries and updates can be listed page by page.
func listingAfter(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	r.accept(update("INC-2", 1, "mail/c"))
	r.accept(update("INC-1", 1, "mail/d"))
	whole := r.deliveries(ledger.DeliveryQuery{})
	for i, d := range whole {
		same(t, "deliveries after "+d.Key, r.deliveries(ledger.DeliveryQuery{After: d.Key}), tail(whole, i+1))
	}
	same(t, "of an incident", len(r.deliveries(ledger.DeliveryQuery{Incident: "INC-1", After: "INC-1-1-mail/a"})), 2)
	same(t, "after an unknown one", len(r.deliveries(ledger.DeliveryQuery{After: "nothing"})), 0)
	foreign := update("INC-3", 1, "mail/e")
	foreign.Incident.Customer, foreign.Update.Customer = "xyz", "xyz"
	r.accept(foreign)
	same(t, "of a customer after another's", len(r.deliveries(ledger.DeliveryQuery{Customer: "xyz", After: whole[0].Key})), 0)

	r.accept(update("INC-1", 2))
	all, err := r.Updates(context.Background(), ledger.UpdateQuery{})
	r.check(err)
	for i, u := range all {
		got, err := r.Updates(context.Background(), ledger.UpdateQuery{Before: u.Key, Customer: "abc"})
		r.check(err)
		want := 0
		for _, older := range all[i+1:] {
			if u.Customer == "abc" && older.Customer == "abc" {
				want++
			}
		}
		same(t, "updates before "+u.Key, len(got), want)
	}
	for _, q := range []ledger.UpdateQuery{{Before: "nothing"}, {Customer: "nobody"}} {
		got, err := r.Updates(context.Background(), q)
		r.check(err)
		same(t, fmt.Sprintf("updates of %+v", q), len(got), 0)
	}
}

func tail(all []ledger.Delivery, from int) []ledger.Delivery {
	if from == len(all) {
		return nil
	}
	return all[from:]
}
