package ledger

import (
	"context"
	"strings"
	"time"

	"sitrep/channels"
)

// Bouncer is the add-on that hears of messages that came back after they had been
// delivered.
type Bouncer interface {
	// Bounce records what a report says of a delivery, by its key. A failure makes a
	// Delivered or Unknown one Bounced, with Settled the time of the report and with
	// its fault and detail; a Delayed report leaves the outcome and puts the detail
	// on record. Changed is false where there is nothing to change: it has bounced
	// before, it ended otherwise, or the same delay is known.
	//
	// A delivery that is pending is ErrUnderWay, for what became of its attempt is
	// about to be recorded: come again. One that is not there is ErrNotFound.
	Bounce(ctx context.Context, b Bounce) (d Delivery, changed bool, err error)

	// Delivery returns a delivery by its key, or ErrNotFound.
	Delivery(ctx context.Context, key string) (Delivery, error)
}

// NotYet is how the Detail of a Delayed report begins, and so what tells a delivery that
// is delayed.
const NotYet = "not delivered yet"

// Delayed reports that d was delivered as far as its channel knows, and that a report has
// come since by which it has not arrived and is still being tried.
func (d Delivery) Delayed() bool {
	return d.Outcome == Delivered && strings.HasPrefix(d.Detail, NotYet)
}

// Bounce is what a report says of a delivery.
type Bounce struct {
	Key     string // the delivery's
	At      time.Time
	Delayed bool           // it did not arrive yet, and is still being tried
	Fault   channels.Fault // NoRecipient, Rejected or Unavailable
	Detail  string         // for people; of a Delayed one it begins with NotYet

	// Suppress records the address as one that is not to be written to again, with
	// Detail as the reason. A delayed report never does.
	Suppress bool
}
