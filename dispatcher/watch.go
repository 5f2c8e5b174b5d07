package dispatcher

import (
	"context"
	"time"
)

// A channel that does not come back this long after its time was up is left alone
// with what it is doing: the attempt counts as ambiguous and its worker is replaced.
const stubborn = 5 * time.Second

// watch is a lane's eye on calls under way: one timer, which runs only while there are
// any, and once more for the last. The lane's mu guards it.
type watch struct {
	timer   *time.Timer // nil: there is nothing to look at
	at      time.Time   // when it looks
	workers []*worker   // all that have a place
	look    func()      // what it does then
}

// begin gives every worker its place, and has calls cut short soon after hard is done.
func (l *lane) begin(soft, hard context.Context) (end func()) {
	l.watch.look = func() { l.relieve(soft, hard) }
	for range l.Workers {
		w := &worker{lane: l}
		l.watch.workers = append(l.watch.workers, w)
		l.places.Add(1)
		go w.serve(soft, hard)
	}
	stop := context.AfterFunc(hard, l.hurry)
	return func() {
		stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.watchNot()
	}
}

// watchFor sees to it that somebody looks at due. It is called with mu held.
func (l *lane) watchFor(due, now time.Time) {
	if l.watch.timer != nil && !due.Before(l.watch.at) {
		return
	}
	l.watchNot()
	l.watch.at, l.watch.timer = due, time.AfterFunc(due.Sub(now), l.watch.look)
}

// watchNot is called with mu held.
func (l *lane) watchNot() {
	if l.watch.timer != nil {
		l.watch.timer.Stop()
		l.watch.timer = nil
	}
}

// hurry gives calls under way no longer than stubborn: hard is done.
func (l *lane) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, w := range l.watch.workers {
		if due := now.Add(stubborn); w.term != nil && due.Before(w.due) {
			w.due = due
			l.watchFor(due, now)
		}
	}
}

// relieve puts others in the places of workers that do not come back.
func (l *lane) relieve(soft, hard context.Context) {
	for w, from := range l.overdue() {
		l.d.o.Log.Error("the channel does not heed its deadline; left alone",
			"channel", l.ID, "timeout", l.Timeout)
		go w.succeed(from, soft, hard)
	}
}

// overdue leaves behind every worker whose call has taken too long. From then on its try
// and its place belong to the one it is returned under, and to nobody else.
func (l *lane) overdue() map[*worker]*worker {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchNot()
	all := map[*worker]*worker{}
	var next time.Time
	for i, w := range l.watch.workers {
		switch {
		case w.term == nil:
		case !now.Before(w.due):
			w.left = true
			l.part(w.term)
			l.watch.workers[i] = &worker{lane: l}
			all[l.watch.workers[i]] = w
		case next.IsZero() || w.due.Before(next):
			next = w.due
		}
	}
	if !next.IsZero() {
		l.watchFor(next, now)
	}
	return all
}
