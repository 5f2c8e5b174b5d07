package dispatcher_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// Two processes with clocks that differ by minutes work on one ledger. Nothing is
// lost, order holds, and nothing is sent twice but where the ledger says why.
func TestClocksDiffer(t *testing.T) {
	for _, by := range []time.Duration{3 * time.Minute, -3 * time.Minute, 5 * time.Second} {
		t.Run(by.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newRemote(func(_ context.Context, e channels.Envelope, n int) (channels.Receipt, error) {
					time.Sleep(700 * time.Millisecond)
					if e.To.Address < "05" && n == 1 {
						return channels.Receipt{}, channels.Errorf(channels.Unavailable, "not now")
					}
					return channels.Receipt{}, nil
				})
				r := newRig(t, lane("mail", c))
				r.o.Poll = 2 * time.Second
				r.onWall(&wall{})
				to := mails(20)
				first, second := r.accept("INC-1", 1, time.Hour, to...), r.accept("INC-1", 2, time.Hour, to...)
				stops := []func() error{r.start(), r.beside(&wall{off: by}).start()}
				time.Sleep(10 * time.Minute)
				for _, stop := range stops {
					if err := stop(); err != nil {
						t.Error(err)
					}
				}
				for _, x := range to {
					r.accounted(c, x, first, second)
				}
			})
		})
	}
}

// The machine sleeps, and what was claimed before passes to another process: nothing of
// it is begun on waking up.
func TestAsleepWhileAnotherTakesOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			time.Sleep(1500 * time.Millisecond)
			return channels.Receipt{}, nil
		})
		l := lane("mail", c)
		l.Workers = 1
		r := newRig(t, l)
		w := &wall{}
		r.onWall(w)
		u := r.accept("INC-1", 1, time.Hour, mails(5)...)
		stop := r.start()
		time.Sleep(time.Second)
		w.set(30 * time.Minute)
		taken := r.claimed("mail", w.Now())
		time.Sleep(4 * time.Second)
		for _, k := range taken {
			if row := r.delivery(u, "mail:"+k.To.Address); row.Outcome != ledger.Pending || !row.Leased {
				t.Errorf("%s, which is another's: %+v", k.To.Address, row)
			}
			r.record(ledger.Settlement{ID: k.ID, Owner: k.Owner, Attempt: k.Attempt, Outcome: ledger.Delivered})
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if n := len(c.all()); n != 1 { // which was under way
			t.Errorf("%d attempts, want 1", n)
		}
	})
}

// As soon as anybody notices that the clock was set on, leases are renewed: what is
// being sent is not handed out again.
func TestLeasesAreRenewedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			time.Sleep(time.Minute)
			return channels.Receipt{}, nil
		})
		l := lane("mail", c)
		l.Timeout = time.Hour
		r := newRig(t, l)
		w := &wall{}
		r.onWall(w)
		u := r.accept("INC-1", 1, 5*time.Hour, "mail:a")
		stop := r.start()
		time.Sleep(4 * time.Second) // a third of a lease and a bit
		w.set(2 * time.Hour)
		r.d.Wake("mail")
		time.Sleep(500 * time.Millisecond)
		now := w.Now()
		got, err := r.l.Claim(t.Context(), ledger.ClaimRequest{Channel: "mail", Owner: "new", Now: now, Until: now.Add(time.Second), Limit: 1})
		if err != nil || len(got.Claims) != 0 {
			t.Errorf("handed out again: %+v, %v", got.Claims, err)
		}
		time.Sleep(2 * time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		r.outcome(u, "mail:a", ledger.Delivered)
	})
}

// accounted checks that a recipient got each update, old before new, and twice only
// where an interrupted attempt is on record.
func (r *rig) accounted(c *remote, to string, updates ...string) {
	r.t.Helper()
	_, address, _ := strings.Cut(to, ":")
	got := c.texts(address)
	if !slices.IsSorted(got) {
		r.t.Errorf("%s got %v", to, got)
	}
	for _, u := range updates {
		row := r.delivery(u, to)
		n := 0
		for _, text := range got {
			if text == u {
				n++
			}
		}
		superseded := row.Outcome == ledger.Superseded && row.Attempts > 0
		if row.Outcome != ledger.Delivered && !superseded {
			r.t.Errorf("%s of %s: %q", to, u, row.Outcome)
		}
		if n == 0 && !superseded || n > 1+r.interrupted(row.Key) {
			r.t.Errorf("%s got %s %d times, %d attempts were interrupted", to, u, n, r.interrupted(row.Key))
		}
	}
}

// claimed has a process claim everything that then says nothing more.
func (r *rig) claimed(channel string, now time.Time) []ledger.Claim {
	r.t.Helper()
	got, err := r.l.Claim(r.t.Context(), ledger.ClaimRequest{Channel: channel, Owner: "gone", Now: now, Until: now.Add(10 * time.Second), Limit: 100})
	if err != nil || len(got.Claims) == 0 {
		r.t.Fatalf("%+v, %v", got, err)
	}
	return got.Claims
}

func (r *rig) record(s ledger.Settlement) {
	r.t.Helper()
	if v, err := r.l.Settle(r.t.Context(), []ledger.Settlement{s}); err != nil || !v[0].Applied {
		r.t.Fatalf("%+v, %v", v, err)
	}
}

// acceptance is update number seq of an incident, accepted at now.
func acceptance(incidentID string, seq int, now time.Time, expire time.Duration, to ...string) ledger.Acceptance {
	key := fmt.Sprintf("%s-%d", incidentID, seq)
	a := ledger.Acceptance{
		Incident: ledger.Incident{
			ID: incidentID, Customer: "abc", Severity: "SEV1", Started: now, Status: "investigating", Seq: seq, Updated: now,
		},
		Update: ledger.Update{
			Key: key, Incident: incidentID, Customer: "abc", Seq: seq, Status: "investigating", Title: key, At: now, Accepted: now,
		},
		Renderings: []channels.Message{{Format: channels.FormatText, Subject: key, Text: key}},
	}
	for _, x := range to {
		a.Deliveries = append(a.Deliveries, planned(key, x, now.Add(expire)))
	}
	return a
}
