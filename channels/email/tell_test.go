package email

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// crowd is a pool in which n messages wait to be told how they ended, and so many others
// wait for a session. finish ends the attempt at the next one of the n.
func crowd(t *testing.T, ctx context.Context, n, others int) (p *pool, finish func(), ends []chan attempt) {
	t.Helper()
	p, _ = quietPool(t)
	p.wait = time.Hour
	s := handmade(t, p)
	s.window = n
	var jobs []*job
	for i := range n {
		ends = append(ends, begin(ctx, p, time.Now(), fmt.Sprintf("user%d@b.example", i)))
		jobs = append(jobs, p.take(s))
	}
	for range others {
		begin(t.Context(), p, time.Now(), "other@b.example")
	}
	return p, func() {
		p.finish(s, jobs[0], "ok", nil)
		jobs = jobs[1:]
	}, ends
}

// told checks which have been told by now, and that all went well.
func told(t *testing.T, ends []chan attempt, want int) {
	t.Helper()
	synctest.Wait()
	n := 0
	for i, end := range ends {
		select {
		case a := <-end:
			if n++; i >= want || a.err != nil {
				t.Errorf("attempt %d of %d ended with %v", i, want, a.err)
			}
		default:
		}
	}
	if n != want {
		t.Errorf("%d were told, want %d", n, want)
	}
}

// TestEndsAreToldTogether: while enough others wait, several at a time, as many as may be.
func TestEndsAreToldTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, finish, ends := crowd(t, t.Context(), 2*together+1, together)
		for range 2 {
			for range together - 1 {
				finish()
			}
			told(t, ends, 0)
			finish()
			told(t, ends, together)
			ends = ends[together:]
		}
		finish()
		told(t, ends, 0)
		time.Sleep(longestUntold)
		told(t, ends, 1)
	})
}

// TestEndsAreToldSoon: however few they are, none waits for longer than longestUntold, and
// one that comes while another waits does not have it wait for longer. So it is each time.
func TestEndsAreToldSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, finish, ends := crowd(t, t.Context(), 9, together)
		for range 3 {
			finish()
			time.Sleep(longestUntold - 1)
			finish()
			finish()
			told(t, ends, 0)
			time.Sleep(time.Nanosecond)
			told(t, ends, 3)
			ends = ends[3:]
			time.Sleep(time.Minute)
		}
	})
}

// TestEndsAreToldAtOnce: whoever could be missed, because few others wait, does not wait
// for company; and with them all that are over.
func TestEndsAreToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, finish, ends := crowd(t, t.Context(), 3, together-1)
		for i := range ends {
			finish()
			told(t, ends[i:], 1)
		}
	})
}

// TestEndsAreToldWhenOthersGo: as soon as too few others wait, whether a session took one
// up or one was called off.
func TestEndsAreToldWhenOthersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := quietPool(t)
		s := handmade(t, p)
		s.window = 4
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var ends []chan attempt
		for range 3 {
			ends = append(ends, begin(t.Context(), p, start, "a@b.example"))
		}
		jobs := []*job{p.take(s), p.take(s), p.take(s)}
		for range together {
			begin(ctx, p, start, "b@b.example")
		}
		s.window = 4
		p.finish(s, jobs[0], "ok", nil)
		told(t, ends, 0)
		s.window = 4
		taken := p.take(s)
		told(t, ends, 1)
		p.finish(s, taken, "ok", nil)

		begin(t.Context(), p, start, "c@b.example")
		p.finish(s, jobs[1], "ok", nil)
		told(t, ends[1:], 0)
		cancel()
		synctest.Wait()
		p.finish(s, jobs[2], "ok", nil)
		told(t, ends[1:], 2)
	})
}

// TestEndIsNotLost: an attempt whose time is over before it was told that the relay has
// taken its message is told so nevertheless.
func TestEndIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, finish, ends := crowd(t, ctx, 1, together)
		finish()
		cancel()
		told(t, ends, 0)
		time.Sleep(longestUntold)
		told(t, ends, 1)
	})
}

// TestToldAreForgotten: nobody's message is held on to.
func TestToldAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, finish, ends := crowd(t, t.Context(), 1, 0)
		finish()
		told(t, ends, 1)
		for _, o := range p.untold[:cap(p.untold)] {
			if o.j != nil {
				t.Error("the pool holds on to a message whose end was told")
			}
		}
	})
}

// TestAllFailAtOnce: when no relay can be reached, nobody is kept waiting for company.
func TestAllFailAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := quietPool(t)
		start := time.Now()
		var ends []chan attempt
		for range 2*together + 3 {
			ends = append(ends, begin(t.Context(), p, start, "a@b.example"))
		}
		p.mu.Lock()
		p.failAll(p.relays[0], errWaiting)
		p.mu.Unlock()
		for _, end := range ends {
			(<-end).expect(t, "it", 0, errWaiting)
		}
	})
}

// TestClosingTells: whoever is still to be told when the pool is closed is told then.
func TestClosingTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, finish, ends := crowd(t, t.Context(), 1, together)
		finish()
		told(t, ends, 0)
		p.close()
		told(t, ends, 1)
	})
}
