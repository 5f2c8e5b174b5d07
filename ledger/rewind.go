package ledger

import (
	"context"
	"time"
)

// Rewinder repairs what a clock that was ahead has left behind. It is an add-on of
// every engine that is here.
type Rewinder interface {
	// Rewind brings forward what waits for a time that only a wrong clock can have
	// meant, and returns how much it was. Of what was written later than now (by more
	// than r.Skew) it counts from now on how long it was to wait: a pause, a retry, a
	// lease; and what has never been tried is due. Whatever lies more than r.Most
	// ahead is brought forward however it came to be there. Nothing is lost by it, and
	// no delivery is taken from who is sending it: a lease does not end before r.Lease
	// has passed.
	Rewind(ctx context.Context, r Rewind) (int, error)
}

// Rewind is what a [Rewinder] needs to know.
type Rewind struct {
	Now   time.Time
	Skew  time.Duration // how far ahead of Now a clock may be and be right
	Most  time.Duration // nothing waits longer than that
	Lease time.Duration // how long a lease is to last that was brought forward
}
