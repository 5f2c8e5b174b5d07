package sqlite_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// works is the call that runs work for a caller who waits as long as ctx.
func (g *group) works(ctx context.Context, work func(sqlite.Exec) error) call {
	return call{do: func() error { return g.Work(ctx, work) }}
}

// TestCancelledWhileItWaits has one withdrawn, in every place; it hears of it at once.
func TestCancelledWhileItWaits(t *testing.T) {
	for place := range 3 {
		grouped(t, func(g *group) {
			before := g.commits()
			ctx, cancel := context.WithCancel(context.Background())
			ended := false
			calls := []call{g.accepts(small("INC-1", 2)), g.accepts(small("INC-2", 2))}
			calls = slices.Insert(calls, place, call{
				do: func() error {
					defer func() { ended = true }()
					return g.Work(ctx, func(do sqlite.Exec) error {
						g.Error("it was run")
						return write(do)
					})
				},
				waiting: func() {
					cancel()
					synctest.Wait()
					if !ended || g.Waiting() != 2 {
						g.Errorf("it waits for its turn still: %v, %d wait", !ended, g.Waiting())
					}
				},
			})
			for i, err := range g.lineUp(calls...) {
				if i == place != errors.Is(err, context.Canceled) || i != place && err != nil {
					g.Errorf("call %d: %v", i, err)
				}
			}
			g.committed(before, 1)
			g.holds("INC-1", "INC-2")
		})
	}
}

// TestCancelledByWhoIsBefore cancels one when it is about to be run: another of the same
// turn does it, so that nobody can withdraw it in time.
func TestCancelledByWhoIsBefore(t *testing.T) {
	grouped(t, func(g *group) {
		ctx, cancel := context.WithCancel(context.Background())
		errs := g.lineUp(
			g.works(context.Background(), func(sqlite.Exec) error { cancel(); return nil }),
			g.works(ctx, func(do sqlite.Exec) error {
				g.Error("it was run")
				return write(do)
			}),
			g.accepts(small("INC-1", 2)))
		if errs[0] != nil || !errors.Is(errs[1], context.Canceled) || errs[2] != nil {
			g.Error(errs)
		}
		g.holds("INC-1")
	})
}

// TestCancelledWhileItWorks cancels the caller's context in the middle of the work, in
// every place; the work itself does not notice.
func TestCancelledWhileItWorks(t *testing.T) {
	for place := range 3 {
		grouped(t, func(g *group) {
			before := g.commits()
			ctx, cancel := context.WithCancel(context.Background())
			calls := []call{g.accepts(small("INC-1", 2)), g.accepts(small("INC-2", 2))}
			calls = slices.Insert(calls, place, g.works(ctx, func(do sqlite.Exec) error {
				defer cancel()
				return write(do)
			}))
			for i, err := range g.lineUp(calls...) {
				if i == place != errors.Is(err, context.Canceled) || i != place && err != nil {
					g.Errorf("call %d: %v", i, err)
				}
			}
			g.committed(before, 1)
			g.holds("INC-1", "INC-2")
		})
	}
}

// TestPanicInTheMiddleOfRows leaves a statement half read.
func TestPanicInTheMiddleOfRows(t *testing.T) {
	grouped(t, func(g *group) {
		if err := g.accepts(small("INC-1", 2)).do(); err != nil {
			g.Fatal(err)
		}
		for range 3 {
			half := call{do: func() error {
				return g.Read(context.Background(), "SELECT id FROM deliveries", func() { panic("boom") })
			}}
			whole := 0
			errs := g.lineUp(g.accepts(small("INC-1", 2)), half, call{do: func() error {
				return g.Read(context.Background(), "SELECT id FROM deliveries", func() { whole++ })
			}})
			if errs[0] != nil || errs[1] == nil || errs[1].Error() != "panic: boom" || errs[2] != nil || whole != 2 {
				g.Error(errs, whole)
			}
		}
		if err := g.Roomy(context.Background()); err != nil {
			g.Error(err)
		}
		g.holds("INC-1")
	})
}

// TestPanicInARoster comes from outside: the caller's own iterator panics.
func TestPanicInARoster(t *testing.T) {
	grouped(t, func(g *group) {
		roster := call{do: func() error {
			return g.PutRoster(context.Background(), "r", at, func(yield func([]byte) bool) {
				yield([]byte("a chunk"))
				panic("boom")
			})
		}}
		errs := g.lineUp(g.accepts(small("INC-1", 2)), roster, g.accepts(small("INC-2", 2)))
		if errs[0] != nil || errs[1] == nil || errs[1].Error() != "panic: boom" || errs[2] != nil {
			g.Error(errs)
		}
		if _, err := g.RosterChunk(context.Background(), "r", 0); !errors.Is(err, ledger.ErrNotFound) {
			g.Errorf("half of the roster is there: %v", err)
		}
		g.holds("INC-1", "INC-2")
	})
}

// TestCloseWhileTheyWait lets nobody wait for ever, and nothing be half written.
func TestCloseWhileTheyWait(t *testing.T) {
	grouped(t, func(g *group) {
		closed, errs := make(chan error, 1), make(chan error, 5)
		release := g.Occupy()
		go func() { closed <- g.Close() }()
		synctest.Wait() // it waits for the turn before they do
		for range 5 {
			go func() { errs <- g.Work(context.Background(), write) }()
			synctest.Wait()
		}
		release()
		if err := <-closed; err != nil {
			g.Error(err)
		}
		for range 5 {
			if err := <-errs; !errors.Is(err, sqlite.ErrClosed) {
				g.Errorf("after it was closed: %v", err)
			}
		}
		if err := g.Work(context.Background(), write); !errors.Is(err, sqlite.ErrClosed) {
			g.Errorf("later still: %v", err)
		}
	})
}

// TestAlone has work that takes long wait its turn, and commit by itself.
func TestAlone(t *testing.T) {
	grouped(t, func(g *group) {
		before := g.commits()
		order := ""
		named := func(name string) func(sqlite.Exec) error {
			return func(do sqlite.Exec) error {
				order += name
				return do("INSERT INTO pages VALUES (?1, ?1)", name)
			}
		}
		var calls []call
		for _, name := range []string{"a", "b", "X", "c", "Y", "Z", "d", "e", "f"} {
			calls = append(calls, call{do: func() error {
				if name < "a" {
					return g.WorkAlone(context.Background(), named(name))
				}
				return g.Work(context.Background(), named(name))
			}})
		}
		if err := errors.Join(g.lineUp(calls...)...); err != nil {
			g.Error(err)
		}
		if order != "abXcYZdef" {
			g.Errorf("they worked in the order %s", order)
		}
		g.committed(before, 6) // ab X c Y Z def
	})
}

// TestManyWaitForAnotherProcess holds the file for longer than most of them wait.
func TestManyWaitForAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path)
	db := raw(t, path)
	do(t, db, "BEGIN IMMEDIATE")
	patient := make(chan error, 1)
	go func() {
		_, err := l.Accept(t.Context(), small("INC-1", 2))
		patient <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := l.Work(ctx, write); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("while another process writes: %v", err)
			}
		})
	}
	wg.Wait()
	do(t, db, "COMMIT")
	if err := <-patient; err != nil {
		t.Error(err)
	}
	if n := count(t, l); n != 2 {
		t.Errorf("there are %d deliveries", n)
	}
}
