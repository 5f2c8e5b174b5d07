// Package ledger is the contract of the durable record of every delivery, which is
// also the queue they are worked from. There is no second truth: what is shown,
// counted or retried is read from here.
//
// # The life of a delivery
//
//	Accept → pending → Claim (leased) → Settle → an Outcome
//	             ↑___________________________| a retry, or given back untried
//
// # What every engine promises (and ledgertest checks)
//
//   - Accept is durable and atomic: when it returns, the update and all its
//     deliveries survive power loss; when it fails, nothing of it is there.
//   - The same update key is accepted once. Accepting it again adds only recipients
//     that were not there, and never changes one that was. One that a newer update
//     of the incident was accepted for in the meantime is added as Superseded, for
//     old news must not follow new.
//   - A claimed delivery is nobody else's until it is settled or its lease ends. A
//     claim counts as an attempt from that moment, durably: if the process dies, the
//     next claim says Interrupted, and an attempt is on record as such.
//   - A settlement whose lease another claim has taken over changes nothing and says
//     so ([Verdict].Applied).
//   - Order: of one incident and one recipient (channel and address) only the oldest
//     unsettled delivery can be claimed.
//   - Supersession: a delivery that has been tried, failed and waits for a retry
//     becomes Superseded as soon as a newer update of its incident is accepted for
//     the same recipient; one whose attempt is under way becomes so if that attempt
//     asks for a retry. One that was never tried is not superseded.
//   - Every method is safe for concurrent use and by several processes at once, and
//     returns ctx's error soon after ctx is done.
//
// # Add-ons
//
// What only some engines can do, or some programs need, is an interface of its own that
// is found by type assertion: [Waker] (wake-ups from other machines), [Duty] (what one
// of several processes does), [Pruner], [Exporter] and [Importer] (see [Move]),
// [Backuper], [Canceller], [Changes], [Tokens], [Drafts], [Expander], [Bouncer],
// [Rewinder]. The suite covers them too.
//
//	if w, ok := l.(ledger.Waker); ok { … }
//
// Times are stored to the microsecond and returned in UTC. Text is valid UTF-8
// without U+0000: what the caller made is refused if it is not ([Acceptance.Check]),
// what a remote side said is mended and bounded ([Settlement.Clean]).
package ledger

import (
	"context"
	"errors"
	"io"
	"time"

	"sitrep/channels"
)

// Ledger is a whole engine. Consumers ask for the part they use.
type Ledger interface {
	Intake
	Queue
	Reader
	Suppressor
	Pages
	io.Closer
}

// ErrSequence says that another update of the incident was accepted in between:
// resolve and render again, with the incident as it is now.
var ErrSequence = errors.New("another update of this incident was accepted a moment ago")

// ErrNotFound says that the ledger has nothing under that name.
var ErrNotFound = errors.New("not in the ledger")

// Intake takes updates in.
type Intake interface {
	// Accept records the update, its renderings and all its deliveries in one
	// durable transaction. If u.Seq is not one more than the incident's latest,
	// it is ErrSequence (unless the key is known, see Accepted.Duplicate).
	Accept(ctx context.Context, a Acceptance) (Accepted, error)

	// Reopen makes deliveries of an update that ended as failed, bounced, expired
	// or unknown pending again, due at now, with a new expiry; it returns how
	// many. It lifts the suppression of their addresses, for a person asked; but one
	// whose address was suppressed after it had ended (its recipient signed off)
	// stays as it is, and so does the suppression.
	// Those that a newer update has since reached, or may have (it is unknown, or
	// an attempt is under way), stay as they are. Attempts are counted on.
	Reopen(ctx context.Context, update string, now, expire time.Time) (int, error)
}

// Acceptance is an update and what is to be delivered of it.
type Acceptance struct {
	Incident   Incident // as it is after this update
	Update     Update
	Renderings []channels.Message
	Deliveries []Planned

	// Rest is what is written afterwards, by [Expander]. Nil: Deliveries is all.
	// With it, every rendering is recorded, for those to come.
	Rest *Rest
}

// Planned is a delivery to be.
type Planned struct {
	// Key is channels.Envelope.Key. It is unique in the ledger. Keys of one update
	// that share a beginning (eight characters derived from the update, the rest
	// from the recipient) lie side by side in an engine's index, which keeps
	// acceptance fast when the ledger has grown large.
	Key       string
	Channel   string // channel id
	To        channels.Recipient
	List      string
	Audience  string
	Rendering int // index into Acceptance.Renderings
	Expire    time.Time

	// Suppressed, when set, says why this recipient is not to be written to: the
	// delivery is recorded with the outcome Suppressed and this as its detail.
	Suppressed string
}

