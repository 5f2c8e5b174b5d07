package dispatcher

import (
	"context"
	"fmt"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
)

// attempt makes at most one attempt at the worker's try and says there what became of
// it. False means that the worker was left behind: then that is its successor's.
func (w *worker) attempt(soft, hard context.Context) (ours bool) {
	t, l := &w.try, w.lane
	if l.withheld(soft, hard, t) {
		return true
	}
	if t.Interrupted || t.Ambiguous {
		if again, ours := w.inquire(hard); !again {
			return ours
		}
	}
	if t.late {
		expired(&t.s, t.Claim)
		return true
	}
	l.d.deliveryEvent(EventStarted, t.Claim, t.s.Started)
	a, ours := w.call(hard)
	if ours {
		l.sent(hard, t, a)
	}
	return ours
}

// inquire is for a delivery that may have arrived already. again says that it may be
// sent (again): never if the worker was left behind.
func (w *worker) inquire(hard context.Context) (again, ours bool) {
	t, l := &w.try, w.lane
	if l.find == nil {
		return !l.keptUnknown(t), true
	}
	t.finding = true
	a, ours := w.call(hard)
	if !ours || l.found(hard, t, a) {
		return false, ours
	}
	t.finding = false
	return true, true
}

// withheld begins a try, and reports whether that is all: there is nothing to be sent
// or asked now.
func (l *lane) withheld(soft, hard context.Context, t *try) bool {
	passed, now := l.crew.now(hard)
	t.s = ledger.Settlement{ID: t.ID, Owner: t.Owner, Attempt: t.Claim.Attempt, Started: now, Ended: now}
	if l.crew.recalls.includes(t.held) {
		recalled(&t.s, t.Claim)
		return true
	}
	if back, due := l.giveBack(soft, t.held, passed, now); back {
		t.s.Untried, t.s.Due = true, due
		return true
	}
	t.late = !now.Before(t.Expire) && (l.gone || !l.crew.clock.excuses(t.Claim))
	if t.late && !t.Interrupted && !t.Ambiguous {
		expired(&t.s, t.Claim)
		return true
	}
	if err := l.address(hard, t); err != nil {
		l.d.trouble(l.ID, "read the text of a delivery", err)
		t.s.Untried, t.s.Due = true, now.Add(l.d.o.Poll)
		return true
	}
	return false
}

// giveBack says whether a claim goes back untried, and until when: the program
// stops, the lease may have passed to somebody else, or the channel rests.
func (l *lane) giveBack(soft context.Context, h held, passed, now time.Time) (bool, time.Time) {
	switch {
	case soft.Err() != nil, !l.crew.lease.holds(h.claimed, h.until, passed), l.resting(now):
		return true, now
	case l.gone && now.Before(h.Expire):
		return true, sooner(now.Add(goneEvery), h.Expire)
	default:
		return false, time.Time{}
	}
}

// address makes the envelope.
func (l *lane) address(hard context.Context, t *try) error {
	m, err := l.crew.cache.get(hard, l.d.o.Lease, t.Rendering)
	t.e = channels.Envelope{
		Key: t.Key, To: t.To, Message: m, Thread: t.Thread, Accepted: t.Accepted, List: t.List, Audience: t.Audience, Required: l.requires(t.Claim),
	}
	return err
}

// sent takes the channel's answer to a message.
func (l *lane) sent(hard context.Context, t *try, a answer) {
	s := &t.s
	s.Ended = l.d.o.Now()
	fault, asked := channels.FaultOf(a.err)
	l.d.o.Record.Attempt(l.ID, t.Key, fault, s.Ended.Sub(s.Started))
	if a.err == nil {
		s.Outcome, s.Receipt = ledger.Delivered, a.receipt
		l.gotThrough(s.Started)
	} else {
		s.Fault, s.Detail = fault, a.err.Error()
		l.failed(hard, t, asked)
	}
	l.traceAttempt(t.Claim, s)
}

// failed follows an attempt that did not succeed.
func (l *lane) failed(hard context.Context, t *try, asked time.Duration) {
	s := &t.s
	l.d.o.Log.Warn("an attempt failed", "channel", l.ID, "delivery", t.Key, "attempt", t.Claim.Attempt,
		"fault", string(s.Fault), "error", oneLine(s.Detail))
	l.afterFault(hard, t.Claim, asked, s)
	if s.Outcome == ledger.Failed && t.e.Required {
		l.untold(t.Claim, s)
	}
}

// untold raises the alarm instead of suppressing the recipient.
func (l *lane) untold(c *ledger.Claim, s *ledger.Settlement) {
	s.Suppress = false
	l.d.o.Record.Untold(c.Customer, l.ID)
	l.d.o.Log.Error("a recipient that is to be told by contract cannot be reached: tell them by another way, and correct the address in the customer's lists",
		"customer", c.Customer, "channel", l.ID, "delivery", c.Key, "error", oneLine(s.Detail))
}

