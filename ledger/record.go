package ledger

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"time"

	"sitrep/channels"
)

// Outcome is a delivery's final word. Empty means it is still pending.
type Outcome string

// The outcomes. The set is closed: it is also a metric label.
const (
	Delivered  Outcome = "delivered"  // the remote side took responsibility
	Failed     Outcome = "failed"     // refused for good; Fault says why
	Bounced    Outcome = "bounced"    // accepted, then returned
	Expired    Outcome = "expired"    // its time was over before it got through
	Superseded Outcome = "superseded" // a newer update overtook it while it was failing
	Suppressed Outcome = "suppressed" // the address is not written to any more
	Cancelled  Outcome = "cancelled"  // a person took it back before it was sent
	Unknown    Outcome = "unknown"    // it may have arrived, and nobody can tell
)

// Outcomes returns all outcomes. The slice is the caller's.
func Outcomes() []Outcome {
	return []Outcome{Delivered, Failed, Bounced, Expired, Superseded, Suppressed, Cancelled, Unknown}
}

// Valid reports whether o is one of the closed set (the empty one is not).
func (o Outcome) Valid() bool { return slices.Contains(Outcomes(), o) }

// Incident is the ledger's row of an incident.
type Incident struct {
	ID       string
	Customer string
	Severity string // "SEV1" or empty
	Started  time.Time
	Status   string // of the latest update
	Seq      int    // of the latest update
	Updated  time.Time
	Next     time.Time // the latest promise; zero for none
}

// Update is the ledger's row of an update.
type Update struct {
	Key      string
	Incident string
	Customer string
	Seq      int
	Status   string
	Title    string // one line, for reports (internal)
	At       time.Time
	Accepted time.Time
	Next     time.Time       // the promise it made; zero for none
	Source   string          // the Markdown as it came in
	Override string          // why the leak guard was overridden; empty if it was not
	Content  json.RawMessage // the resolved update, for rendering it again

	// Unwritten is how many recipients have no delivery on record yet, though the
	// update and who they are is. See [Expander]. Only for reading.
	Unwritten int
}

// Delivery is the ledger's row of a delivery, for reading.
type Delivery struct {
	Key, Update, Incident, Customer, Severity string
	Seq                                       int
	List, Audience, Channel                   string
	To                                        channels.Recipient
	Rendering                                 int64
	Outcome                                   Outcome // empty while pending
	Attempts                                  int
	Leased                                    bool           // an attempt is under way
	Fault                                     channels.Fault // of the last failed attempt
	Detail                                    string
	Receipt                                   channels.Receipt
	Due, Expire, Accepted, Settled            time.Time // Settled is zero while pending
}

// Attempt is one try that did not simply succeed (the try that delivered is the
// delivery's own row).
type Attempt struct {
	Number         int
	Fault          channels.Fault // Ambiguous for an interrupted attempt
	Interrupted    bool           // the process died before it could say what happened
	Detail         string
	Started, Ended time.Time // Ended is zero for an interrupted attempt: nobody knows
}

// Reader is the read side.
type Reader interface {
	// Incidents returns incidents, most recently updated first.
	Incidents(ctx context.Context, q IncidentQuery) ([]Incident, error)
	// Updates returns updates, newest first.
	Updates(ctx context.Context, q UpdateQuery) ([]Update, error)
	// Deliveries streams deliveries, update by update in the order of acceptance
	// and as they were planned within one. Nothing is held while the caller works
	// on one, so it may call any other method; what changes meanwhile may or may
	// not be seen.
	Deliveries(ctx context.Context, q DeliveryQuery) iter.Seq2[Delivery, error]
	// Attempts returns the attempts on record for a delivery, oldest first.
	Attempts(ctx context.Context, delivery string) ([]Attempt, error)
	// Tally counts deliveries without reading them one by one.
	Tally(ctx context.Context, q DeliveryQuery) ([]Tally, error)
}

// IncidentQuery narrows Incidents. Its zero value means all.
type IncidentQuery struct {
	ID       string
	Customer string
	Open     bool // only those whose latest status is not resolved
	Limit    int
}

// UpdateQuery narrows Updates. Its zero value means all.
type UpdateQuery struct {
	Key      string // the whole key or, from six characters on, its beginning
	Incident string
	Customer string
	Before   string // accepted before the update with this key; one that is unknown, or not Customer's, finds nothing
	Limit    int
}

// DeliveryQuery narrows Deliveries and Tally. Its zero value means all.
type DeliveryQuery struct {
	Update, Incident, Customer, Channel string
	Outcomes                            []Outcome // Pending for pending ones; nil: any
	Since                               time.Time // accepted at or after

	// After begins a listing behind the delivery with this key; one that is unknown,
	// or not Customer's, lists nothing. A Tally counts everything all the same.
	After string
}

// Pending stands for "no outcome yet" in a DeliveryQuery and a Tally.
const Pending Outcome = ""

// Tally is how many deliveries of a channel are in one state.
type Tally struct {
	Customer, Channel string
	Outcome           Outcome // Pending for unsettled
	Retrying          bool    // pending, and at least one attempt has failed
	Count             int
	Oldest            time.Time // the earliest Accepted among them
}

// Pages is what the built-in status page keeps. It is the remote side of
// channels/page, and durable like the rest.
type Pages interface {
	// Publish puts an entry on a page. The same Key replaces what was there, so a
	// repeated attempt shows once.
	Publish(ctx context.Context, e PageEntry) error
	// Entry returns an entry by the key of its delivery, or ErrNotFound.
	Entry(ctx context.Context, key string) (PageEntry, error)
	// Entries returns a page's entries, newest first.
	Entries(ctx context.Context, page string, since time.Time) ([]PageEntry, error)
	// Page returns a page by its address, making it with a new random Token the
	// first time.
	Page(ctx context.Context, address string) (Page, error)
	// PageByToken finds the page a link leads to, or ErrNotFound.
	PageByToken(ctx context.Context, token string) (Page, error)
}

// Page is one status page.
type Page struct {
	Address string // as in the lists: "abc", "public"
	Token   string // 128 random bits in base32: the unguessable part of a private page's link
}

// PageEntry is one update on one page.
type PageEntry struct {
	Key     string // the delivery's
	Page    string // address
	At      time.Time
	Payload []byte // JSON of channels.PageUpdate
}
