package ledgertest

import (
	"testing"

	"sitrep/ledger"
)

// Engine is what is tested.
type Engine struct {
	// Open makes a new, empty store and opens it. What it opens is closed when the
	// test is over.
	Open func(t testing.TB) Store

	// Polled says that the engine has no [ledger.Waker], for nobody beyond this
	// machine can make work for it.
	Polled bool
}

// Store is a store and one handle on it.
type Store struct {
	ledger.Ledger

	// Again opens another handle on the same store, as another process would.
	Again func(t testing.TB) ledger.Ledger
}

// Run runs the whole suite, each test on a new store.
func Run(t *testing.T, e Engine) {
	groups := []struct {
		name  string
		tests []test
	}{
		{"Intake", intakeTests()},
		{"Supersession", supersessionTests()},
		{"Reopen", reopenTests()},
		{"Claim", claimTests()},
		{"Lease", leaseTests()},
		{"Order", orderTests()},
		{"Settle", settleTests()},
		{"Read", readTests()},
		{"Pages", pageTests()},
		{"Hostile", hostileTests()},
		{"Several", severalTests()},
		{"Cancel", cancelTests()},
		{"Changes", changeTests()},
		{"Tokens", tokenTests()},
		{"Races", raceTests()},
		{"Duty", dutyTests()},
		{"Wakes", wakeTests()},
		{"Prune", pruneTests()},
		{"Move", moveTests()},
		{"Expand", expandTests()},
		{"Bounce", bounceTests()},
		{"Delivery", deliveryTests()},
		{"Rewind", rewindTests()},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, x := range g.tests {
				t.Run(x.name, func(t *testing.T) {
					r := &rig{T: t, Store: e.Open(t), engine: e}
					x.run(t, r)
					r.audit()
				})
			}
		})
	}
}

type test struct {
	name string
	run  func(*testing.T, *rig)
}
