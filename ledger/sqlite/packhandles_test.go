package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// hands are several workers on two handles of one ledger, some of whom die with what they
// have claimed. Their time passes as they work.
type hands struct {
	*testing.T
	clock, names atomic.Int64

	mu      sync.Mutex
	claimed map[string]string // by delivery and attempt: who claimed it
	settled map[string]bool   // by delivery and attempt
	done    map[string]int    // by delivery: how often it was delivered
	last    map[string]int    // by delivery: its latest attempt
	lapsed  map[string]int    // by delivery: how many attempts were interrupted
}

func (h *hands) now() time.Time {
	return at.Add(time.Duration(h.clock.Add(1)) * 100 * time.Millisecond)
}

func (h *hands) name() string { return fmt.Sprint("owner ", h.names.Add(1)) }

// claimedBy notes claims. Nobody else has claimed the same, and an attempt before that was
// not settled is said to be interrupted.
func (h *hands) claimedBy(owner string, claims []ledger.Claim) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range claims {
		it := fmt.Sprint(c.Key, "|", c.Attempt)
		if other, ok := h.claimed[it]; ok {
			h.Errorf("%s was claimed by %s and by %s", it, other, owner)
		}
		if c.Attempt != h.last[c.Key]+1 {
			h.Errorf("%s is claimed after attempt %d", it, h.last[c.Key])
		}
		before := c.Attempt > 1 && !h.settled[fmt.Sprint(c.Key, "|", c.Attempt-1)]
		if before {
			h.lapsed[c.Key]++
		}
		if c.Interrupted != (h.lapsed[c.Key] > 0) {
			h.Errorf("%s says interrupted: %v, after %d such attempts", it, c.Interrupted, h.lapsed[c.Key])
		}
		h.claimed[it], h.last[c.Key] = owner, c.Attempt
	}
}

func (h *hands) settledBy(all []ledger.Settlement, claims []ledger.Claim, verdicts []ledger.Verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, v := range verdicts {
		if !v.Applied {
			continue
		}
		h.settled[fmt.Sprint(claims[i].Key, "|", claims[i].Attempt)] = true
		if all[i].Outcome == ledger.Delivered {
			h.done[claims[i].Key]++
		}
	}
}

// turn claims some, and settles them or dies. The lock is held over the claim and over the
// settlement, so that what is noted is in the order in which it happened, and two handles
// take turns at every step; what goes on beside it is acceptance, reading and rest.
func (h *hands) turn(r *rand.Rand, l *sqlite.Ledger, step *sync.Mutex, owner string) string {
	now := h.now()
	step.Lock()
	got, err := l.Claim(context.Background(), ledger.ClaimRequest{Channel: "mail", Owner: owner, Now: now, Until: now.Add(5 * time.Second), Limit: 1 + r.IntN(60)})
	if err != nil {
		h.Error(err)
	}
	h.claimedBy(owner, got.Claims)
	step.Unlock()
	if r.IntN(6) == 0 {
		return h.name() // it has died
	}
	for rest := got.Claims; len(rest) > 0; {
		n := 1 + r.IntN(len(rest))
		all := make([]ledger.Settlement, n)
		for i, c := range rest[:n] {
			if all[i] = arrived(c, now); r.IntN(15) == 0 {
				all[i] = again(c, now)
			}
		}
		step.Lock()
		verdicts, err := l.Settle(context.Background(), all)
		if err != nil {
			h.Error(err)
		}
		h.settledBy(all, rest, verdicts)
		step.Unlock()
		rest = rest[n:]
	}
	return owner
}

// TestPackHands has everything accepted delivered once, whatever becomes of those who
// claim it, and no attempt made twice.
func TestPackHands(t *testing.T) {
	path := newFile(t)
	h := &hands{T: t, claimed: map[string]string{}, settled: map[string]bool{}, done: map[string]int{}, last: map[string]int{}, lapsed: map[string]int{}}
	handles := []packer{openPacker(t, path), openPacker(t, path)}
	var step sync.Mutex
	var accepted atomic.Int64
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 9))
			p, owner := handles[w%2], h.name()
			for n := range 40 {
				switch r.IntN(12) {
				case 0, 1, 2:
					a := small(fmt.Sprint("INC-", w, "-", n), 1+r.IntN(100))
					p.accept(a)
					accepted.Add(int64(len(a.Deliveries)))
				case 3:
					_, err := p.Tally(context.Background(), ledger.DeliveryQuery{})
					p.must(err)
				case 4:
					p.must(p.Renew(context.Background(), owner, h.now().Add(5*time.Second)))
				default:
					owner = h.turn(r, p.Ledger, &step, owner)
				}
			}
		})
	}
	wg.Wait()
	h.finish(handles[0], int(accepted.Load()))
}

// finish delivers the rest, when all leases have ended.
func (h *hands) finish(p packer, accepted int) {
	h.Helper()
	for {
		now := h.now().Add(time.Hour)
		claims := p.claim("last", now, 500)
		if len(claims) == 0 {
			break
		}
		h.claimedBy("last", claims)
		var all []ledger.Settlement
		for _, c := range claims {
			all = append(all, arrived(c, now))
		}
		verdicts, err := p.Settle(context.Background(), all)
		p.must(err)
		h.settledBy(all, claims, verdicts)
	}
	there := p.listed()
	for key, d := range there {
		if h.done[key] != 1 || d.Outcome != ledger.Delivered || d.Attempts != h.last[key] {
			h.Errorf("%s was delivered %d times at attempt %d; on record is %+v", key, h.done[key], h.last[key], d)
		}
		attempts, n := 0, 0
		if h.lapsed[key] > 0 {
			all, err := p.Attempts(context.Background(), key)
			p.must(err)
			for _, a := range all {
				if attempts++; a.Interrupted {
					n++
				}
			}
		}
		if n != h.lapsed[key] {
			h.Errorf("%s was interrupted %d times; on record are %d of %d", key, h.lapsed[key], n, attempts)
		}
	}
	if len(there) != accepted {
		h.Errorf("there are %d deliveries, and %d were accepted", len(there), accepted)
	}
}
