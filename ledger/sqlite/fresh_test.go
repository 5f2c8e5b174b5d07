package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// twin is a ledger, another handle on its file, and what is known of both.
type twin struct {
	*testing.T
	mine, other *sqlite.Ledger
	path        string
	copies      int
}

func newTwin(t *testing.T) *twin {
	path := filepath.Join(t.TempDir(), "ledger.db")
	t.Cleanup(func() { inspect(t, path) })
	return &twin{T: t, mine: open(t, path), other: open(t, path), path: path}
}

// claim claims, and compares it with what a ledger on a copy of the file says, which has
// written none of it.
func (w *twin) claim(l *sqlite.Ledger, r ledger.ClaimRequest) []ledger.Claim {
	w.Helper()
	if n := l.Fresh(); n > sqlite.FreshMost {
		w.Errorf("%d deliveries are kept", n)
	}
	w.copies++
	path := filepath.Join(w.TempDir(), fmt.Sprintf("copy-%d.db", w.copies))
	db := raw(w.T, w.path)
	do(w.T, db, "VACUUM INTO ?", path)
	_ = db.Close()
	read, err := sqlite.Open(w.Context(), path)
	if err != nil {
		w.Fatal(err)
	}
	want, err := read.Claim(w.Context(), r)
	if err != nil {
		w.Fatal(err)
	}
	if err := read.Close(); err != nil {
		w.Fatal(err)
	}
	got, err := l.Claim(w.Context(), r)
	if err != nil {
		w.Fatal(err)
	}
	for i, c := range got.Claims {
		if i < len(want.Claims) && !reflect.DeepEqual(c, want.Claims[i]) {
			w.Fatalf("claimed\n     %+v\nwant %+v", c, want.Claims[i])
		}
	}
	if len(got.Claims) != len(want.Claims) || !got.Next.Equal(want.Next) {
		w.Errorf("claimed %d, next %v; want %d, %v", len(got.Claims), got.Next, len(want.Claims), want.Next)
	}
	return got.Claims
}

// all claims all of channel "mail" in mine.
func (w *twin) all(want int) []ledger.Claim {
	w.Helper()
	got := w.claim(w.mine, ledger.ClaimRequest{Channel: "mail", Owner: "mine", Now: at, Until: at.Add(time.Minute), Limit: 10_000})
	if len(got) != want {
		w.Errorf("claimed %d, want %d", len(got), want)
	}
	return got
}

func (w *twin) accept(l *sqlite.Ledger, a ledger.Acceptance) {
	w.Helper()
	if _, err := l.Accept(w.Context(), a); err != nil {
		w.Fatal(err)
	}
}

// refused has l write down n deliveries of an update and roll them back.
func (w *twin) refused(l *sqlite.Ledger, a ledger.Acceptance) {
	w.Helper()
	last := &a.Deliveries[len(a.Deliveries)-1]
	key := last.Key
	last.Key = "BASE 0"
	if _, err := l.Accept(w.Context(), a); err == nil {
		w.Fatal("it was accepted")
	}
	last.Key = key
}

// of is a small update of another customer.
func of(customer, incident string, n int) ledger.Acceptance {
	a := small(incident, n)
	a.Incident.Customer, a.Update.Customer, a.Renderings[0].Text = customer, customer, "for "+customer+" only"
	return a
}

// TestFreshIsClaimed makes sure that there is something to test.
func TestFreshIsClaimed(t *testing.T) {
	w := newTwin(t)
	w.accept(w.mine, small("INC-1", 100))
	if n := w.mine.Fresh(); n != 100 {
		t.Errorf("%d are kept, want 100", n)
	}
	w.all(100)
	if n := w.mine.Fresh(); n != 0 {
		t.Errorf("%d are kept after they were claimed", n)
	}
}

// TestFreshRolledBack has another process accept what this one could not.
func TestFreshRolledBack(t *testing.T) {
	w := newTwin(t)
	w.accept(w.mine, small("BASE", 1))
	a := small("INC-1", 40)
	w.refused(w.mine, a)
	w.accept(w.other, of("xyz", "INC-2", 2))
	a.Deliveries[3].To.Name, a.Deliveries[3].Expire = "Ann", at.Add(time.Hour)
	w.accept(w.other, a)
	w.all(43)
}

