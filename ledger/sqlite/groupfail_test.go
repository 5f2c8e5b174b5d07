package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// TestCommitFails has the commit itself fail, over what one of them did: a reference to
// nothing, looked at only then.
func TestCommitFails(t *testing.T) {
	for place := range 3 {
		grouped(t, func(g *group) {
			before := g.commits()
			calls := []call{g.accepts(small("INC-1", 2)), g.accepts(small("INC-2", 2)), g.accepts(small("INC-3", 2))}
			calls[place] = g.works(context.Background(), failCommit)
			for i, err := range g.lineUp(calls...) {
				if err == nil || !strings.Contains(err.Error(), g.path) || !strings.Contains(err.Error(), "FOREIGN KEY") {
					g.Errorf("call %d: %v", i, err)
				}
			}
			g.committed(before, 0)
			g.holds()
			if err := errors.Join(g.lineUp(g.accepts(small("INC-1", 2)), g.accepts(small("INC-2", 2)))...); err != nil {
				g.Error(err)
			}
			g.holds("INC-1", "INC-2")
		})
	}
}

// failCommit refers to nothing, which is looked at only at the end.
func failCommit(do sqlite.Exec) error {
	return errors.Join(do("PRAGMA defer_foreign_keys = ON"),
		do("INSERT INTO renderings (upd, digest, format, subject, text, html) VALUES (99, x'00', '', '', '', '')"))
}

// TestDiskIsFullForAGroup has the disk full while one of them works, in every place.
// Whatever fails says so, and whatever does not is there.
func TestDiskIsFullForAGroup(t *testing.T) {
	for place := range 3 {
		grouped(t, func(g *group) {
			if err := g.Full(context.Background()); err != nil {
				g.Fatal(err)
			}
			calls := make([]call, 3)
			for i := range calls {
				calls[i] = call{do: func() error {
					return g.Pause(context.Background(), ledger.Pause{Channel: fmt.Sprint(i), Until: at, Since: at})
				}}
			}
			calls[place] = g.accepts(small("LARGE", 500))
			errs := g.lineUp(calls...)
			for i, err := range errs {
				there := paused(g, fmt.Sprint(i))
				if i == place && err == nil || there != (err == nil) {
					g.Errorf("call %d: %v; it is there: %v", i, err, there)
				}
				if err != nil && (!strings.Contains(err.Error(), "disk is full") || !strings.Contains(err.Error(), "nothing was recorded")) {
					g.Errorf("call %d: %v", i, err)
				}
			}
			g.holds()
			if err := g.Roomy(context.Background()); err != nil {
				g.Fatal(err)
			}
			if err := errors.Join(g.lineUp(calls...)...); err != nil {
				g.Errorf("with room again: %v", err)
			}
		})
	}
}

// paused reports whether the channel's pause is on record.
func paused(g *group, channel string) bool {
	g.Helper()
	got, err := g.Claim(context.Background(), ledger.ClaimRequest{Channel: channel, Owner: "me", Now: at.Add(-time.Hour), Until: at})
	if err != nil {
		g.Fatal(err)
	}
	return got.Paused != nil
}

const groupRound = "group"

// TestDiskFailsAtTheCommit is TestWriteFails for a group whose work fits in memory: not
// before the commit is there anything to write.
func TestDiskFailsAtTheCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path, childRound+"="+groupRound)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n := strings.Count(string(out), "nothing was recorded"); n != 6 {
		t.Errorf("%d of 6 were refused:\n%s", n, out)
	}
	if !strings.Contains(string(out), "read 1\nread 13\n") {
		t.Errorf("not all or nothing was written:\n%s", out)
	}
	inspect(t, path)
	inspectFeed(t, path)
}

// growTogether is the child of TestDiskFailsAtTheCommit.
func growTogether(path string) error {
	ctx := context.Background()
	l, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	if _, err := l.Accept(ctx, small("INC-0", 1)); err != nil {
		return err
	}
	wal, err := os.Stat(path + "-wal")
	if err != nil {
		return err
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(wal.Size()) + 10_000, Max: was.Max}); err != nil {
		return err
	}
	for _, err := range acceptTogether(l) {
		fmt.Println(err)
	}
	if err := say(ctx, l); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	return errors.Join(errors.Join(acceptTogether(l)...), say(ctx, l), l.Close())
}

