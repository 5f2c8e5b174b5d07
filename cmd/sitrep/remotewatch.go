package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
	"sitrep/server"
	"sitrep/server/client"
)

// lookEvery is how often the server is asked whether anything is pending, as the net
// under its events.
const lookEvery = 3 * time.Second

// watch shows what the server does about an update (about everything for "") until
// nothing of it is pending, or ctx is done: then it returns why. expected is what the
// events after one are going to tell the outcome of.
func (r *remote) watch(ctx context.Context, show *watcher, update, after string, expected []ledger.Tally) error {
	if over, err := r.over(ctx, update); over || err != nil && !errors.Is(err, client.ErrUnreachable) {
		return err
	}
	w := &farWatch{r: r, show: show, update: update, left: map[string]int{}, settled: map[string]bool{}}
	show.begin(update, expected)
	for _, t := range expected {
		w.left[t.Channel] += t.Count
	}
	streaming, done := context.WithCancel(ctx)
	defer done()
	go w.look(streaming, done)
	for e, err := range r.Events(streaming, after, update) {
		if _, cut := errors.AsType[*client.Cut](err); cut {
			w.away()
			continue // it goes on by itself
		}
		if err != nil {
			return err
		}
		w.back()
		if w.tell(e); w.dry() {
			w.ask(streaming, done)
		}
	}
	if w.over.Load() {
		w.trim()
		return nil
	}
	return ctx.Err()
}

// pending is what has no outcome yet of an update, or of all for "".
func (r *remote) pending(ctx context.Context, update string) ([]ledger.Tally, error) {
	return r.ledger.Tally(ctx, ledger.DeliveryQuery{Update: update, Outcomes: []ledger.Outcome{ledger.Pending}})
}

// over reports that nothing is pending of an update, or of anything for "".
func (r *remote) over(ctx context.Context, update string) (bool, error) {
	if n, err := unwrittenOf(ctx, r.ledger, update); n > 0 || err != nil {
		return false, err // in this order nobody is missed
	}
	left, err := r.pending(ctx, update)
	return err == nil && len(left) == 0, err
}

// farWatch is one watch. What is left may be less than what is heard of: events from
// before it was counted are told too. Or more: who was taken back before they were
// written down is not heard of.
type farWatch struct {
	r       *remote
	show    *watcher
	update  string
	left    map[string]int
	settled map[string]bool // deliveries that were counted: one that bounces comes again
	over    atomic.Bool
	cuts    int // since the last event
}

// away says that the server is gone, once. One cut is nothing: a restart is over before
// anybody could read of it.
func (w *farWatch) away() {
	if w.cuts++; w.cuts == 2 {
		w.show.progress.say("The server cannot be reached. What it accepted is on record, and it goes on when it runs again. Trying again.")
	}
}

// back says that it is there again, if it was away.
func (w *farWatch) back() {
	if w.cuts > 1 {
		w.show.progress.say("The server can be reached again.")
	}
	w.cuts = 0
}

// trim forgets what is not heard of any more.
func (w *farWatch) trim() {
	for channel, n := range w.left {
		if n > 0 {
			w.show.progress.expect(channel, -n)
		}
	}
}

func (w *farWatch) dry() bool {
	for _, n := range w.left {
		if n > 0 {
			return false
		}
	}
	return true
}

// look asks now and then until nothing is pending.
func (w *farWatch) look(ctx context.Context, done func()) {
	for sleep(ctx, lookEvery); ctx.Err() == nil; sleep(ctx, lookEvery) {
		w.ask(ctx, done)
	}
}

// ask ends the watch if nothing is pending.
func (w *farWatch) ask(ctx context.Context, done func()) {
	if over, err := w.r.over(ctx, w.update); over && err == nil {
		w.over.Store(true)
		done()
	}
}

func (w *farWatch) tell(e client.Event) {
	switch {
	case e.Channel != nil:
		w.channel(*e.Channel)
	case e.Delivery != nil:
		w.delivery(*e.Delivery)
	}
}

func (w *farWatch) channel(e server.ChannelEvent) {
	if e.Up {
		w.show.rest(e.Channel, "")
		w.show.progress.note(e.Channel, "")
		return
	}
	words := faultWords(channels.Fault(e.Fault))
	w.show.progress.note(e.Channel, "paused: "+words)
	w.show.rest(e.Channel, fmt.Sprintf("until %s: %s", e.Until.UTC().Format("15:04:05 UTC"), words))
}

