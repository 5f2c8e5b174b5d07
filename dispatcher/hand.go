package dispatcher

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"sitrep/channels"
)

// A channel that does not come back this long after its time was up is left alone
// with what it is doing: the attempt counts as ambiguous and its worker goes on.
const stubborn = 5 * time.Second

// answer is what a channel said.
type answer struct {
	receipt channels.Receipt
	found   bool
	err     error
}

// hand is the goroutine in which a worker's attempts run. It is one for all of them,
// because a new goroutine would grow its stack anew for every message; and it is not
// the worker's own, so that the worker can go on without it.
type hand struct {
	lane *lane
	jobs chan job
	done chan answer
}

type job struct {
	ctx context.Context //nolint:containedctx // it goes to another goroutine and no further
	ask func(context.Context) answer
}

func newHand(l *lane) *hand {
	h := &hand{lane: l}
	h.begin()
	return h
}

func (h *hand) begin() {
	jobs, done := make(chan job), make(chan answer, 1)
	h.jobs, h.done = jobs, done
	go func() {
		for j := range jobs {
			done <- h.lane.contained(j.ctx, j.ask)
		}
	}()
}

// end lets the goroutine go once it has come back.
func (h *hand) end() { close(h.jobs) }

// call asks the channel something, within the lane's timeout. It contains panics,
// and a channel that ignores its context delays nobody for long.
func (h *hand) call(hard context.Context, ask func(context.Context) answer) answer {
	ctx, cancel := context.WithTimeout(hard, h.lane.Timeout)
	defer cancel()
	h.jobs <- job{ctx, ask}
	select {
	case a := <-h.done:
		return a
	case <-ctx.Done():
	}
	t := time.NewTimer(stubborn)
	defer t.Stop()
	select {
	case a := <-h.done:
		return a
	case <-t.C:
		return h.leave()
	}
}

// leave goes on without an attempt that does not end.
func (h *hand) leave() answer {
	h.end()
	h.begin()
	h.lane.d.o.Log.Error("the channel does not heed its deadline; left alone",
		"channel", h.lane.ID, "timeout", h.lane.Timeout)
	return answer{err: channels.Errorf(channels.Ambiguous,
		"no answer after %s, and no end: it may have arrived", h.lane.Timeout)}
}

// contained turns a panic into an ambiguous fault: nobody knows how far it got.
func (l *lane) contained(ctx context.Context, f func(context.Context) answer) (a answer) {
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
	return f(ctx)
}
