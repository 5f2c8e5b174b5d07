// Package channels is the contract between the dispatcher and whatever carries an
// update to a person.
//
// A [Channel] makes one honest attempt to deliver one rendered [Message] to one
// recipient and says what happened. It never sees an incident, so it cannot leak
// what was not rendered for it; it neither retries nor truncates, so the
// dispatcher's account of attempts is the whole truth. What went wrong is an
// [Error] with one of a closed set of [Fault]s, and from the fault alone follow
// the retry, the pause of the channel, the suppression of an address and the
// metric label, so these can never disagree.
//
// What only some channels can do is an add-on interface found by type assertion:
// [Editor], [Finder], [Prober], [Inspector], [Closer].
//
// Every implementation passes the suite in channels/channeltest. The only list of
// implementations is channels/builtin.
package channels

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Channel is a configured way out. Implementations are safe for concurrent use.
type Channel interface {
	// Spec is constant: the format and the limits this channel takes.
	Spec() Spec

	// Send makes ONE attempt for ONE recipient. Nil means the remote side took
	// responsibility for the message. Send returns soon after ctx is done. Its
	// errors are, or wrap, an *Error and hold no credential and no secret URL.
	// It neither retries nor truncates.
	Send(ctx context.Context, e Envelope) (Receipt, error)
}

// Editor is a channel that can correct a message it delivered earlier, in place.
type Editor interface {
	// Edit replaces the message that r speaks of by e's. Faults are as for Send.
	Edit(ctx context.Context, e Envelope, r Receipt) (Receipt, error)
}

// Finder is a channel that can find out what became of an ambiguous attempt.
type Finder interface {
	// Find looks for the message with e.Key on the remote side. True with its
	// receipt means it arrived; false without an error means it did not, so that
	// sending it again makes no duplicate. An error means nobody knows.
	Find(ctx context.Context, e Envelope) (Receipt, bool, error)
}

// Prober is a channel that can tell whether a delivery to r would work, without
// the recipient noticing anything.
type Prober interface {
	Probe(ctx context.Context, r Recipient) error
}

// Inspector is a channel that can prove step by step, without sending anything, that
// its remote sides are reached, trusted and willing.
type Inspector interface {
	// Inspect goes through all steps with every remote side and returns what it found,
	// in order. With each it stops at the first step that fails: that is the last
	// finding of this remote side, and its Err is, or wraps, an *Error as for Send.
	// The error is all of these joined, and nil if every step went well.
	Inspect(ctx context.Context) ([]Finding, error)
}

// Finding is what one step of an inspection proved, or how it failed.
type Finding struct {
	Remote string    // whom it is about, such as smtp.example.com:587
	Step   string    // what was tried, in a word or two: connection, encryption, login, sender
	Detail string    // what was found, for people; empty if it failed
	Until  time.Time // when what was found ends, such as a certificate; zero: it does not
	Err    error     // why it failed, for people; nil if it went well
}

// Closer is a channel that holds connections between sends. Close ends them; it is
// called once, when no Send is running.
type Closer interface {
	Close() error
}

// Spec is what a channel takes.
type Spec struct {
	Format Format
	Limits Limits

	// Threads reports that a Receipt.Thread is useful to the incident's next
	// update for the same recipient.
	Threads bool

	// Ambiguous is what to do by default with a delivery that may have arrived
	// and that Find cannot settle: ResendAmbiguous where a second copy does less
	// harm than none, KeepUnknown where it does more.
	Ambiguous AmbiguousPolicy

	// Workers is how many sends at a time serve this kind well by default. One
	// keeps messages in a room in order; zero means the dispatcher's default.
	Workers int

	// Timeout is how long one attempt may take by default: for a channel whose
	// sends wait for each other, or for a slow remote side's last word, longer than
	// the dispatcher's default. Zero means that default.
	Timeout time.Duration
}

// AmbiguousPolicy is what becomes of a delivery that may or may not have arrived.
type AmbiguousPolicy string

// The policies. The zero value is not a policy; configuration fills it from Spec.
const (
	ResendAmbiguous AmbiguousPolicy = "resend"
	KeepUnknown     AmbiguousPolicy = "unknown"
)

// Envelope is one delivery, ready to be attempted.
type Envelope struct {
	// Key identifies the delivery and is the same on every attempt: use it as the
	// idempotency key, the Message-ID, the pending_post_id. It is 26 characters
	// of [a-z0-9] and carries no secret.
	Key     string
	To      Recipient
	Message Message
	Thread  Thread // what an earlier update of this incident left here, or empty

	// Accepted is when the update was accepted: the same on every attempt, so a
	// date in the message does not differ between them. Zero means not known.
	Accepted time.Time

	// List is the id of the distribution list that the recipient is told through,
	// and Audience whom the message is for: internal, customer or public. Empty means
	// not known.
	List, Audience string

	// Required: the recipient is to be told by contract and cannot sign off, so the
	// message offers no way to.
	Required bool
}

// Recipient is one address on one channel.
type Recipient struct {
	Address string // in the channel's own form
	Name    string // display name, or empty
	Locale  string // BCP 47, or empty
	Zone    string // IANA zone name, or empty
}

// Receipt is what the remote side gave back. Every field may be empty.
type Receipt struct {
	RemoteID  string // message id, post id, queue id
	Permalink string // where a person can see it; never a secret URL
	Thread    Thread // for the incident's next update to the same recipient
}

// Thread is opaque to everybody but the channel that made it. It is stored in the
// ledger: no secrets, at most 8 KiB.
type Thread string

// Env is what a channel may use of its surroundings. Nothing else is ambient: a
// channel reads no environment variable and no global.
type Env struct {
	ID    string // the channel's id in the configuration; for messages to the operator
	HTTP  *http.Client
	Log   *slog.Logger
	Now   func() time.Time
	Agent string // "sitrep/1.2.3", for User-Agent and EHLO-like introductions

	// Pages is the built-in status page, for channels/page only. Nil elsewhere.
	Pages any
}

// Decode fills the struct v points to from the channel's stanza in the
// configuration. It refuses unknown keys, resolves secrets (`*_file`, ${ENV}) and
// reports every mistake with file and line.
type Decode func(v any) error

// New builds a channel from its stanza. It reports every mistake in the stanza at
// once, does no I/O and starts nothing: a configuration can be checked anywhere.
type New func(Decode, Env) (Channel, error)

// Kind is an entry of the list in channels/builtin.
type Kind struct {
	New New

	// Config is the zero value of the kind's stanza: the JSON Schema and the check
	// of config.example.yaml are made from it.
	Config any

	// Address reports what is wrong with an address in a distribution list, in
	// words for the operator, or nil. It does no I/O. Nil accepts anything.
	Address func(string) error
}
