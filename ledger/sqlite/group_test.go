package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// TestOneCommitForAllWhoWait is what it is for.
func TestOneCommitForAllWhoWait(t *testing.T) {
	grouped(t, func(g *group) {
		before := g.commits()
		var calls []call
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint("INC-", i))
			calls = append(calls, g.accepts(small(want[i], 2)))
		}
		if err := errors.Join(g.lineUp(calls...)...); err != nil {
			g.Error(err)
		}
		g.committed(before, 1)
		g.holds(want...)
	})
}

// broken is an update that fails when all of it but the last delivery is written: its
// key is that of a delivery of the update BASE.
func broken() ledger.Acceptance {
	a := small("BROKEN", 20)
	a.Deliveries[19].Key = "BASE 0"
	return a
}

// TestOneOfThemFails has one fail in every place.
func TestOneOfThemFails(t *testing.T) {
	outOfTurn := small("BASE", 2)
	outOfTurn.Update.Key, outOfTurn.Update.Seq, outOfTurn.Incident.Seq = "later", 3, 3
	ways := map[string]struct {
		do   func(g *group) error
		want func(error) bool
	}{
		"key of another": {
			func(g *group) error { return g.accepts(broken()).do() },
			func(err error) bool { return strings.Contains(err.Error(), "that of another delivery") },
		},
		"ErrSequence": {
			func(g *group) error { return g.accepts(outOfTurn).do() },
			func(err error) bool { return errors.Is(err, ledger.ErrSequence) },
		},
		"ErrNotFound": {
			func(g *group) error { _, err := g.Reopen(context.Background(), "nobody", at, at); return err },
			func(err error) bool { return errors.Is(err, ledger.ErrNotFound) },
		},
		"panic": {
			func(g *group) error {
				return g.Work(context.Background(), func(do sqlite.Exec) error { panic(errors.Join(errBoom, write(do))) })
			},
			func(err error) bool { p, ok := errors.AsType[panicked](err); return ok && p.Error() == "panic: boom" },
		},
		"error of SQLite": {
			func(g *group) error {
				return g.Work(context.Background(), func(do sqlite.Exec) error { return errors.Join(write(do), do("INSERT INTO pages VALUES ('p', NULL)")) })
			},
			func(err error) bool { return strings.Contains(err.Error(), "NOT NULL") },
		},
	}
	for name, way := range ways {
		for place, fails := range map[string][]bool{
			"only": {true}, "first": {true, false, false}, "middle": {false, true, false}, "last": {false, false, true},
			"first two": {true, true, false}, "every other": {true, false, true, false, true}, "all": {true, true, true},
		} {
			t.Run(name+"/"+place, func(t *testing.T) {
				grouped(t, func(g *group) { oneOfThemFails(g, fails, way.do, way.want) })
			})
		}
	}
}

var errBoom = errors.New("boom")

// write makes changes that must not stay.
func write(do sqlite.Exec) error {
	return errors.Join(
		do("INSERT INTO incidents (n, id, customer, severity, started, status, seq, updated, next) VALUES (1000000, 'BROKEN', 'abc', '', 1, '', 1, 1, 0)"),
		do("INSERT INTO changes (at, upd, delivery, attempts, outcome, fault) VALUES (1, 1000000, 0, 0, '', '')"))
}

func oneOfThemFails(g *group, fails []bool, do func(*group) error, want func(error) bool) {
	if err := g.accepts(small("BASE", 2)).do(); err != nil {
		g.Fatal(err)
	}
	before := g.commits()
	there := []string{"BASE"}
	var calls []call
	for i, f := range fails {
		if f {
			calls = append(calls, call{do: func() error { return do(g) }})
			continue
		}
		there = append(there, fmt.Sprint("INC-", i))
		calls = append(calls, g.accepts(small(fmt.Sprint("INC-", i), 2)))
	}
	for i, err := range g.lineUp(calls...) {
		if fails[i] != (err != nil) || fails[i] && !want(err) {
			g.Errorf("call %d: %v", i, err)
		}
	}
	g.committed(before, min(len(there)-1, 1))
	g.holds(there...)
	if i, err := g.Incidents(context.Background(), ledger.IncidentQuery{}); err != nil || len(i) != len(there) {
		g.Errorf("incidents %+v (%v)", i, err)
	}
	if err := g.accepts(small("AFTER", 2)).do(); err != nil {
		g.Error(err)
	}
}

// TestTheTurnIsHandedOn lets time pass while one of them works.
func TestTheTurnIsHandedOn(t *testing.T) {
	grouped(t, func(g *group) {
		before := g.commits()
		slow := call{do: func() error {
			return g.Work(context.Background(), func(do sqlite.Exec) error {
				time.Sleep(time.Minute)
				return do("INSERT INTO pages VALUES ('a', 'b')")
			})
		}}
		all := g.lineUp(g.accepts(small("INC-1", 2)), slow, g.accepts(small("INC-2", 2)), g.accepts(small("INC-3", 2)))
		if err := errors.Join(all...); err != nil {
			g.Error(err)
		}
		g.committed(before, 2)
		g.holds("INC-1", "INC-2", "INC-3")
	})
}
