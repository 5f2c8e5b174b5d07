package dispatcher

import (
	"context"
	"sync"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// lane works one channel. Its feeder claims deliveries ahead of its workers, and
// asks the ledger only when it was woken, when something falls due, or once a poll
// for the sake of other processes; in between it sleeps.
type lane struct {
	Lane
	crew  *crew
	d     *Dispatcher
	find  channels.Finder // nil: the channel cannot find out
	gone  bool            // the channel is not configured any more, see orphans
	most  int             // claims held at a time, whatever the pace
	work  chan held       // claimed, not begun; never full
	awake chan struct{}   // for the feeder: something below has changed
	leave chan struct{}   // closed when another lane takes this one's place
	ended chan struct{}   // closed when it has ended
	panic sync.Once       // the stack of a panic is logged once

	places sync.WaitGroup // of the workers

	mu     sync.Mutex
	term   *term // that a call beginning now may join; nil: there is none
	watch  watch
	pace   time.Duration // of recent attempts; zero: there were none
	ask    bool          // there may be work that we have not asked for
	asking bool          // a question is under way
	asked  time.Time     // when the last answered question was put; zero: never
	next   time.Time     // when to ask again, if known
	empty  bool          // the last answer was that nothing is unsettled
	not    time.Time     // do not ask before: the ledger did not answer
	fails  int           // how often in a row it did not
	held   int           // claimed, attempt not ended
	open   int           // claimed, settlement not recorded
	paused pause
}

// held is a claim and how long it is ours, in time that has passed: see clock.
type held struct {
	*ledger.Claim
	claimed, until time.Time
}

// A lane that may claim ahead holds what its workers get done in aheadFor, so that
// they never wait for the ledger and a crash leaves few deliveries in doubt; but no
// more than aheadPerWorker claims each.
const (
	aheadFor       = 20 * time.Millisecond
	aheadPerWorker = 16
)

func newLane(c *crew, cfg Lane) *lane {
	l := &lane{Lane: cfg, crew: c, d: c.d, ask: true, awake: make(chan struct{}, 1), leave: make(chan struct{}), ended: make(chan struct{})}
	l.find, _ = cfg.Channel.(channels.Finder)
	_, l.gone = cfg.Channel.(gone)
	l.most = cfg.Workers * aheadPerWorker
	if cfg.Ambiguous == channels.KeepUnknown && l.find == nil {
		// A crash would make every claim held an honest "unknown", so hold only
		// what is being attempted.
		l.most = cfg.Workers
	}
	l.work = make(chan held, l.most)
	return l
}

func (l *lane) run(soft, hard context.Context) {
	defer close(l.ended)
	soft, stop := context.WithCancel(soft)
	defer stop()
	go func() {
		defer stop()
		select {
		case <-l.leave:
		case <-soft.Done():
		}
	}()
	end := l.begin(soft, hard)
	l.feed(soft, hard)
	close(l.work)
	l.places.Wait()
	end()
}

// feed claims until soft is done.
func (l *lane) feed(soft, hard context.Context) {
	for soft.Err() == nil {
		l.crew.watchClock(hard)
		if wait := l.crew.clock.calms(); wait > 0 {
			sleepFor(soft, wait)
			continue
		}
		if n := l.wants(l.d.o.Now()); n > 0 {
			l.claim(soft, n)
			continue
		}
		l.sleep(soft)
	}
}

// wants is how many deliveries to claim now.
func (l *lane) wants(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ask || now.Before(l.not) || now.Before(l.paused.unstored) {
		return 0
	}
	most, low := l.marks()
	if l.held > low {
		return 0
	}
	return most - l.held
}

// marks are how many claims may be held and at how many it is time for more.
func (l *lane) marks() (most, low int) {
	switch {
	case l.paused.probing:
		return 1, 0
	case l.most == l.Workers:
		return l.most, l.most - 1
	default:
		most = min(l.most, l.Workers*(1+int(aheadFor/max(l.pace, time.Microsecond))))
		if l.pace == 0 {
			most = 2 * l.Workers // nobody knows yet
		}
		return most, max(most/4, min(most-1, l.Workers))
	}
}

func (l *lane) claim(soft context.Context, n int) {
	claimed, now := time.Now(), l.d.o.Now()
	pauses := l.question()
	// Not soft itself: a claim cut off half-way would count as an attempt that
	// nobody made.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(soft), l.d.o.Lease)
	defer cancel()
	got, err := l.d.o.Ledger.Claim(ctx, ledger.ClaimRequest{
		Channel: l.ID, Owner: l.d.owner, Now: now, Until: now.Add(l.d.o.Lease), Limit: n, Incident: l.crew.scope.Incident,
	})
	if err != nil {
		l.unanswered(err)
		return
	}
	if lift := l.answered(got, n, now, pauses); lift {
		l.liftPause(ctx)
	}
	l.traceClaims(got.Claims, now)
	until := claimed.Add(l.d.o.Lease)
	for i := range got.Claims {
		l.work <- held{Claim: &got.Claims[i], claimed: claimed, until: until}
	}
	if len(got.Claims) == 0 {
		nudge(l.crew.quiet)
	}
}

// question notes that the ledger is being asked, and returns how many pauses there
// were until then.
func (l *lane) question() (pauses int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ask, l.asking, l.next = false, true, time.Time{}
	return l.paused.count
}

func (l *lane) unanswered(err error) {
	l.mu.Lock()
	l.fails++
	l.ask, l.asking = true, false
	l.not = l.d.o.Now().Add(Backoff{Base: 100 * time.Millisecond, Max: 5 * time.Second}.ceiling(l.fails))
	l.mu.Unlock()
	l.d.trouble(l.ID, "hand out deliveries", err)
}

// answered takes the answer to a question put at now, and reports whether the
// channel's pause is to be lifted.
func (l *lane) answered(got ledger.Claimed, limit int, now time.Time, pauses int) (lift bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.asked.IsZero()
	l.asked, l.asking, l.fails, l.not = now, false, 0, time.Time{}
	l.held += len(got.Claims)
	l.open += len(got.Claims)
	l.crew.open.Add(int64(len(got.Claims)))
	l.note(got.Next)
	l.empty = len(got.Claims) == 0 && got.Next.IsZero()
	l.ask = l.ask || len(got.Claims) == limit
	return l.heedPause(got.Paused, pauses, first)
}

// note keeps the earliest time at which something falls due. It is called with mu
// held.
func (l *lane) note(due time.Time) {
	if !due.IsZero() && (l.next.IsZero() || due.Before(l.next)) {
		l.next = due
	}
}

// sleep returns when the lane was woken or something falls due.
func (l *lane) sleep(soft context.Context) {
	t := time.NewTimer(l.nap(l.d.o.Now()))
	defer t.Stop()
	select {
	case <-soft.Done():
	case <-l.awake:
	case <-t.C:
		l.mu.Lock()
		l.ask = true
		l.mu.Unlock()
	}
}

// nap is how long to sleep at most. What was due when we last asked and was not
// claimed then waits for an older delivery, whose settlement wakes us: there is no
// need to ask before the next poll. While the workers have enough to do nothing is
// claimed, whatever falls due; the end of an attempt wakes us.
func (l *lane) nap(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	nap := l.d.o.Poll
	if _, low := l.marks(); l.held > low {
		return nap
	}
	// Nothing is asked before these, whatever falls due.
	if wait := max(l.not.Sub(now), l.paused.unstored.Sub(now)); wait > 0 {
		return min(nap, wait)
	}
	if l.next.After(l.asked) {
		nap = min(nap, max(0, l.next.Sub(now)))
	}
	return nap
}

// release says that an attempt has ended and how long it took, and wakes the feeder
// when it is time to claim more.
func (l *lane) release(took time.Duration) {
	l.mu.Lock()
	l.held--
	if took > 0 { // untried ones took none
		l.pace += (took - l.pace) / 8
	}
	_, low := l.marks()
	hungry := l.held <= low
	l.mu.Unlock()
	if hungry {
		nudge(l.awake)
	}
}

// wake says that there may be new work.
func (l *lane) wake() {
	l.mu.Lock()
	l.ask = true
	l.mu.Unlock()
	nudge(l.awake)
}

// settled hears what the ledger made of the lane's own among a group of settlements.
func (l *lane) settled(b batch, verdicts []ledger.Verdict) {
	now := l.d.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var n int
	for i, v := range verdicts {
		if b.of[i].lane != l {
			continue
		}
		n++
		if v.Applied && v.Outcome == ledger.Pending && b.rows[i].Due.After(now) {
			l.note(b.rows[i].Due)
			continue
		}
		l.ask = true // it is due again, or something that waited behind it may be free
	}
	l.open -= n
	l.crew.open.Add(-int64(n))
}

// afterSettling follows a group of settled.
func (l *lane) afterSettling() {
	nudge(l.awake)
	select {
	case <-l.leave:
		l.d.Wake(l.ID) // what it gave back is its successor's
	default:
	}
	if l.dry() {
		nudge(l.crew.quiet)
	}
}

// dry reports that nothing of this channel is pending.
func (l *lane) dry() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.empty && !l.asking && !l.ask && l.open == 0
}