// TestFreshRolledBackInAGroup is one of several, or the commit of all. Another process
// accepts it then, otherwise, at the same time and into the same rows.
func TestFreshRolledBackInAGroup(t *testing.T) {
	for _, all := range []bool{false, true} {
		grouped(t, func(g *group) {
			other, err := sqlite.Open(context.Background(), g.path)
			if err != nil {
				g.Fatal(err)
			}
			defer func() { _ = other.Close() }()
			w := &twin{T: g.T, mine: g.Ledger, other: other, path: g.path}
			w.accept(w.mine, small("BASE", 1))
			a := small("INC-1", 40)
			if all {
				g.lineUp(g.accepts(a), g.works(context.Background(), failCommit))
			} else {
				g.lineUp(g.works(context.Background(), func(sqlite.Exec) error { return nil }), call{do: func() error { w.refused(w.mine, a); return nil }})
			}
			a.Deliveries[3].To.Name, a.Deliveries[3].Expire = "Ann", at.Add(time.Hour)
			w.accept(w.other, a)
			w.all(41)
		})
	}
}

// TestFreshForOthers keeps nothing for ever that nobody here asks for.
func TestFreshForOthers(t *testing.T) {
	grouped(t, func(g *group) {
		for i, want := range []int{sqlite.FreshMost, sqlite.FreshMost, 10} {
			a := small(fmt.Sprint("INC-", i), []int{sqlite.FreshMost, 10, 10}[i])
			if err := g.accepts(a).do(); err != nil {
				g.Fatal(err)
			}
			if n := g.Fresh(); n != want {
				g.Errorf("%d are kept, want %d", n, want)
			}
			time.Sleep(time.Duration(i) * 10 * time.Second)
		}
	})
}

// TestFreshHasNoRoom rolls back as many as there is room for, and accepts them then.
func TestFreshHasNoRoom(t *testing.T) {
	w := newTwin(t)
	w.accept(w.mine, small("BASE", 1))
	a := small("INC-1", sqlite.FreshMost-20)
	w.refused(w.mine, a)
	w.accept(w.mine, of("xyz", "INC-2", 2))
	for i := range a.Deliveries {
		a.Deliveries[i].To.Name = "N"
	}
	w.accept(w.mine, a)
	w.accept(w.mine, of("xyz", "INC-3", 5000))
	w.all(3 + sqlite.FreshMost - 20 + 5000)
}

// TestFreshPruned uses keys, and the ids of rows, a second time.
func TestFreshPruned(t *testing.T) {
	for _, by := range []string{"other", "other, at once", "mine"} {
		t.Run(by, func(t *testing.T) {
			w := newTwin(t)
			a := small("INC-1", 40)
			a.Incident.Status, a.Update.Status = "resolved", "resolved"
			w.accept(w.mine, a)
			w.finish(w.other)
			if p, err := w.other.Prune(t.Context(), at.Add(time.Hour)); err != nil || p.Deliveries != 40 {
				t.Fatal(p, err)
			}
			l, more := w.other, 2
			if by == "mine" {
				l, more = w.mine, sqlite.FreshMost-48
				w.accept(l, of("xyz", "INC-0", more-2)) // no room for all of a
			}
			if by == "other, at once" {
				more = 0 // its row has the id of the one before
			} else {
				w.accept(l, of("xyz", "INC-2", 2))
			}
			b := small("INC-1", 40)
			for i := range b.Deliveries {
				b.Deliveries[i].To.Name = "somebody else"
			}
			b.Update.Accepted = at.Add(-time.Second)
			w.accept(l, b)
			w.all(40 + more)
		})
	}
}

// finish delivers everything that is pending.
func (w *twin) finish(l *sqlite.Ledger) {
	w.Helper()
	got, err := l.Claim(w.Context(), ledger.ClaimRequest{Channel: "mail", Owner: "f", Now: at, Until: at.Add(time.Minute), Limit: 10_000})
	if err != nil {
		w.Fatal(err)
	}
	var all []ledger.Settlement
	for _, c := range got.Claims {
		all = append(all, ledger.Settlement{ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Outcome: ledger.Delivered, Ended: at})
	}
	if _, err := l.Settle(w.Context(), all); err != nil {
		w.Fatal(err)
	}
}
