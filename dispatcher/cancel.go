package dispatcher

import (
	"context"
	"fmt"

	"sitrep/ledger"
)

// Cancel takes back what of an update has not been sent yet. Deliveries whose
// attempt is under way, or is about to be, cannot be called back: they are counted
// and go on. It wakes the lanes, for newer updates may have waited behind.
//
// An update that is not in the ledger is [ledger.ErrNotFound].
func (d *Dispatcher) Cancel(ctx context.Context, update string) (ledger.Cancellation, error) {
	l, ok := d.o.Ledger.(ledger.Canceller)
	if !ok {
		return ledger.Cancellation{}, fmt.Errorf("cancel update %s: this ledger (%T) cannot take deliveries back", update, d.o.Ledger)
	}
	now := d.o.Now()
	got, err := l.Cancel(ctx, update, now)
	if err != nil {
		return ledger.Cancellation{}, fmt.Errorf("cancel update %s: %w", update, err)
	}
	for _, e := range got.Ended {
		d.o.Record.Settled(e.Customer, e.Channel, e.Severity, string(e.Outcome), e.Key, now.Sub(e.Accepted))
		d.event(Event{
			Kind: EventSettled, At: now, Update: update, Customer: e.Customer, Channel: e.Channel, Key: e.Key,
			Outcome: e.Outcome, Detail: "a person took it back",
		})
	}
	d.wake()
	return got, nil
}
