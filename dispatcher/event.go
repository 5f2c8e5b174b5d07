package dispatcher

import (
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// EventKind is what an [Event] tells. The set is closed.
type EventKind string

// The kinds of events, and the fields of [Event] each fills beside Kind and At.
const (
	// EventAccepted: an update and all its deliveries are on disk. Update,
	// Incident, Customer, and Count (the deliveries that were added).
	EventAccepted EventKind = "accepted"
	// EventStarted: an attempt begins. All fields of the delivery, and Attempt.
	EventStarted EventKind = "started"
	// EventRetry: an attempt failed and there will be another one at Until.
	EventRetry EventKind = "retry"
	// EventSettled: a delivery has its outcome.
	EventSettled EventKind = "settled"
	// EventPaused: a whole channel rests until Until. Channel, Fault, Detail.
	EventPaused EventKind = "paused"
	// EventResumed: a channel that was paused works again. Channel.
	EventResumed EventKind = "resumed"
	// EventTrouble: the ledger cannot be written or read just now; nothing is
	// lost and the dispatcher keeps trying. Detail, and Channel where it concerns
	// only one.
	EventTrouble EventKind = "trouble"
)

// Event is one step of progress, for people who watch. The ledger is the record;
// events are not stored. Fields that a kind does not fill are zero.
type Event struct {
	Kind EventKind
	At   time.Time

	Update, Incident, Customer string

	Channel string
	Key     string // of the delivery
	To      channels.Recipient
	Attempt int
	Count   int

	Outcome ledger.Outcome
	Fault   channels.Fault
	Detail  string // for people; no secrets
	Until   time.Time
	Receipt channels.Receipt
}

// Recorder counts what happens, for metrics. Its methods are called from many
// goroutines, must not block and take only plain values, so that an
// implementation need not know the dispatcher.
type Recorder interface {
	// Attempt is one try at a delivery: fault is empty if it succeeded.
	Attempt(channel, delivery string, fault channels.Fault, took time.Duration)
	// Settled is a delivery's outcome, once per delivery; age is the time since
	// its update was accepted.
	Settled(customer, channel, severity, outcome, delivery string, age time.Duration)
	// Up reports that a channel works (true) or was paused for good reason
	// (false).
	Up(channel string, up bool)
	// Trouble is something that went wrong outside any delivery: part is
	// "template" (an operator's template failed and the built-in one was used) or
	// "ledger" (it could not be written or read). Channel may be empty.
	Trouble(part, channel string)
	// Untold is a delivery to a recipient that is to be told by contract and that
	// the other side has refused for good.
	Untold(customer, channel string)
}

// The parts that a [Recorder] hears of trouble with.
const (
	partTemplate = "template"
	partLedger   = "ledger"
)

// noRecorder stands in where no metrics are wanted.
type noRecorder struct{}

func (noRecorder) Attempt(string, string, channels.Fault, time.Duration)         {}
func (noRecorder) Settled(string, string, string, string, string, time.Duration) {}
func (noRecorder) Up(string, bool)                                               {}
func (noRecorder) Trouble(string, string)                                        {}
func (noRecorder) Untold(string, string)                                         {}

// deliveryEvent tells those who watch about the delivery that was claimed.
func (d *Dispatcher) deliveryEvent(kind EventKind, c *ledger.Claim, at time.Time) {
	if d.o.OnEvent != nil {
		d.o.OnEvent(eventOf(kind, c, at))
	}
}

func eventOf(kind EventKind, c *ledger.Claim, at time.Time) Event {
	return Event{
		Kind: kind, At: at,
		Update: c.Update, Incident: c.Incident, Customer: c.Customer,
		Channel: c.Channel, Key: c.Key, To: c.To, Attempt: c.Attempt,
	}
}
