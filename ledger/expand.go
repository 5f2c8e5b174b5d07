package ledger

import (
	"context"
	"errors"
	"iter"
	"time"
)

// ErrNoRoster says that an acceptance names a roster that is not kept: put it, and
// accept again.
var ErrNoRoster = errors.New("the recipients are not in the ledger")

// Expander is the add-on that accepts an update for any number of recipients in the
// time it takes for a few. The recipients are kept beforehand, as a roster; an
// acceptance names it and holds the first deliveries only, and the others are written
// afterwards, chunk by chunk, by whoever comes to it:
//
//	PutRoster … Accept(Rest) → Expansions → RosterChunk → Expand → … → the last Expand
//
// What is in a chunk and in a plan is for the consumer to know; a ledger keeps bytes.
//
// While an update is not wholly written, none of the incident's later updates can be
// claimed: a recipient of theirs may be one that is still to be written of it. Its
// own deliveries are claimed as soon as they are there.
type Expander interface {
	// PutRoster keeps the chunks under a digest of their content. If the digest is
	// known already the chunks are not asked for; it only counts as used now, which
	// keeps Prune from dropping it. The chunks are there all or none.
	PutRoster(ctx context.Context, digest string, now time.Time, chunks iter.Seq[[]byte]) error

	// RosterChunk returns a chunk by its number, from 0, or ErrNotFound.
	RosterChunk(ctx context.Context, digest string, n int) ([]byte, error)

	// Expansions returns the updates that are not wholly written, the oldest of each
	// incident only, in the order of acceptance; of one incident, or of all for "".
	Expansions(ctx context.Context, incident string) ([]Expansion, error)

	// Expand writes the deliveries of one chunk and moves on to the next, in one
	// durable transaction. Recipients that have a delivery of this update already
	// keep it. If the update was cancelled, they are recorded as Cancelled. Older
	// deliveries are superseded as by Accept.
	//
	// If somebody else has written this chunk it does nothing and Accepted.Added is
	// 0. Accepted.Update is the update as it is now.
	Expand(ctx context.Context, e Expanded) (Accepted, error)
}

// Rest is what an [Acceptance] leaves to be written afterwards.
type Rest struct {
	Roster string // its digest
	Chunk  int    // the first chunk that is not written
	Chunks int    // how many there are; Chunk < Chunks
	Count  int    // recipients in those that are not written
	Plan   []byte // what the consumer needs to make deliveries of a chunk
}

// Expansion is an update that is not wholly written.
type Expansion struct {
	Rest

	Update, Incident, Customer, Severity string
	Seq                                  int
	Accepted                             time.Time
	Cancelled                            bool
}

// Expanded is a chunk made into deliveries.
type Expanded struct {
	Update     string
	Chunk      int
	Deliveries []Planned // Rendering is the index into the Acceptance's Renderings
	Count      int       // recipients that this chunk settles the account of, see Update.Unwritten
	Now        time.Time
}
