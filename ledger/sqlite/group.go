package sqlite

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"
)

// What waits to be written is written together: whoever gets the turn takes the others'
// work with it, in the order in which they came, and one commit makes all of it durable.
// A commit is a flush of the disk, which on many machines takes longer than all else.
//
// Each piece of work is whole or not at all, whatever becomes of the others: from the
// second on they have a savepoint of their own. If the commit fails, it fails for all.

// job is one piece of work.
type job struct {
	ctx   context.Context //nolint:containedctx // whoever has the turn works for others
	work  func(*tx) error
	large bool // it writes many pages: with a savepoint SQLite would copy each of them, so it is the first of its turn
	alone bool // it takes long, and nobody is to wait for it; also large

	done  chan struct{} // closed when err is known
	err   error
	panic any // what work has panicked with: it is whoever asked who hears of it
}

// queue is the work that waits.
type queue struct {
	mu   sync.Mutex
	jobs []*job
}

// The turn is handed on after this long, however many wait.
const turnMost = 20 * time.Millisecond

func (q *queue) add(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, j)
}

// withdraw reports whether nobody has taken j yet, and nobody will.
func (q *queue) withdraw(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.jobs, j)
	if i >= 0 {
		q.jobs = slices.Delete(q.jobs, i, i+1)
	}
	return i >= 0
}

// next takes the first job that waits, or nil. A large one is the first of its turn.
func (q *queue) next(first bool) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 || q.jobs[0].large && !first {
		return nil
	}
	j := q.jobs[0]
	q.jobs = slices.Delete(q.jobs, 0, 1)
	return j
}

// write runs work in a durable transaction. It waits for its turn as long as ctx lasts;
// once work has begun it is committed or rolled back whole. It may run in another
// goroutine, but not after write has returned.
func (w *writer) write(ctx context.Context, work func(*tx) error) error {
	return w.do(&job{ctx: ctx, work: work, done: make(chan struct{})})
}

// writeLarge is write for work that writes many pages.
func (w *writer) writeLarge(ctx context.Context, work func(*tx) error) error {
	return w.do(&job{ctx: ctx, work: work, large: true, done: make(chan struct{})})
}

// writeAlone is write for work that takes long.
func (w *writer) writeAlone(ctx context.Context, work func(*tx) error) error {
	return w.do(&job{ctx: ctx, work: work, large: true, alone: true, done: make(chan struct{})})
}

func (w *writer) do(j *job) error {
	if w.readOnly {
		return w.refuse()
	}
	if j.ctx.Err() != nil {
		return j.ctx.Err()
	}
	w.queue.add(j)
	for !j.ended() {
		select {
		case w.turn <- struct{}{}:
			w.takeTurn()
			<-w.turn
		case <-j.done:
		case <-j.ctx.Done():
			if w.queue.withdraw(j) {
				return j.ctx.Err()
			}
			<-j.done
		}
	}
	if j.panic != nil {
		panic(j.panic)
	}
	return j.err
}

func (j *job) ended() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// takeTurn does what waits.
func (w *writer) takeTurn() {
	g, began := group{w: w}, time.Now()
	for j := w.queue.next(true); j != nil; j = w.queue.next(false) {
		g.run(j)
		if j.alone || time.Since(began) > turnMost {
			break
		}
	}
	g.commit()
	w.unpackLater()
}

// group is the work of one transaction.
type group struct {
	w     *writer
	begun bool
	jobs  []*job   // done, but for the commit
	back  []func() // take back what they have changed in memory
}

// run does one piece of work, and only that fails if it fails.
func (g *group) run(j *job) {
	if err := g.begin(j.ctx); err != nil {
		g.end(j, err)
		return
	}
	t := &tx{w: g.w, ctx: j.ctx}
	if len(g.jobs) > 0 {
		if _, err := t.exec("SAVEPOINT job"); err != nil {
			g.abandon(t, append(g.jobs, j), err)
			return
		}
	}
	if err := j.run(t); err != nil {
		g.undo(t, j, err)
		return
	}
	if len(g.jobs) > 0 {
		if _, err := t.exec("RELEASE job"); err != nil {
			g.abandon(t, append(g.jobs, j), err)
			return
		}
	}
	g.jobs, g.back = append(g.jobs, j), append(g.back, t.back...)
}

// begin begins the transaction, unless that was done for an earlier one.
func (g *group) begin(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case g.begun:
		return nil
	case g.w.gone:
		return errClosed
	}
	if now, err := os.Stat(g.w.path); err != nil || !os.SameFile(now, g.w.file) {
		return errMoved(g.w.path)
	}
	err := g.w.begin(ctx, &tx{w: g.w, ctx: ctx})
	g.begun = err == nil
	return err
}

// undo takes back what a piece of work has done, and nothing else.
func (g *group) undo(t *tx, j *job, err error) {
	if len(g.jobs) == 0 {
		g.abandon(t, []*job{j}, err)
		return
	}
	takeBack(t.back)
	t.back = nil
	_, back := t.exec("ROLLBACK TO job")
	if back == nil {
		_, back = t.exec("RELEASE job")
	}
	if back != nil { // SQLite has rolled everything back by itself
		g.abandon(t, append(g.jobs, j), err)
		return
	}
	g.end(j, err)
}

// abandon rolls everything back.
func (g *group) abandon(t *tx, jobs []*job, err error) {
	takeBack(t.back)
	takeBack(g.back)
	// SQLite has rolled back by itself after some errors; then this one says so, and
	// there is nothing to do about it.
	_, _ = t.exec("ROLLBACK")
	for _, j := range jobs {
		g.end(j, err)
	}
	g.begun, g.jobs, g.back = false, nil, nil
}

func (g *group) commit() {
	if !g.begun {
		return
	}
	t := &tx{w: g.w, ctx: context.Background()}
	if _, err := t.exec("COMMIT"); err != nil {
		g.abandon(t, g.jobs, err)
		return
	}
	for _, j := range g.jobs {
		g.end(j, nil)
	}
}

func (g *group) end(j *job, err error) {
	j.err = explain(j.ctx, g.w.path, err)
	close(j.done)
}

var errPanic = errors.New("a mistake in the program ended it")

// run does the work and puts on record for the feed what it has changed.
func (j *job) run(t *tx) (err error) {
	defer func() {
		if j.panic = recover(); j.panic != nil {
			err = errPanic
		}
	}()
	if err := j.work(t); err != nil {
		return err
	}
	if err := t.publish(); err != nil {
		return err
	}
	return j.ctx.Err()
}
