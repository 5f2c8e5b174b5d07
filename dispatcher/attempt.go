package dispatcher

import (
	"context"
	"fmt"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
)

// attempt makes at most one attempt at a claim and says what became of it.
func (l *lane) attempt(soft, hard context.Context, by *hand, h held) ledger.Settlement {
	l.crew.watchClock(hard)
	now := l.d.o.Now()
	s := ledger.Settlement{ID: h.ID, Owner: h.Owner, Attempt: h.Claim.Attempt, Started: now, Ended: now}
	if l.crew.recalls.includes(h) {
		return recalled(s, h.Claim)
	}
	if back, due := l.giveBack(soft, h, now); back {
		s.Untried, s.Due = true, due
		return s
	}
	doubt := h.Interrupted || h.Ambiguous
	late := !now.Before(h.Expire) && (l.gone || !l.crew.clock.excuses(h.Claim))
	if late && !doubt {
		return expired(s, h.Claim)
	}
	e, err := l.envelope(hard, h.Claim)
	if err != nil {
		l.d.trouble(l.ID, "read the text of a delivery", err)
		s.Untried, s.Due = true, now.Add(l.d.o.Poll)
		return s
	}
	if doubt && l.settleDoubt(hard, by, e, h.Claim, late, &s) {
		return fit(s)
	}
	if late {
		return expired(s, h.Claim)
	}
	l.send(hard, by, e, h.Claim, &s)
	l.traceAttempt(h.Claim, &s)
	return fit(s)
}

// giveBack says whether a claim goes back untried, and until when: the program
// stops, the lease may have passed to somebody else, or the channel rests.
func (l *lane) giveBack(soft context.Context, h held, now time.Time) (bool, time.Time) {
	if soft.Err() != nil || !l.crew.lease.holds(h.claimed, h.until, time.Now()) {
		return true, now
	}
	if _, resting := l.resting(now); resting {
		return true, now
	}
	if l.gone && now.Before(h.Expire) {
		return true, sooner(now.Add(goneEvery), h.Expire)
	}
	return false, time.Time{}
}

func (l *lane) envelope(hard context.Context, c ledger.Claim) (channels.Envelope, error) {
	m, err := l.crew.cache.get(hard, l.d.o.Lease, c.Rendering)
	return channels.Envelope{
		Key: c.Key, To: c.To, Message: m, Thread: c.Thread, Accepted: c.Accepted, List: c.List, Audience: c.Audience, Required: l.requires(c),
	}, err
}

// send is the attempt itself.
func (l *lane) send(hard context.Context, by *hand, e channels.Envelope, c ledger.Claim, s *ledger.Settlement) {
	l.d.event(deliveryEvent(EventStarted, c, s.Started))
	a := by.call(hard, func(ctx context.Context) (a answer) {
		a.receipt, a.err = l.Channel.Send(ctx, e)
		return a
	})
	s.Ended = l.d.o.Now()
	fault, asked := channels.FaultOf(a.err)
	l.d.o.Record.Attempt(l.ID, c.Key, fault, s.Ended.Sub(s.Started))
	if a.err == nil {
		s.Outcome, s.Receipt = ledger.Delivered, a.receipt
		l.gotThrough(s.Started)
		return
	}
	s.Fault, s.Detail = fault, a.err.Error()
	l.d.o.Log.Warn("an attempt failed", "channel", l.ID, "delivery", c.Key, "attempt", c.Attempt,
		"fault", string(fault), "error", oneLine(s.Detail))
	l.afterFault(hard, c, asked, s)
	if s.Outcome == ledger.Failed && e.Required {
		l.untold(c, s)
	}
}

// untold raises the alarm instead of suppressing the recipient.
func (l *lane) untold(c ledger.Claim, s *ledger.Settlement) {
	s.Suppress = false
	l.d.o.Record.Untold(c.Customer, l.ID)
	l.d.o.Log.Error("a recipient that is to be told by contract cannot be reached: tell them by another way, and correct the address in the customer's lists",
		"customer", c.Customer, "channel", l.ID, "delivery", c.Key, "error", oneLine(s.Detail))
}

// requires reports whether the recipient is to be told by contract, by the lists as
// they are now.
func (l *lane) requires(c ledger.Claim) bool {
	return l.crew.keeper.rosters().requires(c.Customer, c.Channel, c.To.Address)
}

// afterFault decides what a failed attempt leads to. It follows from the fault
// alone, and for an ambiguous one from what the channel can do.
func (l *lane) afterFault(hard context.Context, c ledger.Claim, asked time.Duration, s *ledger.Settlement) {
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

// settleDoubt is for a delivery that may have arrived already. It returns true if
// s says what becomes of it, false if it may be sent (again).
func (l *lane) settleDoubt(
	hard context.Context, by *hand, e channels.Envelope, c ledger.Claim, late bool, s *ledger.Settlement,
) bool {
	if l.find == nil {
		if late || (l.Ambiguous == channels.KeepUnknown && !c.Reopened) {
			s.Outcome, s.Fault, s.Detail = ledger.Unknown, channels.Ambiguous, unknownWhy(c)
			s.Untried = true // this claim sent nothing and asked nobody
			return true
		}
		return false
	}
	a := by.call(hard, func(ctx context.Context) (a answer) {
		a.receipt, a.found, a.err = l.find.Find(ctx, e)
		return a
	})
	s.Ended = l.d.o.Now()
	l.traceFind(c, s.Started, s.Ended, a)
	switch {
	case a.err == nil && a.found:
		s.Outcome, s.Receipt = ledger.Delivered, a.receipt
		s.Detail = "an earlier attempt had got through, as the remote side confirmed"
	case a.err == nil:
		s.Started = s.Ended
		return false
	case late:
		s.Outcome, s.Fault = ledger.Unknown, channels.Ambiguous
		s.Detail = fmt.Sprintf("%s; asking the remote side failed: %v", unknownWhy(c), a.err)
	default:
		l.askAgain(hard, c, a.err, s)
	}
	return true
}

// askAgain is for a doubt that the remote side could not settle just now. The
// fault stays ambiguous, so that the next claim asks first as well.
func (l *lane) askAgain(hard context.Context, c ledger.Claim, err error, s *ledger.Settlement) {
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

func unknownWhy(c ledger.Claim) string {
	if c.Interrupted {
		return "it may have arrived: the program stopped in the middle of sending it"
	}
	return "it may have arrived: the connection was lost before the answer came"
}

// expired ends a delivery whose time is over. This claim was no attempt and is not
// counted as one.
func expired(s ledger.Settlement, c ledger.Claim) ledger.Settlement {
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
	return s
}

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