// requires reports whether the recipient is to be told by contract, by the lists as
// they are now.
func (l *lane) requires(c *ledger.Claim) bool {
	return l.crew.keeper.rosters().requires(c.Customer, c.Channel, c.To.Address)
}

// afterFault decides what a failed attempt leads to. It follows from the fault
// alone, and for an ambiguous one from what the channel can do.
func (l *lane) afterFault(hard context.Context, c *ledger.Claim, asked time.Duration, s *ledger.Settlement) {
	if s.Fault.Final() {
		l.gotThrough(s.Started)
	}
	switch {
	case s.Fault.Final():
		s.Outcome, s.Suppress = ledger.Failed, s.Fault == channels.NoRecipient
	case s.Fault.OfChannel():
		l.rest(hard, s.Fault, asked, oneLine(s.Detail))
		s.Due = s.Ended // the channel's pause is all that holds it back, so lifting that is enough
	case s.Fault == channels.Ambiguous && l.find == nil && l.Ambiguous == channels.KeepUnknown:
		s.Outcome = ledger.Unknown
	case hard.Err() != nil:
		s.Due = s.Ended // we cut it off ourselves: no reason to wait after a restart
	case s.Fault == channels.Ambiguous && l.find != nil:
		// What is still being saved on the remote side must have time to show.
		s.Due = sooner(s.Ended.Add(max(l.Backoff.Base, l.Backoff.wait(c.Attempt, asked))), c.Expire)
	default:
		s.Due = sooner(s.Ended.Add(l.Backoff.wait(c.Attempt, asked)), c.Expire)
	}
}

// keptUnknown is for a delivery that may have arrived already, on a channel that cannot
// tell. It returns true if that is its end, false if it may be sent (again).
func (l *lane) keptUnknown(t *try) bool {
	if !t.late && (l.Ambiguous != channels.KeepUnknown || t.Reopened) {
		return false
	}
	t.s.Outcome, t.s.Fault, t.s.Detail = ledger.Unknown, channels.Ambiguous, unknownWhy(t.Claim)
	t.s.Untried = true // this claim sent nothing and asked nobody
	return true
}

// found takes the channel's answer to the question whether a message arrived. It
// returns true if that settles the try, false if the message may be sent (again): never
// after an error.
func (l *lane) found(hard context.Context, t *try, a answer) bool {
	s := &t.s
	s.Ended = l.d.o.Now()
	l.traceFind(t.Claim, s.Started, s.Ended, a)
	switch {
	case a.err == nil && a.found:
		s.Outcome, s.Receipt = ledger.Delivered, a.receipt
		s.Detail = "an earlier attempt had got through, as the remote side confirmed"
	case a.err == nil:
		s.Started = s.Ended
		return false
	case t.late:
		s.Outcome, s.Fault = ledger.Unknown, channels.Ambiguous
		s.Detail = fmt.Sprintf("%s; asking the remote side failed: %v", unknownWhy(t.Claim), a.err)
	default:
		l.askAgain(hard, t.Claim, a.err, s)
	}
	return true
}

// askAgain is for a doubt that the remote side could not settle just now. The
// fault stays ambiguous, so that the next claim asks first as well.
func (l *lane) askAgain(hard context.Context, c *ledger.Claim, err error, s *ledger.Settlement) {
	fault, asked := channels.FaultOf(err)
	s.Fault = channels.Ambiguous
	s.Detail = fmt.Sprintf("%s; asking the remote side failed: %v", unknownWhy(c), err)
	switch {
	case fault.OfChannel():
		l.rest(hard, fault, asked, oneLine(err.Error()))
		s.Due = s.Ended
	case hard.Err() != nil:
		s.Due = s.Ended
	default:
		s.Due = sooner(s.Ended.Add(l.Backoff.wait(c.Attempt, asked)), c.Expire)
	}
}

func unknownWhy(c *ledger.Claim) string {
	if c.Interrupted {
		return "it may have arrived: the program stopped in the middle of sending it"
	}
	return "it may have arrived: the connection was lost before the answer came"
}

// expired ends a delivery whose time is over. This claim was no attempt and is not
// counted as one.
func expired(s *ledger.Settlement, c *ledger.Claim) {
	s.Outcome, s.Untried = ledger.Expired, true
	after := incident.Hours(c.Expire.Sub(c.Accepted))
	switch tries := c.Attempt - 1; {
	case tries <= 0:
		s.Detail = fmt.Sprintf("given up after %s without having been tried", after)
	case tries == 1:
		s.Detail = fmt.Sprintf("given up after %s and one attempt", after)
	default:
		s.Detail = fmt.Sprintf("given up after %s and %d attempts", after, tries)
	}
}

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
