package ledger

import (
	"context"
	"time"
)

// Canceller takes deliveries back. It is an add-on of every engine that is here.
type Canceller interface {
	// Cancel ends an update's pending deliveries, but for those whose attempt is
	// under way: nobody can call those back, and they stay as they are. One that
	// no attempt can have reached becomes Cancelled; one that an interrupted or
	// ambiguous attempt may have reached becomes Unknown, for that is what is known
	// of it. An update that is not there is ErrNotFound.
	Cancel(ctx context.Context, update string, now time.Time) (Cancellation, error)
}

// Cancellation is what became of a [Canceller.Cancel].
type Cancellation struct {
	Ended    []Ended // Cancelled or Unknown
	UnderWay int     // deliveries left pending because their attempt is under way

	// Unwritten is how many recipients had no delivery on record yet: they are
	// written down as Cancelled, by whoever is at it. A second Cancel counts none.
	Unwritten int
}