func acceptTogether(l *sqlite.Ledger) []error {
	release := l.Occupy()
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = l.Accept(context.Background(), small(fmt.Sprint("INC-", i+1), 2)) })
	}
	for end := time.Now().Add(10 * time.Second); l.Waiting() < len(errs) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	release()
	wg.Wait()
	return errs
}

// TestEverythingAtOnce is 200 goroutines with all kinds of work, some of it bad: each of
// them finds what it was told.
func TestEverythingAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path)
	if _, err := l.Accept(t.Context(), small("BASE", 2)); err != nil {
		t.Fatal(err)
	}
	var accepted, delivered atomic.Int64
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 0))
			for n := range 3 {
				w := worker{T: t, l: l, name: fmt.Sprint("INC-", i, "-", n), accepted: &accepted, delivered: &delivered}
				w.do(random.IntN(8))
			}
		})
	}
	wg.Wait()
	there := map[string]int{}
	for d, err := range l.Deliveries(t.Context(), ledger.DeliveryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		there[d.Update]++
		if d.Outcome == ledger.Delivered {
			there["delivered"]++
		}
	}
	if there["delivered"] != int(delivered.Load()) || there["BASE"] != 2 || there["BROKEN"] != 0 {
		t.Errorf("%d are delivered, want %d; %d of BASE", there["delivered"], delivered.Load(), there["BASE"])
	}
	delete(there, "delivered")
	if len(there) != int(accepted.Load())+1 {
		t.Errorf("there are %d updates, want %d", len(there), accepted.Load()+1)
	}
	inspect(t, path)
	inspectFeed(t, path)
}

// worker does one thing, and knows what must become of it.
type worker struct {
	*testing.T
	l                   *sqlite.Ledger
	name                string
	accepted, delivered *atomic.Int64
}

func (w worker) do(kind int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var err, want error
	switch kind {
	case 0, 1:
		_, err = w.l.Accept(ctx, small(w.name, 20))
		w.accepted.Add(1)
	case 2, 3:
		err = w.deliver(ctx)
	case 4:
		_, err = w.l.Accept(ctx, broken())
		if err != nil && strings.Contains(err.Error(), "that of another delivery") {
			err = nil
		}
	case 5:
		_, err = w.l.Reopen(ctx, w.name, at, at)
		want = ledger.ErrNotFound
	case 6:
		err = w.l.Work(ctx, func(do sqlite.Exec) error { cancel(); return write(do) })
		want = context.Canceled
	case 7:
		defer func() {
			if r := recover(); r == nil || fmt.Sprint(r) != "boom" {
				w.Errorf("it panicked with %v", r)
			}
		}()
		err = w.l.Work(ctx, func(do sqlite.Exec) error {
			if err := write(do); err != nil {
				return err
			}
			panic(errBoom)
		})
	}
	if !errors.Is(err, want) {
		w.Errorf("%s, kind %d: %v, want %v", w.name, kind, err, want)
	}
}

// deliver claims a few and delivers them.
func (w worker) deliver(ctx context.Context) error {
	got, err := w.l.Claim(ctx, ledger.ClaimRequest{Channel: "mail", Owner: w.name, Now: at, Until: at.Add(time.Hour), Limit: 25})
	if err != nil {
		return err
	}
	var all []ledger.Settlement
	for _, c := range got.Claims {
		all = append(all, ledger.Settlement{ID: c.ID, Owner: w.name, Attempt: 1, Outcome: ledger.Delivered, Ended: at, Receipt: channels.Receipt{RemoteID: c.Key}})
	}
	verdicts, err := w.l.Settle(ctx, all)
	for _, v := range verdicts {
		if !v.Applied {
			w.Errorf("somebody else had %s's claim", w.name)
		}
		w.delivered.Add(1)
	}
	return err
}
