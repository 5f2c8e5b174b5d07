package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"sitrep/dispatcher"
	"sitrep/ledger"
)

// watcher turns the dispatcher's events into progress bars and remembers which
// updates something happened to. Its methods may be called from any goroutine.
type watcher struct {
	progress *progress

	mu     sync.Mutex
	update string // only this update's deliveries are shown; "" for all
	began  bool
	seen   []string
	paused map[string]string // channel → why it rests
}

// begin says what is to come. Events before it only count as seen.
func (w *watcher) begin(update string, pending []ledger.Tally) {
	w.mu.Lock()
	w.update, w.began = update, true
	w.mu.Unlock()
	for _, t := range pending {
		w.progress.expect(t.Channel, t.Count)
	}
}

// coming is what of a plan is not on record yet, by channel: the deliveries of a large
// update are written down while the first are sent.
func coming(ctx context.Context, l ledger.Reader, p dispatcher.Prepared, u ledger.Update) ([]ledger.Tally, error) {
	if u.Unwritten == 0 {
		return nil, nil
	}
	written, err := l.Tally(ctx, ledger.DeliveryQuery{Update: u.Key})
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	left := map[string]int{}
	for i, r := range p.Plan.Renderings {
		left[r.Channel] += p.Plan.Recipients(i)
	}
	for _, t := range written {
		left[t.Channel] -= t.Count
	}
	var all []ledger.Tally
	for _, channel := range slices.Sorted(maps.Keys(left)) {
		if n := left[channel]; n > 0 {
			all = append(all, ledger.Tally{Channel: channel, Count: n})
		}
	}
	return all, nil
}

// updates are the updates that something happened to, in that order.
func (w *watcher) updates() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

// rests are the channels at rest, in words.
func (w *watcher) rests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, channel := range slices.Sorted(maps.Keys(w.paused)) {
		all = append(all, channel+" rests "+w.paused[channel])
	}
	return all
}

// rest remembers why a channel rests; "" forgets it.
func (w *watcher) rest(channel, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if why == "" {
		delete(w.paused, channel)
		return
	}
	if w.paused == nil {
		w.paused = map[string]string{}
	}
	w.paused[channel] = why
}

func (w *watcher) event(e dispatcher.Event) {
	if !w.concerns(e) {
		return
	}
	switch e.Kind {
	case dispatcher.EventRetry:
		w.progress.retrying(e.Channel, e.To.Address)
	case dispatcher.EventSettled:
		failed := e.Outcome == ledger.Failed || e.Outcome == ledger.Bounced || e.Outcome == ledger.Unknown || e.Outcome == ledger.Expired
		w.progress.settled(e.Channel, e.To.Address, e.Outcome == ledger.Delivered, failed)
	case dispatcher.EventPaused:
		w.progress.note(e.Channel, "paused: "+faultWords(e.Fault))
		w.rest(e.Channel, fmt.Sprintf("until %s: %s (%s)", e.Until.UTC().Format("15:04:05 UTC"), faultWords(e.Fault), oneLine(e.Detail)))
	case dispatcher.EventResumed:
		w.rest(e.Channel, "")
		w.progress.note(e.Channel, "")
	case dispatcher.EventTrouble:
		w.progress.note(e.Channel, oneLine(e.Detail))
	case dispatcher.EventAccepted, dispatcher.EventStarted:
	}
}

func (w *watcher) concerns(e dispatcher.Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Update != "" && !slices.Contains(w.seen, e.Update) {
		w.seen = append(w.seen, e.Update)
	}
	return w.began && (w.update == "" || e.Update == "" || e.Update == w.update)
}
