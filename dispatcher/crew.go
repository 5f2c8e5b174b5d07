package dispatcher

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// crew is one Run or Work: the goroutines and what they share.
//
//	per lane: one feeder (claims), Workers workers (attempt)
//	one settler (records, in groups), one lease keeper
//	one expander (writes down the deliveries of large updates)
//	of a Run: one keeper of the rosters
//
// A feeder hands claims to its workers, they hand settlements to the settler, and
// the settler tells the lane. Nothing else is shared between lanes but the settler,
// which no channel can hold up.
type crew struct {
	d        *Dispatcher
	scope    Scope
	mu       sync.Mutex // held for lanes, and while one is put in another's place
	lanes    []*lane
	start    func(l *lane, after <-chan struct{}) // nil: not begun, or to end
	forGood  bool                                 // a Run, not a Work
	settler  *settler
	expander *expander
	keeper   *keeper
	recalls  recalls
	cache    *cache
	lease    lease
	clock    *clock
	open     atomic.Int64  // claims not yet settled
	quiet    chan struct{} // a lane may have run dry
}

func newCrew(d *Dispatcher, s Scope, lanes []Lane) *crew {
	c := &crew{d: d, scope: s, quiet: make(chan struct{}, 1), cache: newCache(d.o.Ledger), clock: newClock(d.o.Now)}
	c.settler = newSettler(d, &c.open)
	c.expander = newExpander(c)
	c.keeper = newKeeper(d)
	for _, l := range lanes {
		c.lanes = append(c.lanes, newLane(c, l))
	}
	return c
}

// run returns when all its goroutines have ended. soft is done when no new attempt
// may begin, hard when attempts in flight must end.
func (c *crew) run(ctx context.Context, untilDry bool) error {
	soft, stop := context.WithCancel(ctx)
	defer stop()
	hard, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()

	var lanes, rest sync.WaitGroup
	rest.Go(func() { c.killAfterGrace(soft, hard, kill) })
	rest.Go(func() { c.keepLease(hard) })
	rest.Go(func() { c.expander.run(soft) })
	if c.forGood = !untilDry; c.forGood {
		rest.Go(func() { c.keeper.run(soft) })
	}
	settled := make(chan error, 1)
	go func() { settled <- c.settler.run(soft) }()
	c.begin(func(l *lane, after <-chan struct{}) {
		lanes.Go(func() {
			<-after
			l.run(soft, hard)
		})
	})
	dry := untilDry && c.waitDry(soft)
	if dry {
		stop()
	}
	<-soft.Done()
	c.end()
	lanes.Wait()
	c.settler.close()
	err := <-settled
	kill()
	rest.Wait()
	if err == nil && !dry {
		err = ctx.Err()
	}
	return err
}

func (c *crew) killAfterGrace(soft, hard context.Context, kill context.CancelFunc) {
	select {
	case <-hard.Done():
		return
	case <-soft.Done():
	}
	t := time.NewTimer(c.d.o.Grace)
	defer t.Stop()
	select {
	case <-hard.Done():
	case <-t.C:
		kill()
	}
}

// waitDry waits until no lane has anything pending (true) or soft is done (false).
// Lanes do not depend on each other, so each can be asked by itself; but the expander
// first, which makes work for them.
func (c *crew) waitDry(soft context.Context) bool {
	for {
		if c.allDry() {
			return true
		}
		select {
		case <-soft.Done():
			return false
		case <-c.quiet:
		}
	}
}

func (c *crew) allDry() bool {
	if !c.expander.dry() {
		return false
	}
	for _, l := range c.all() {
		if !l.dry() {
			return false
		}
	}
	return true
}

// nudge fills a one-place channel if it is empty: a wake-up that is never lost and
// never blocks.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lease knows until when what this process has claimed is its own, in time that has
// passed. Every attempt asks, so asking takes no lock.
type lease struct {
	mu  sync.Mutex // held by whoever changes it
	now atomic.Pointer[tenure]
}

type tenure struct {
	renewed time.Time // everything held when it was renewed is ours until then
	lapsed  time.Time // claims made before then may have passed to somebody else
}

// holds reports whether a claim made at claimed, leased until until, is still ours
// for certain.
func (l *lease) holds(claimed, until, now time.Time) bool {
	t := l.now.Load()
	if t == nil {
		return now.Before(until)
	}
	return !claimed.Before(t.lapsed) && (now.Before(until) || now.Before(t.renewed))
}

// keepLease renews at a third of the lease, so that two renewals may fail. After a
// longer gap (the ledger away, the machine asleep) what was claimed before is not
// attempted any more: somebody else may have it.
func (c *crew) keepLease(hard context.Context) {
	tick := time.NewTicker(c.d.o.Lease / 3)
	defer tick.Stop()
	c.rewind(hard, clocksApart)
	good, rewound := time.Now(), time.Now()
	for {
		select {
		case <-hard.Done():
			return
		case <-tick.C:
		}
		c.watchClock(hard)
		now := time.Now()
		if skew, every := c.clock.skew(c.d.o.Now()); now.Sub(rewound) >= every {
			rewound = now
			c.rewind(hard, skew)
		}
		if c.open.Load() > 0 && !c.renew(hard, now.Sub(good) > c.d.o.Lease) {
			continue
		}
		good = now
	}
}

// lapse gives everything held up for lost.
func (l *lease) lapse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Store(&tenure{lapsed: time.Now()})
}

// renew says that everything held at now is ours until until; if late, nothing that was
// claimed before now is held.
func (l *lease) renew(now, until time.Time, late bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := tenure{renewed: until}
	if was := l.now.Load(); was != nil {
		t.lapsed = was.lapsed
	}
	if late {
		t.lapsed = now
	}
	l.now.Store(&t)
}

func (c *crew) renew(hard context.Context, late bool) bool {
	now, until := time.Now(), c.d.o.Now().Add(c.d.o.Lease)
	ctx, cancel := context.WithTimeout(hard, c.d.o.Lease/3)
	defer cancel()
	if err := c.d.o.Ledger.Renew(ctx, c.d.owner, until); err != nil {
		if hard.Err() == nil {
			c.d.trouble("", "renew the lease of what is being sent", err)
		}
		return false
	}
	c.lease.renew(now, now.Add(c.d.o.Lease), late)
	return true
}