// Accepted is what became of an Acceptance.
type Accepted struct {
	Duplicate  bool    // the update key was known
	Added      int     // deliveries added by this call
	Superseded []Ended // older deliveries that this update has overtaken
	Update     Update  // as recorded; of the first acceptance for a duplicate
}

// Ended is a delivery that reached an outcome as a side effect.
type Ended struct {
	Key, Channel, Customer, Severity string
	Outcome                          Outcome
	Accepted                         time.Time
}

// Queue is what the dispatcher's lanes work from.
type Queue interface {
	// Claim leases up to r.Limit deliveries that are due, oldest first.
	Claim(ctx context.Context, r ClaimRequest) (Claimed, error)

	// Settle records what became of claims, in one durable transaction, and
	// returns one Verdict for each, in order. Several settlements of one batch
	// may concern the same channel; none of them fails another.
	Settle(ctx context.Context, s []Settlement) ([]Verdict, error)

	// Renew extends every lease that owner holds to until.
	Renew(ctx context.Context, owner string, until time.Time) error

	// Rendering returns a rendered message by the id a Claim or Delivery carries.
	Rendering(ctx context.Context, id int64) (channels.Message, error)

	// Pause stops all claims on a channel until p.Until; a zero Until lifts it.
	// Pauses are durable and known to every process on the ledger.
	Pause(ctx context.Context, p Pause) error
}

// ClaimRequest asks for work.
type ClaimRequest struct {
	Channel  string
	Owner    string // who leases: unique to a running process
	Now      time.Time
	Until    time.Time // end of the lease
	Limit    int
	Incident string // only this incident's deliveries; empty: any
}

// Claimed is the answer to a ClaimRequest.
type Claimed struct {
	Claims []Claim

	// Next is when it is worth asking again if nothing happens before: the
	// earliest due time or lease end of what is unsettled and was not claimed
	// now, or the end of the channel's pause. Zero if nothing else is unsettled.
	Next time.Time

	Paused *Pause // the channel's pause, if one is in force at Now
}

// Claim is a leased delivery: everything needed to attempt it.
type Claim struct {
	ID        int64 // the engine's own; for Settlement
	Owner     string
	Key       string
	Attempt   int // 1 for the first
	Channel   string
	To        channels.Recipient
	Thread    channels.Thread // of the latest delivered update of this incident to this recipient
	Rendering int64

	// Interrupted: an earlier attempt was begun and never settled, so the message
	// may have arrived. Ambiguous: the last settled attempt ended ambiguous.
	Interrupted bool
	Ambiguous   bool

	// Reopened: a person asked for this delivery again after it had ended (see
	// Intake.Reopen), so where nobody can tell whether an earlier attempt arrived
	// it is to be sent rather than left Unknown once more.
	Reopened bool

	Incident, Update, Customer, Severity, List, Audience string
	Seq                                                  int
	Accepted, Expire                                     time.Time
}

// Settlement is what became of a claim.
type Settlement struct {
	ID      int64  // Claim.ID
	Owner   string // Claim.Owner
	Attempt int    // Claim.Attempt; with Owner the proof that the lease is still ours

	// Outcome is the final word, or empty to try again at Due.
	Outcome Outcome
	Due     time.Time

	// Untried gives the claim back without an attempt having been made: with an
	// empty Outcome it is due at Due again and Attempt counts for nothing.
	Untried bool

	Fault   channels.Fault   // why it failed, or empty
	Detail  string           // the same for people; no secrets
	Receipt channels.Receipt // what the remote side gave back

	// Suppress records the address as one that is not to be written to again,
	// with Detail as the reason.
	Suppress bool

	Started, Ended time.Time // of the attempt
}

// Verdict is what the ledger made of a Settlement.
type Verdict struct {
	Applied bool    // false: the lease had passed to somebody else, nothing changed
	Outcome Outcome // may be Superseded where a retry was asked for; empty while pending
}

// Pause is a channel at rest.
type Pause struct {
	Channel string
	Until   time.Time
	Fault   channels.Fault
	Detail  string
	Since   time.Time
}

// Suppressor keeps the addresses that are not written to.
type Suppressor interface {
	// Suppressions returns all of a channel's, or of every channel for "".
	Suppressions(ctx context.Context, channel string) ([]Suppression, error)
	Suppress(ctx context.Context, s Suppression) error
	// Lift reports whether there was one.
	Lift(ctx context.Context, channel, address string) (bool, error)
}

// Suppression is an address that is not written to any more.
type Suppression struct {
	Channel, Address, Reason string
	At                       time.Time
}
