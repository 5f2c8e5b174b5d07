package postgres_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/internal/pgtest"
	"sitrep/ledger"
	"sitrep/ledger/postgres"
)

// stopper is the way to the server of a process that can be stopped, as by SIGSTOP: it
// passes on so many more writes of the client's, then nothing.
type stopper struct {
	address string
	mu      sync.Mutex
	left    int // -1: no end
	stopped chan struct{}
}

func newStopper(t *testing.T, s *pgtest.Server, address string) *stopper {
	t.Helper()
	u, err := url.Parse(s.TCP(address, s.Password))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &stopper{left: -1, stopped: make(chan struct{})}
	server := u.Host
	u.Host = l.Addr().String()
	p.address = u.String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.join(t.Context(), c, server)
		}
	}()
	return p
}

func (p *stopper) join(ctx context.Context, client net.Conn, server string) {
	s, err := net.Dial("tcp", server)
	if err != nil {
		_ = client.Close()
		return
	}
	context.AfterFunc(ctx, func() { _, _ = client.Close(), s.Close() })
	go func() { _, _ = io.Copy(client, s); _ = client.Close() }()
	b := make([]byte, 1<<20)
	for {
		n, err := client.Read(b)
		if err != nil {
			_ = s.Close()
			return
		}
		if !p.pass() {
			<-ctx.Done() // neither more bytes nor an end
			return
		}
		if _, err := s.Write(b[:n]); err != nil {
			return
		}
	}
}

func (p *stopper) pass() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left > 0 {
		p.left--
	}
	select {
	case <-p.stopped:
		return false
	default:
	}
	if p.left == 0 {
		close(p.stopped)
		p.left = -1
		return false
	}
	return true
}

// after stops everything at the n-th write from now.
func (p *stopper) after(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = n
}

// stage is an incident with its first update, on a channel of its own: of its
// recipients one has failed and waits, two are with the other process and two with the
// one that is to be stopped.
type stage struct {
	*stopper
	id              string
	stopping, other *postgres.Ledger
	mine, theirs    []ledger.Claim
}

func newStage(t *testing.T, p *stopper, other *postgres.Ledger, id string) *stage {
	t.Helper()
	st := &stage{stopper: p, id: id, other: other}
	var err error
	if st.stopping, err = postgres.Open(t.Context(), st.address); err != nil {
		t.Fatal(err) // it is not closed: a stopped process is not either
	}
	if _, err := st.other.Accept(t.Context(), st.update(1, 0, 1, 2, 3, 4, 5)); err != nil {
		t.Fatal(err)
	}
	failed := st.claim(t, st.other, 1)
	st.settle(t, st.other, retry(failed[0], at.Add(time.Hour)))
	st.theirs, st.mine = st.claim(t, st.other, 2), st.claim(t, st.stopping, 2)
	return st
}

func (st *stage) update(seq int, to ...int) ledger.Acceptance {
	a := small(st.id)
	a.Incident.Seq, a.Update.Seq, a.Update.Key, a.Deliveries = seq, seq, fmt.Sprint(st.id, " ", seq), nil
	for _, i := range to {
		a.Deliveries = append(a.Deliveries, ledger.Planned{
			Key: fmt.Sprint(a.Update.Key, " ", i), Channel: st.id, To: channels.Recipient{Address: fmt.Sprint(i)}, Audience: "customer",
		})
	}
	return a
}

func retry(c ledger.Claim, due time.Time) ledger.Settlement {
	return ledger.Settlement{ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Due: due, Fault: channels.Unavailable, Started: at, Ended: at}
}

func done(c ledger.Claim) ledger.Settlement {
	return ledger.Settlement{ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Outcome: ledger.Delivered, Started: at, Ended: at}
}

func (st *stage) request(owner string, limit int) ledger.ClaimRequest {
	return ledger.ClaimRequest{Channel: st.id, Owner: owner + st.id, Now: at.Add(time.Second), Until: at.Add(time.Minute), Limit: limit}
}

func (st *stage) claim(t *testing.T, l *postgres.Ledger, n int) []ledger.Claim {
	t.Helper()
	owner := "other"
	if l == st.stopping {
		owner = "stopping"
	}
	got, err := l.Claim(t.Context(), st.request(owner, n))
	if err != nil || len(got.Claims) != n {
		t.Fatalf("claimed %d of %d: %v", len(got.Claims), n, err)
	}
	return got.Claims
}