func (w *farWatch) delivery(e server.DeliveryEvent) {
	to := channels.Recipient{Address: e.Address, Name: e.Name}
	x := dispatcher.Event{
		Update: e.Update, Incident: e.Incident, Customer: e.Customer, Channel: e.Channel, Key: e.Delivery, To: to,
		Attempt: e.Attempts, Outcome: farOutcome(e.Outcome), Fault: channels.Fault(e.Fault), At: e.At,
	}
	switch {
	case x.Outcome == ledger.Pending && w.settled[e.Delivery]: // somebody tries it again
		delete(w.settled, e.Delivery)
		w.left[e.Channel]++
		w.show.progress.expect(e.Channel, 1)
		return
	case x.Outcome == ledger.Pending && e.Attempts == 0:
		return
	case x.Outcome == ledger.Pending:
		x.Kind = dispatcher.EventRetry
	case w.settled[e.Delivery]:
		return
	default:
		x.Kind, w.settled[e.Delivery] = dispatcher.EventSettled, true
		if w.left[e.Channel] == 0 {
			w.show.progress.expect(e.Channel, 1)
		} else {
			w.left[e.Channel]--
		}
	}
	w.show.event(x)
}

// farRetry is retry through a server.
func (a *app) farRetry(ctx context.Context, r *remote, cmd *cobra.Command, args []string) error {
	f, err := farFlags(cmd)
	if err != nil {
		return err
	}
	u, err := oneUpdate(ctx, r.ledger, args[0])
	if err != nil {
		return err
	}
	again, err := r.Retry(ctx, u.Key)
	if err != nil {
		return err
	}
	expected, err := r.pending(ctx, u.Key)
	if err != nil {
		return err
	}
	left := make([]dispatcher.Left, len(again.Left))
	for i, l := range again.Left {
		left[i] = dispatcher.Left{Count: l.Count, Why: l.Why}
	}
	a.printRetried(u, dispatcher.Retried{Reopened: again.Reopened, Left: left})
	return a.farDeliver(ctx, r, u, again.Events, expected, f)
}

// farResume shows the server at work on everything that is pending. It needs no
// telling to go on.
func (a *app) farResume(ctx context.Context, r *remote, f sendFlags) error {
	show := &watcher{progress: newProgress(a)}
	left, err := pendingNow(ctx, r.ledger)
	if err != nil {
		return err
	}
	if left == 0 {
		if a.json {
			a.printJSON(map[string]any{"updates": []account{}})
		} else {
			fmt.Fprintln(a.out, "Nothing is pending: every delivery in the ledger has its outcome.")
		}
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	expected, err := r.pending(ctx, "")
	if err != nil {
		return err
	}
	watchErr := r.watch(bounded, show, "", "", expected)
	show.progress.finish()
	return a.farConcludeResume(ctx, r, show, watchErr)
}

func (a *app) farConcludeResume(ctx context.Context, r *remote, show *watcher, watchErr error) error {
	read, stop := context.WithTimeout(context.WithoutCancel(ctx), farReadTimeout)
	defer stop()
	keys, err := withPending(read, r.ledger, show.updates())
	if err != nil {
		return err
	}
	worst, accounts := exitOK, []account{}
	for _, key := range keys {
		u, err := oneUpdate(read, r.ledger, key)
		if err != nil {
			return err
		}
		acc, err := readAccount(read, r.ledger, u, false)
		if err != nil {
			return err
		}
		worst = max(worst, acc.code())
		accounts = append(accounts, acc)
	}
	left, err := pendingNow(read, r.ledger)
	if err != nil {
		return err
	}
	if left > 0 {
		worst = exitPending
	}
	a.printResumed(accounts, left, show.rests(), watchErr)
	if worst != exitOK {
		return exitCode(worst)
	}
	return nil
}

// suppressed are the addresses that are not written to, as far as the caller may know.
func (r *remote) suppressed(ctx context.Context) (map[[2]string]ledger.Suppression, error) {
	rows, err := r.Suppressions(ctx, "")
	by := map[[2]string]ledger.Suppression{}
	for _, x := range rows {
		by[[2]string{x.Channel, strings.ToLower(x.Address)}] = ledger.Suppression{Channel: x.Channel, Address: x.Address, Reason: x.Reason, At: x.Since}
	}
	return by, err
}

// scenes are what is around a message on each channel.
func (r *remote) scenes(p dispatcher.Prepared) func(channel string) scene {
	return func(channel string) scene {
		in := scene{title: r.cfg.Page.Title, now: p.Update.At}
		for _, x := range p.Plan.Renderings {
			if x.Channel == channel {
				in.threads = x.Threads
			}
		}
		return in
	}
}
