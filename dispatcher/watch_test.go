package dispatcher

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/renderers"
)

// queue is a ledger that has nothing but claims, each to be had once.
type queue struct {
	ledger.Ledger
	claims chan ledger.Claim
	settle func([]ledger.Settlement) error
}

func (q *queue) Claim(_ context.Context, r ledger.ClaimRequest) (got ledger.Claimed, err error) {
	for len(got.Claims) < r.Limit && len(q.claims) > 0 {
		got.Claims = append(got.Claims, <-q.claims)
	}
	return got, nil
}

func (q *queue) Settle(_ context.Context, s []ledger.Settlement) ([]ledger.Verdict, error) {
	if err := q.settle(s); err != nil {
		return nil, err
	}
	verdicts := make([]ledger.Verdict, len(s))
	for i, x := range s {
		verdicts[i] = ledger.Verdict{Applied: true, Outcome: x.Outcome}
	}
	return verdicts, nil
}

func (*queue) Renew(context.Context, string, time.Time) error { return nil }

func (*queue) Rendering(context.Context, int64) (channels.Message, error) {
	return channels.Message{Format: channels.FormatText}, nil
}

// slow takes as long as its addresses say.
type slow struct{}

func (slow) Spec() channels.Spec { return channels.Spec{Format: channels.FormatText} }

func (slow) Send(_ context.Context, e channels.Envelope) (channels.Receipt, error) {
	d, err := time.ParseDuration(e.To.Address)
	time.Sleep(d)
	return channels.Receipt{}, err
}

func claimTo(address string) ledger.Claim {
	return ledger.Claim{Key: address, Attempt: 1, Channel: "c", To: channels.Recipient{Address: address}, Accepted: time.Now(), Expire: time.Now().Add(time.Hour)}
}

// crewOn is a crew with one lane, not begun.
func crewOn(t *testing.T, q *queue) *crew {
	t.Helper()
	if q.settle == nil {
		q.settle = func([]ledger.Settlement) error { return nil }
	}
	d, err := New(Options{Ledger: q, Renderers: renderers.Builtin()})
	if err != nil {
		t.Fatal(err)
	}
	l := Lane{ID: "c", Kind: "test", Channel: slow{}, Workers: 4, Timeout: time.Minute}
	return newCrew(d, Scope{}, []Lane{l.filled()})
}

// Nothing looks at a lane that has nothing under way, and one look is planned however
// much has.
func TestWatchSleepsWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{claims: make(chan ledger.Claim, 100)}
		c := crewOn(t, q)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.run(ctx, false) }()
		l := c.lanes[0]
		watched := func() bool {
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.watch.timer != nil
		}
		if watched() {
			t.Error("somebody watches a lane that has done nothing")
		}
		for range 2 {
			for range 10 {
				q.claims <- claimTo("50s")
			}
			l.wake()
			if !watched() {
				t.Error("nobody watches calls under way")
			}
			time.Sleep(4 * time.Minute)
			if watched() {
				t.Error("somebody watches an idle lane")
			}
		}
		q.claims <- claimTo("1s")
		l.wake()
		time.Sleep(10 * time.Second)
		stop()
		if err := <-done; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		if watched() {
			t.Error("somebody watches a lane that has ended")
		}
		if l.term != nil {
			t.Error("a context was left behind")
		}
	})
}

// What is held is ours until its lease ends, or the one it was renewed for, and never once
// it may have lapsed.
func TestLeaseHolds(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(1000+s), 0) }
	for _, tc := range []struct {
		name               string
		change             func(*lease)
		claimed, until, by int
		want               bool
	}{
		{"not renewed", func(*lease) {}, 0, 10, 9, true},
		{"ended", func(*lease) {}, 0, 10, 10, false},
		{"renewed", func(l *lease) { l.renew(at(5), at(15), false) }, 0, 10, 14, true},
		{"renewed and ended", func(l *lease) { l.renew(at(5), at(15), false) }, 0, 10, 15, false},
		{"claimed after the renewal", func(l *lease) { l.renew(at(5), at(15), false) }, 6, 16, 15, true},
		{"renewed too late", func(l *lease) { l.renew(at(12), at(22), true) }, 0, 10, 13, false},
		{"renewed in time after that", func(l *lease) { l.renew(at(12), at(22), true); l.renew(at(15), at(25), false) }, 0, 30, 16, false},
		{"claimed after that", func(l *lease) { l.renew(at(12), at(22), true); l.renew(at(15), at(25), false) }, 13, 23, 24, true},
		{"lapsed", func(l *lease) { l.renew(at(5), at(15), false); l.lapse() }, 0, 10, 6, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var l lease
			tc.change(&l)
			if got := l.holds(at(tc.claimed), at(tc.until), at(tc.by)); got != tc.want {
				t.Errorf("holds: %t, want %t", got, tc.want)
			}
		})
	}
}
