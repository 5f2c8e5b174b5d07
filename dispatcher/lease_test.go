package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/internal/metrics"
	"sitrep/ledger"
)

// deafLedger cannot renew leases for a while, and remembers when each delivery was
// last claimed.
type deafLedger struct {
	ledger.Ledger
	until time.Time

	mu      sync.Mutex
	claimed map[string]time.Time
}

func (d *deafLedger) Renew(ctx context.Context, owner string, until time.Time) error {
	if time.Now().Before(d.until) {
		return errors.New("no connection")
	}
	return d.Ledger.Renew(ctx, owner, until)
}

func (d *deafLedger) Claim(ctx context.Context, r ledger.ClaimRequest) (ledger.Claimed, error) {
	got, err := d.Ledger.Claim(ctx, r)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range got.Claims {
		d.claimed[c.Key] = r.Now
	}
	return got, err
}

func (d *deafLedger) at(key string) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.claimed[key]
}

// What was claimed is not attempted once somebody else may have taken it over: not
// after the lease has ended, and not when a renewal came too late to help.
func TestNothingIsAttemptedWithoutALease(t *testing.T) {
	tests := []struct {
		name string
		deaf time.Duration // how long no lease can be renewed
		send time.Duration // how long an attempt takes
	}{
		{"the lease ends", time.Hour, 4 * time.Second},
		{"the renewal comes too late", 20 * time.Second, 25 * time.Second},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				began := time.Now()
				deaf := &deafLedger{until: began.Add(tc.deaf), claimed: map[string]time.Time{}}
				c := newRemote(func(_ context.Context, e channels.Envelope, _ int) (channels.Receipt, error) {
					now, claimed := time.Now(), deaf.at(e.Key)
					// At 25 s the lease had been renewed, at 23 s, after it had ended at 10 s.
					if gap := began.Add(tc.deaf); now.Sub(claimed) >= 10*time.Second && claimed.Before(gap) {
						t.Errorf("attempt at %s of a claim made at %s", now.Sub(began), claimed.Sub(began))
					}
					time.Sleep(tc.send)
					return channels.Receipt{}, nil
				})
				l := lane("mail", c)
				l.Workers = 1
				r := newRig(t, l)
				var to []string
				for i := range 8 {
					to = append(to, fmt.Sprintf("mail:%d", i))
				}
				u := r.accept("INC-1", 1, time.Hour, to...)
				r.open(func(o *dispatcher.Options) {
					deaf.Ledger = o.Ledger
					o.Ledger = deaf
				})
				r.work()
				r.tally(u, ledger.Delivered, len(to))
			})
		})
	}
}

// A long attempt keeps its lease: nobody else is given what is being sent.
func TestLeaseIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			time.Sleep(25 * time.Minute)
			return channels.Receipt{}, nil
		})
		l := lane("mail", c)
		l.Timeout = time.Hour
		r := newRig(t, l)
		u := r.accept("INC-1", 1, time.Hour, "mail:a")
		stop := r.start()
		for range 20 {
			time.Sleep(time.Minute)
			got, err := r.l.Claim(t.Context(), ledger.ClaimRequest{
				Channel: "mail", Owner: "another", Now: time.Now(), Until: time.Now().Add(time.Second), Limit: 1,
			})
			if err != nil || len(got.Claims) != 0 {
				t.Fatalf("claimed twice: %+v, %v", got, err)
			}
		}
		time.Sleep(10 * time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if row := r.outcome(u, "mail:a", ledger.Delivered); row.Attempts != 1 {
			t.Errorf("%d attempts, want 1", row.Attempts)
		}
	})
}

// What is published while a dispatcher runs is sent at once, not at the next poll;
// and what happens is counted.
func TestPublishWakesAndCounts(t *testing.T) {
	r, far := newIntake(t)
	m := metrics.New(metrics.Options{
		Customers: []string{"abc"}, Channels: []string{"chat", "mail", "page"}, Outcomes: []string{"delivered", "failed"},
	})
	settled := make(chan struct{}, 100)
	r.open(func(o *dispatcher.Options) {
		o.Record, o.Poll = m, time.Hour
		o.OnEvent = func(e dispatcher.Event) {
			if e.Kind == dispatcher.EventSettled {
				settled <- struct{}{}
			}
		}
	})
	far["mail"].answer = fails(channels.Rejected, 1)
	stop := r.start()
	r.publish(dispatcher.Submission{Source: []byte(text)})
	for range 6 {
		select {
		case <-settled:
		case <-time.After(30 * time.Second):
			t.Fatal("nobody woke the lanes")
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, f := range families {
		for _, x := range f.GetMetric() {
			for _, l := range x.GetLabel() {
				counted[strings.TrimPrefix(f.GetName(), "sitrep_")+"/"+l.GetValue()] += x.GetCounter().GetValue()
			}
		}
	}
	for name, want := range map[string]float64{
		"deliveries_total/delivered": 3, "deliveries_total/failed": 3, "deliveries_total/mail": 3,
		"delivery_attempts_total/ok": 3, "delivery_attempts_total/permanent": 3, "delivery_failures_total/rejected": 3,
	} {
		if counted[name] != want {
			t.Errorf("%s is %g, want %g", name, counted[name], want)
		}
	}
}
