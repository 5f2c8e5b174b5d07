package ledger

import (
	"context"
	"errors"
	"time"

	"sitrep/channels"
)

// ErrForgotten says that a place in the change feed is not known: it is older than
// what is kept, or of another ledger.
var ErrForgotten = errors.New("the change feed does not reach back that far")

// Changes is the feed of everything that becomes of updates and deliveries, whoever
// causes it: every process on the ledger sees the same changes in the same order. Those
// of one delivery are in the order in which they happened; of two deliveries one may be
// told of first that changed last. It is an add-on. What was committed before Changes or
// Latest is called is in the feed, and nothing else is.
type Changes interface {
	// Changes returns up to limit changes after a cursor, oldest first. The empty
	// cursor is the beginning of what is kept. A cursor that is not known is
	// ErrForgotten. A change that was not committed when a later one was read is
	// never skipped.
	Changes(ctx context.Context, after string, limit int) ([]Change, error)
	// Latest is the cursor after which nothing has happened yet.
	Latest(ctx context.Context) (string, error)
	// Forget drops changes from before a time and returns how many. The latest
	// change stays.
	Forget(ctx context.Context, before time.Time) (int, error)
}

// Change is one step in the life of an update or a delivery.
type Change struct {
	Cursor string // opaque; at most 64 characters of [0-9A-Za-z.-]
	At     time.Time

	Update, Incident, Customer string
	Seq                        int

	// Delivery is the key of the delivery that changed. Empty: the update was
	// accepted, or accepted again with more recipients.
	Delivery                string
	List, Audience, Channel string
	To                      channels.Recipient

	// What the change made of the delivery. An Outcome of Pending with Attempts is a
	// failed attempt that will be repeated, with none a delivery reopened.
	Outcome  Outcome
	Attempts int
	Fault    channels.Fault
}
