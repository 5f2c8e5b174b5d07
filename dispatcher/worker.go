package dispatcher

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// worker makes one attempt at a time, in a goroutine of its own, which calls the channel
// itself. A channel that does not come back from a call costs its lane that goroutine and
// nothing else: the lane leaves the worker behind (see watch.go), and another takes its
// place and goes on with its try.
type worker struct {
	lane *lane
	try  try // the worker's own; its successor's once it was left behind

	// The lane's mu guards these.
	term *term     // of the call under way; nil: there is none
	due  time.Time // when the call will have taken too long
	left bool      // it has: nothing in the worker's hands is its own any more
}

// try is a delivery in a worker's hands.
type try struct {
	held
	s       ledger.Settlement // what becomes of it
	e       channels.Envelope
	late    bool // its time is over, so it may be asked for and not sent
	finding bool // the channel is asked whether it arrived, see [channels.Finder]
}

// answer is what a channel said.
type answer struct {
	receipt channels.Receipt
	found   bool
	err     error
}

// serve works until there is nothing more to come, or the worker was left behind. Its
// place among the workers, which the lane waits for, is then its successor's.
func (w *worker) serve(soft, hard context.Context) {
	for h := range w.lane.work {
		w.try.held = h
		if !w.attempt(soft, hard) {
			return
		}
		w.finish()
	}
	w.lane.places.Done()
}

// succeed takes the place of a worker that was left behind, and ends its try: whether
// the message arrived, or will yet, nobody knows.
func (w *worker) succeed(from *worker, soft, hard context.Context) {
	w.try = from.try
	a := answer{err: channels.Errorf(channels.Ambiguous,
		"no answer after %s, and no end: it may have arrived", w.lane.Timeout)}
	if w.try.finding {
		w.lane.found(hard, &w.try, a) // a question without an answer ends the try
	} else {
		w.lane.sent(hard, &w.try, a)
	}
	w.finish()
	w.serve(soft, hard)
}

// finish hands over what became of a try, and forgets it: an idle worker holds on to
// nobody's message.
func (w *worker) finish() {
	t, l := &w.try, w.lane
	t.s = fit(t.s)
	l.crew.settler.put(l, t.Claim, &t.s)
	l.release(t.s.Ended.Sub(t.s.Started))
	*t = try{}
}

// call asks the channel something, within the lane's timeout. It contains panics. False
// means that the worker was left behind: then there is nothing that it may still do.
func (w *worker) call(hard context.Context) (a answer, ours bool) {
	ctx := w.enter(hard)
	a = w.lane.contained(ctx, &w.try)
	return a, w.leave()
}

func (w *worker) enter(hard context.Context) context.Context {
	l := w.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now() // not sooner: nobody's time begins while waiting for the lane
	w.term = l.join(hard, now)
	w.due = w.term.ends.Add(stubborn)
	if hard.Err() != nil {
		w.due = now.Add(stubborn)
	}
	l.watchFor(w.due, now)
	return w.term.ctx
}

// leave reports whether the call was still the worker's own.
func (w *worker) leave() bool {
	l := w.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.left {
		return false
	}
	l.part(w.term)
	w.term = nil
	return true
}

// contained turns a panic into an ambiguous fault: nobody knows how far it got.
func (l *lane) contained(ctx context.Context, t *try) (a answer) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		a = answer{err: channels.Errorf(channels.Ambiguous,
			"a mistake in the program (%s channel) ended the attempt; it may have arrived: please report it", l.Kind)}
		l.panic.Do(func() {
			l.d.o.Log.Error("a channel panicked", "channel", l.ID, "kind", l.Kind,
				"panic", oneLine(fmt.Sprint(v)), "stack", string(debug.Stack()))
		})
	}()
	if t.finding {
		a.receipt, a.found, a.err = l.find.Find(ctx, t.e)
	} else {
		a.receipt, a.err = l.Channel.Send(ctx, t.e)
	}
	return a
}
