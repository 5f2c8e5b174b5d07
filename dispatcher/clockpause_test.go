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
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// forgetful is a ledger that cannot take down a pause.
type forgetful struct{ *sqlite.Ledger }

func (forgetful) Pause(context.Context, ledger.Pause) error { return errors.New("no space left") }

// The clock is set while a channel rests, whether or not the ledger knows of it: it does
// not rest for hours.
func TestClockIsSetDuringAPause(t *testing.T) {
	for name, spoil := range clockFaults() {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, known %v", name, known), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c := newRemote(func(_ context.Context, _ channels.Envelope, n int) (channels.Receipt, error) {
						if n == 1 {
							return channels.Receipt{}, &channels.Error{Fault: channels.RateLimited, RetryAfter: 30 * time.Second, Err: errors.New("slow down")}
						}
						return channels.Receipt{}, nil
					})
					l := lane("mail", c)
					l.Workers = 1
					r := newRig(t, l)
					w := &wall{}
					r.open(func(o *dispatcher.Options) {
						o.Now = w.Now
						if !known {
							o.Ledger = forgetful{o.Ledger.(*sqlite.Ledger)}
						}
					})
					u := r.accept("INC-1", 1, 1000*time.Hour, mails(4)...)
					stop := r.start()
					time.Sleep(5 * time.Second)
					spoil(t, w)
					time.Sleep(6 * time.Minute)
					if err := stop(); err != nil {
						t.Error(err)
					}
					if !strings.Contains(name, "year on") {
						r.tally(u, ledger.Delivered, 4)
					}
				})
			})
		}
	}
}

// While a channel rests whose pause the ledger could not take down, what falls due in the
// meantime keeps nobody busy.
func TestNoBusyWaitDuringAPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(_ context.Context, e channels.Envelope, n int) (channels.Receipt, error) {
			switch {
			case n > 1:
				return channels.Receipt{}, nil
			case e.To.Address == "00":
				return channels.Receipt{}, &channels.Error{Fault: channels.Unavailable, RetryAfter: 10 * time.Second, Err: errors.New("later")}
			}
			time.Sleep(time.Second)
			return channels.Receipt{}, &channels.Error{Fault: channels.RateLimited, RetryAfter: 30 * time.Second, Err: errors.New("slow down")}
		})
		r := newRig(t, lane("mail", c))
		looked := 0
		var mu sync.Mutex
		r.open(func(o *dispatcher.Options) {
			o.Ledger = forgetful{o.Ledger.(*sqlite.Ledger)}
			o.Now = func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				if looked++; looked > 10_000 {
					panic("the clock is looked at without end")
				}
				return time.Now()
			}
		})
		u := r.accept("INC-1", 1, time.Hour, mails(2)...)
		r.work()
		r.tally(u, ledger.Delivered, 2)
	})
}
