package dispatcher

import (
	"reflect"
)

// Reload returns the dispatcher of a new configuration, or every mistake in it; then
// nothing has changed. The two share whoever is at work: if Run goes on, its lanes
// become those of o at once. A lane that is the same in both (the very same Channel
// value, and the same settings) is not disturbed. One that differs begins no new
// attempt, lets those in flight end, and its successor begins after it. A lane that o
// does not have ends, and what it leaves is kept until it comes back or expires.
//
// Updates prepared before by d can still be published by d. Only Lanes, Parties,
// Renderers, Guard, RequireNext and NewID are taken from o; the rest stays as New was
// told. Reload is called by one goroutine at a time, and not while Work goes on.
//
// drained is closed when nothing uses the channels any more that o does not have.
func (d *Dispatcher) Reload(o Options) (reloaded *Dispatcher, drained <-chan struct{}, err error) {
	next := d.o
	next.Lanes, next.Parties, next.Renderers, next.Guard = o.Lanes, o.Parties, o.Renderers, o.Guard
	next.RequireNext, next.NewID = o.RequireNext, o.NewID
	next = next.filled()
	if err := next.check(); err != nil {
		return nil, nil, err
	}
	all := newRosters(next.Parties)
	var left []*lane
	if c := d.crew.Load(); c != nil {
		left = c.swap(next.Lanes)
		c.keeper.replace(all)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, l := range left {
			<-l.ended
		}
	}()
	return &Dispatcher{o: next, owner: d.owner, crew: d.crew, rosters: all}, done, nil
}

// Wake says that there may be new work for a channel, or for any of them if it is
// empty: somebody else has accepted it.
func (d *Dispatcher) Wake(channel string) {
	c := d.crew.Load()
	if c == nil {
		return
	}
	if channel == "" {
		c.expander.wake()
	}
	c.wake(channel)
}

func (c *crew) wake(channel string) {
	for _, l := range c.all() {
		if channel == "" || l.ID == channel {
			l.wake()
		}
	}
}

// same reports whether two lanes need not be told apart.
func (l Lane) same(other Lane) bool {
	t := reflect.TypeOf(l.Channel)
	return t == reflect.TypeOf(other.Channel) && t.Comparable() && l == other
}

func (c *crew) all() []*lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lanes
}

// begin starts every lane; start is used for those to come too.
func (c *crew) begin(start func(l *lane, after <-chan struct{})) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := make(chan struct{})
	close(now)
	for _, l := range c.lanes {
		start(l, now)
	}
	c.start = start
}

// end lets no lane begin any more.
func (c *crew) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start = nil
}

// swap puts the lanes of a new configuration in the place of those at work, and
// returns those that leave.
func (c *crew) swap(lanes []Lane) (left []*lane) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.start == nil {
		return nil
	}
	old := map[string]*lane{}
	for _, l := range c.lanes {
		old[l.ID] = l
	}
	var all []*lane // a new slice: who reads the old one goes on with it
	for _, cfg := range lanes {
		was := old[cfg.ID]
		delete(old, cfg.ID)
		if was != nil && was.Lane.same(cfg) {
			all = append(all, was)
			continue
		}
		all = append(all, c.replace(was, cfg))
		if was != nil {
			left = append(left, was)
		}
	}
	for _, was := range c.lanes {
		switch {
		case old[was.ID] == nil:
		case was.gone:
			all = append(all, was)
		default:
			c.d.o.Log.Warn("the channel is not in the configuration any more: what it has not sent waits for it to come back, or expires",
				"channel", was.ID)
			all = append(all, c.replace(was, goneLane(was.ID)))
			left = append(left, was)
		}
	}
	c.lanes = all
	return left
}

// replace starts a lane after the one before it has ended. It is called with mu held.
func (c *crew) replace(was *lane, cfg Lane) *lane {
	l := newLane(c, cfg)
	after := make(chan struct{})
	if was == nil {
		close(after)
	} else {
		after = was.ended
	}
	c.start(l, after)
	if was != nil {
		close(was.leave)
	}
	return l
}

func goneLane(id string) Lane {
	return Lane{ID: id, Kind: "gone", Channel: gone{}, Workers: 1}.filled()
}
