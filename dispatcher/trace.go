package dispatcher

import (
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
)

// SpanName is what a [Span] measures. The set is closed.
type SpanName string

// The spans of an update, and the fields of [Span] each fills beside the first ones.
const (
	// SpanUpdate is the way of an update into the ledger, from the beginning of its
	// plan until it is on disk, and once in its life: an update that comes again has
	// none. All other spans of the update are its children, also those that are made
	// hours later or by another process. Count (the deliveries that were added).
	SpanUpdate SpanName = "update"
	// SpanPlan is reading, resolving, rendering and guarding. Count (the deliveries
	// that publishing would add). A preview has no span, for nothing came of it.
	SpanPlan SpanName = "plan"
	// SpanAccept is the transaction that records it. Count (the deliveries that were
	// added, now or to be written by and by); Failed if it did not succeed.
	SpanAccept SpanName = "accept"
	// SpanClaim is one question of a lane for work, once for every update of which it
	// got deliveries. Channel, Count, Deliveries. Questions without an answer have no
	// span.
	SpanClaim SpanName = "claim"
	// SpanFind is a question to the remote side whether a message is there. Channel,
	// Deliveries, Attempt, Fault, and Outcome: delivered if it was.
	SpanFind SpanName = "find"
	// SpanAttempt is one call of a channel. Channel, Deliveries, Attempt, Fault, and
	// Outcome: empty if it is to be tried again.
	SpanAttempt SpanName = "attempt"
)

// Span is one finished step in the life of an update, for traces. There is no field
// for an address, a text or what a remote side said ("550 no such user bob@…"): what
// is not in it cannot leave the house by a trace.
type Span struct {
	Name         SpanName
	Began, Ended time.Time

	Update             string // its key, which all spans of a trace have in common
	Incident, Customer string

	Channel    string
	Deliveries []string // keys; of a claim the first deliveriesInSpan
	Attempt    int
	Count      int

	Fault   channels.Fault
	Outcome ledger.Outcome
	Failed  bool // the program's own doing failed, see SpanAccept
}

// deliveriesInSpan is how many deliveries a claim's span names.
const deliveriesInSpan = 64

// span is the time that something took.
type span struct{ began, ended time.Time }

// traceAccept is the end of an acceptance, with everything before it. Nothing of it is
// traced before, because only then it is an update.
func (d *Dispatcher) traceAccept(u incident.Update, planning span, count int, began time.Time, got ledger.Accepted, err error) {
	if d.o.OnSpan == nil {
		return
	}
	s := Span{Update: u.Key, Incident: u.Incident, Customer: u.Customer}
	plan, accept, whole := s, s, s
	plan.Name, plan.Began, plan.Ended, plan.Count = SpanPlan, planning.began, planning.ended, count
	accept.Name, accept.Began, accept.Ended = SpanAccept, began, d.o.Now()
	accept.Count, accept.Failed = got.Added, err != nil
	if !got.Duplicate {
		accept.Count += got.Update.Unwritten
	}
	d.o.OnSpan(plan)
	d.o.OnSpan(accept)
	if err == nil && !got.Duplicate {
		whole.Name, whole.Began, whole.Ended, whole.Count = SpanUpdate, planning.began, accept.Ended, accept.Count
		d.o.OnSpan(whole)
	}
}

// traceClaims is the end of a question that brought work.
func (l *lane) traceClaims(claims []ledger.Claim, began time.Time) {
	if l.d.o.OnSpan == nil {
		return
	}
	ended := l.d.o.Now()
	at, all := map[string]int{}, []Span{}
	for n := range claims {
		c := &claims[n]
		i, ok := at[c.Update]
		if !ok {
			i = len(all)
			at[c.Update] = i
			s := spanOf(SpanClaim, c, began, ended)
			s.Attempt, s.Deliveries = 0, nil
			all = append(all, s)
		}
		s := &all[i]
		if s.Count++; s.Count <= deliveriesInSpan {
			s.Deliveries = append(s.Deliveries, c.Key)
		}
	}
	for _, s := range all {
		l.d.o.OnSpan(s)
	}
}

// traceFind is the end of asking the remote side for a message.
func (l *lane) traceFind(c *ledger.Claim, began, ended time.Time, a answer) {
	if l.d.o.OnSpan == nil {
		return
	}
	s := spanOf(SpanFind, c, began, ended)
	s.Fault, _ = channels.FaultOf(a.err)
	if a.err == nil && a.found {
		s.Outcome = ledger.Delivered
	}
	l.d.o.OnSpan(s)
}

// traceAttempt is the end of an attempt.
func (l *lane) traceAttempt(c *ledger.Claim, made *ledger.Settlement) {
	if l.d.o.OnSpan == nil {
		return
	}
	s := spanOf(SpanAttempt, c, made.Started, made.Ended)
	s.Fault, s.Outcome = made.Fault, made.Outcome
	l.d.o.OnSpan(s)
}

func spanOf(name SpanName, c *ledger.Claim, began, ended time.Time) Span {
	return Span{
		Name: name, Began: began, Ended: ended, Update: c.Update, Incident: c.Incident, Customer: c.Customer,
		Channel: c.Channel, Deliveries: []string{c.Key}, Attempt: c.Attempt,
	}
}
