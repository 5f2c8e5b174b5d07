package dispatcher

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// rosters are those of a configuration, by customer.
type rosters map[string]*roster

func newRosters(parties []incident.Party) rosters {
	all := make(rosters, len(parties))
	for _, p := range parties {
		all[p.ID] = newRoster(p)
	}
	return all
}

// requires reports whether a customer's lists say that a recipient is to be told by
// contract.
func (r rosters) requires(customer, channel, address string) bool {
	of := r[customer]
	return of != nil && len(of.required) > 0 && of.required[placeOf(channel, address)]
}

// keeper knows the rosters that are in force, and puts the large ones into the ledger
// before they are needed.
type keeper struct {
	d     *Dispatcher
	now   atomic.Pointer[rosters]
	awake chan struct{}
}

// How often the ledger is told that a roster is still in use.
const keepEvery = time.Hour

func newKeeper(d *Dispatcher) *keeper {
	k := &keeper{d: d, awake: make(chan struct{}, 1)}
	k.now.Store(&d.rosters)
	return k
}

func (k *keeper) replace(all rosters) {
	k.now.Store(&all)
	nudge(k.awake)
}

func (k *keeper) rosters() rosters { return *k.now.Load() }

// run ends when soft is done, or at once if this ledger keeps no rosters.
func (k *keeper) run(soft context.Context) {
	l, ok := k.d.o.Ledger.(ledger.Expander)
	if !ok {
		return
	}
	for try := 1; soft.Err() == nil; {
		wait := keepEvery
		if err := k.put(soft, l); err != nil {
			if soft.Err() != nil {
				return
			}
			k.d.trouble("", "keep the recipients of large customers ready", err)
			wait = Backoff{Base: time.Second, Max: time.Minute}.ceiling(try)
			try++
		} else {
			try = 1
		}
		t := time.NewTimer(wait)
		select {
		case <-soft.Done():
		case <-k.awake:
		case <-t.C:
		}
		t.Stop()
	}
}

func (k *keeper) put(soft context.Context, l ledger.Expander) error {
	for id, r := range k.rosters() {
		if r.digest == "" {
			continue
		}
		if err := l.PutRoster(soft, r.digest, k.d.o.Now(), r.encoded()); err != nil {
			return fmt.Errorf("customer %s: %w", id, err)
		}
	}
	return nil
}
