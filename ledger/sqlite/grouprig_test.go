package sqlite_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// group is a ledger in a bubble, whose calls wait for one another.
type group struct {
	*testing.T
	*sqlite.Ledger
	path string
}

// grouped runs a test in a bubble: no time passes while they work, so that the turn is
// not handed on, and who waits can be known. Then it inspects the file.
func grouped(t *testing.T, run func(g *group)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	synctest.Test(t, func(t *testing.T) {
		l, err := sqlite.Open(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}()
		run(&group{T: t, Ledger: l, path: path})
	})
	inspect(t, path)
	inspectFeed(t, path)
}

// call is a call of a ledger's, and what to do to it while it waits.
type call struct {
	do      func() error
	waiting func()
}

// lineUp has calls made one after the other while somebody holds the turn, lets them go
// and returns what became of each. A panic is an error here.
func (g *group) lineUp(calls ...call) []error {
	g.Helper()
	release := g.Occupy()
	errs := make([]error, len(calls))
	var wg sync.WaitGroup
	for i, c := range calls {
		wg.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					errs[i] = panicked{r}
				}
			}()
			errs[i] = c.do()
		})
		synctest.Wait()
		if g.Waiting() != i+1 {
			g.Fatalf("%d calls wait, want %d", g.Waiting(), i+1)
		}
	}
	for _, c := range calls {
		if c.waiting != nil {
			c.waiting()
		}
	}
	synctest.Wait()
	release()
	wg.Wait()
	if n := g.Waiting(); n != 0 {
		g.Errorf("%d calls wait still", n)
	}
	return errs
}

type panicked struct{ with any }

func (p panicked) Error() string { return fmt.Sprint("panic: ", p.with) }

// accepts is the call that accepts a small update.
func (g *group) accepts(a ledger.Acceptance) call {
	return call{do: func() error {
		_, err := g.Accept(context.Background(), a)
		return err
	}}
}

// holds checks that the ledger has exactly these updates, in this order, each of them
// with its two deliveries, and that the feed has heard of no others.
func (g *group) holds(updates ...string) {
	g.Helper()
	all, err := g.Updates(context.Background(), ledger.UpdateQuery{})
	if err != nil {
		g.Fatal(err)
	}
	var there []string
	for _, u := range slices.Backward(all) {
		there = append(there, u.Key)
	}
	if !slices.Equal(there, updates) {
		g.Errorf("there are %q, want %q", there, updates)
	}
	feed, err := g.Changes(context.Background(), "", 1000)
	if err != nil {
		g.Fatal(err)
	}
	var fed []string
	for _, c := range feed {
		if c.Delivery == "" {
			fed = append(fed, c.Update)
		}
	}
	if !slices.Equal(fed, updates) {
		g.Errorf("the feed has %q, want %q", fed, updates)
	}
	if n := count(g.T, g.Ledger); n != 2*len(updates) {
		g.Errorf("there are %d deliveries, want %d", n, 2*len(updates))
	}
}

// commits counts the transactions in the write-ahead log
// (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).
func (g *group) commits() int {
	g.Helper()
	wal, err := os.ReadFile(g.path + "-wal")
	if err != nil {
		g.Fatal(err)
	}
	word := func(at int) uint32 { return binary.BigEndian.Uint32(wal[at:]) }
	n, size := 0, int(word(8))
	for f := 32; f+24+size <= len(wal); f += 24 + size {
		mine := word(f+8) == word(16) && word(f+12) == word(20)
		if mine && word(f+4) != 0 {
			n++
		}
	}
	return n
}

// committed checks how many commits there were since before.
func (g *group) committed(before, want int) {
	g.Helper()
	if n := g.commits() - before; n != want {
		g.Errorf("%d commits, want %d", n, want)
	}
}

// inspectFeed checks that the feed holds what happened, and nothing else.
func inspectFeed(t testing.TB, path string) {
	t.Helper()
	db := raw(t, path)
	for name, query := range map[string]string{
		"updates that the feed has not heard of": `SELECT count(*) FROM updates u WHERE NOT EXISTS (SELECT 1 FROM changes c WHERE c.upd = u.n AND c.delivery = 0)`,
		"changes of nothing":                     `SELECT count(*) FROM changes WHERE upd NOT IN (SELECT n FROM updates) OR delivery <> 0 AND delivery NOT IN (SELECT id FROM deliveries)`,
		"changes that were other than the delivery is": `SELECT count(*) FROM deliveries d JOIN changes c ON c.n = (SELECT max(n) FROM changes WHERE delivery = d.id)
			WHERE c.outcome <> d.outcome OR c.attempts <> d.attempts`,
		"settled ones that the feed has not heard of": `SELECT count(*) FROM deliveries d WHERE d.outcome NOT IN ('', 'suppressed', 'cancelled')
			AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.delivery = d.id)`,
	} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d %s (%v)", n, name, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