func (st *stage) settle(t *testing.T, l *postgres.Ledger, all ...ledger.Settlement) {
	t.Helper()
	verdicts, err := l.Settle(t.Context(), all)
	if err != nil || slices.ContainsFunc(verdicts, func(v ledger.Verdict) bool { return !v.Applied }) {
		t.Errorf("settled %d: %+v %v", len(all), verdicts, err)
	}
}

// writes is more than any call sends to the server.
const writes = 40

// TestStoppedProcessHoldsNobodyUp stops a process at every message it sends to the
// server in the course of a call. Meanwhile the others claim, settle and renew: at once
// where it was claiming or settling, and before a lease can end where it was not.
func TestStoppedProcessHoldsNobodyUp(t *testing.T) {
	const soon, leased = 3 * time.Second, 8 * time.Second
	for name, call := range map[string]struct {
		within time.Duration
		do     func(context.Context, *stage) error
	}{
		"Claim": {soon, func(ctx context.Context, st *stage) error {
			_, err := st.stopping.Claim(ctx, st.request("stopping", 1))
			return err
		}},
		"Settle": {soon, func(ctx context.Context, st *stage) error {
			_, err := st.stopping.Settle(ctx, []ledger.Settlement{done(st.mine[0]), retry(st.mine[1], at)})
			return err
		}},
		"Renew": {soon, func(ctx context.Context, st *stage) error {
			return st.stopping.Renew(ctx, "stopping"+st.id, at.Add(time.Hour))
		}},
		"Accept": {leased, func(ctx context.Context, st *stage) error {
			a := st.update(2, 0, 1, 4)
			for i := range 300 { // so that it takes several writes
				long := channels.Recipient{Address: fmt.Sprint("more ", i), Name: strings.Repeat("long ", 200)}
				a.Deliveries = append(a.Deliveries, ledger.Planned{Key: fmt.Sprint(st.id, " more ", i), Channel: st.id, To: long})
			}
			_, err := st.stopping.Accept(ctx, a)
			return err
		}},
		"Cancel": {leased, func(ctx context.Context, st *stage) error {
			_, err := st.stopping.Cancel(ctx, st.id+" 1", at)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pgtest.Shared(t)
			address := s.Database(t)
			other := open(t, address)
			var wg sync.WaitGroup
			for n := 1; n <= writes; n++ {
				st := newStage(t, newStopper(t, s, address), other, fmt.Sprint("stage", n))
				if ended := st.stopIn(t, n, call.do); ended {
					if n < 2 {
						t.Error("it was never stopped")
					}
					break
				}
				wg.Go(func() { st.goesOn(t, n, call.within) })
			}
			wg.Wait()
		})
	}
}

// stopIn stops a call at its n-th write, and reports whether it ended without.
func (st *stage) stopIn(t *testing.T, n int, call func(context.Context, *stage) error) bool {
	t.Helper()
	ended := make(chan error, 1)
	st.after(n)
	go func() { ended <- call(t.Context(), st) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("write %d: %v", n, err)
		}
		return true
	case <-st.stopped:
		return false
	}
}

// goesOn has the other process work as if nothing were the matter. While it waits for
// the server to end the stopped one, its leases are renewed.
func (st *stage) goesOn(t *testing.T, n int, within time.Duration) {
	t.Helper()
	start := time.Now()
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		st.settle(t, st.other, done(st.theirs[0]))
		st.settle(t, st.other, retry(st.theirs[1], at)) // for this one the incident is needed
	}()
	st.renews(t, n, settled)
	if took := time.Since(start); took > within {
		t.Errorf("stopped at write %d, and then the other's Settle took %v", n, took)
	}
	if _, err := st.other.Claim(t.Context(), st.request("other", 1)); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > within+time.Second {
		t.Errorf("stopped at write %d, and then the other's Claim took until %v", n, took)
	}
}

// renews the other's leases until they are settled. One that is being settled is passed
// over, but not for long.
func (st *stage) renews(t *testing.T, n int, settled chan struct{}) {
	t.Helper()
	until := at.Add(2 * time.Minute)
	for last := time.Now(); ; until = until.Add(time.Second) {
		if err := st.other.Renew(t.Context(), "other"+st.id, until); err != nil {
			t.Error(err)
		}
		left, err := st.other.Leases(t.Context(), "other"+st.id, until)
		if err != nil {
			t.Error(err)
		}
		if left == 0 {
			last = time.Now()
		}
		if time.Since(last) > 2*time.Second {
			t.Errorf("stopped at write %d, and then the other's leases could not be renewed", n)
			last = time.Now()
		}
		select {
		case <-settled:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
