package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// resting runs a test of what happens while nothing is asked, in a bubble: its time
// passes when nobody works.
func resting(t *testing.T, run func(p packer)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	synctest.Test(t, func(t *testing.T) {
		l, err := sqlite.Open(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		l.PackFrom(2)
		run(packer{t, l, path})
		_ = l.Close() // again, where the test has
	})
	sound(t, path)
}

// packsInFile is how many packs the file has.
func packsInFile(t testing.TB, path string) int {
	t.Helper()
	n := 0
	db := raw(t, path)
	if err := db.QueryRow("SELECT count(*) FROM packs").Scan(&n); err != nil {
		t.Fatal(err)
	}
	closeRaw(t, db)
	return n
}

// TestPackRests has packs written out soon after they were last touched.
func TestPackRests(t *testing.T) {
	resting(t, func(p packer) {
		p.accept(small("INC-1", 5))
		time.Sleep(700 * time.Millisecond)
		p.accept(small("INC-2", 5))
		if n := packsInFile(t, p.path); n != 2 {
			p.Errorf("%d packs at once", n)
		}
		time.Sleep(2500 * time.Millisecond)
		if n := packsInFile(t, p.path); n != 0 || p.Packs() != 0 {
			p.Errorf("%d packs of rest, and %d remembered", n, p.Packs())
		}
		if p.PackTimer() {
			p.Error("there is a timer still")
		}
	})
}

// TestPackTouched has a pack stay while it is worked, but not for long.
func TestPackTouched(t *testing.T) {
	resting(t, func(p packer) {
		p.accept(small("INC-1", 200))
		began := time.Now()
		for p.Packs() > 0 {
			if time.Since(began) > 8*time.Second {
				p.Fatal("it stays for ever")
			}
			p.deliver(p.claim("me", at, 2), at)
			time.Sleep(300 * time.Millisecond)
		}
		if took := time.Since(began); took < 3*time.Second {
			p.Errorf("it is written out after %v, though it was worked all the time", took)
		}
		if n := len(p.claim("me", at, 300)); n+2*int(time.Since(began)/(300*time.Millisecond)) != 200 {
			p.Errorf("%d are left", n)
		}
	})
}

// TestPackRestsWithoutRoom has no room when a pack is to be written out, and then has.
func TestPackRestsWithoutRoom(t *testing.T) {
	resting(t, func(p packer) {
		p.accept(small("INC-1", 500))
		p.must(p.Full(context.Background()))
		time.Sleep(10 * time.Second)
		p.inPacks(1)
		_, err := p.Tally(context.Background(), ledger.DeliveryQuery{})
		if err == nil || !strings.Contains(err.Error(), "disk is full") {
			p.Errorf("it is read: %v", err)
		}
		p.must(p.RemembersPacks(context.Background()))
		p.must(p.Roomy(context.Background()))
		time.Sleep(3 * time.Second)
		if n := packsInFile(t, p.path); n != 0 || p.Packs() != 0 {
			p.Errorf("with room again: %d packs", n)
		}
	})
}

// TestPackOfAMovedFile has the file taken away while packs wait, and put back.
func TestPackOfAMovedFile(t *testing.T) {
	resting(t, func(p packer) {
		p.accept(small("INC-1", 5))
		p.must(os.Rename(p.path, p.path+".old"))
		time.Sleep(10 * time.Second)
		p.inPacks(1)
		p.must(os.Rename(p.path+".old", p.path))
		time.Sleep(3 * time.Second)
		p.inPacks(0)
		p.accept(small("INC-2", 5))
		p.must(os.Rename(p.path, p.path+".old"))
		if err := p.Close(); err == nil || !strings.Contains(err.Error(), "moved") || !strings.Contains(err.Error(), "whoever opens the ledger next") {
			p.Errorf("closed: %v", err)
		}
		for _, suffix := range []string{"-wal", "-shm"} { // as an operator would put it back
			_ = os.Rename(p.path+".old"+suffix, p.path+suffix)
		}
		p.must(os.Rename(p.path+".old", p.path))
	})
}

// TestPackClosed closes a ledger at every stage of a pack: what is under way is leased.
func TestPackClosed(t *testing.T) {
	var claims []ledger.Claim
	for name, work := range map[string]func(p packer){
		"made":    func(p packer) { claims = nil },
		"claimed": func(p packer) { claims = p.claim("me", at, 5) },
		"settled": func(p packer) {
			claims = p.claim("me", at, 7)
			p.deliver(claims[2:4], at)
			p.settle(again(claims[5], at))
			claims = append(claims[:2:2], claims[4], claims[6])
		},
		"rested": func(p packer) { claims = p.claim("me", at, 5); time.Sleep(10 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			var path string
			resting(t, func(p packer) {
				path = p.path
				p.accept(small("INC-1", 10))
				work(p)
				p.must(p.Close())
				if p.PackTimer() {
					t.Error("there is a timer still")
				}
				time.Sleep(time.Minute)
			})
			if n := packsInFile(t, path); n != 0 {
				t.Errorf("%d packs are left", n)
			}
			p := openPacker(t, path)
			leased := 0
			for _, d := range p.listed() {
				if d.Leased {
					leased++
				}
			}
			if leased != len(claims) {
				t.Errorf("%d are leased, want %d", leased, len(claims))
			}
			if n := p.deliver(claims, at); n != len(claims) {
				t.Errorf("%d of %d can be settled", n, len(claims))
			}
		})
	}
}

// TestPackClosedInTheMiddle closes a ledger while somebody is about to write its packs
// out, before that and after it.
func TestPackClosedInTheMiddle(t *testing.T) {
	for _, first := range []string{"close", "rest"} {
		resting(t, func(p packer) {
			for _, name := range []string{"INC-1", "INC-2", "INC-3"} {
				p.accept(small(name, 5))
			}
			closed := make(chan error, 1)
			release := p.Occupy()
			if first == "close" {
				go func() { closed <- p.Close() }()
				synctest.Wait()
			}
			time.Sleep(2 * time.Second)
			if first == "rest" {
				go func() { closed <- p.Close() }()
				synctest.Wait()
			}
			release()
			if err := <-closed; err != nil {
				p.Error(err)
			}
			if n := packsInFile(t, p.path); n != 0 {
				p.Errorf("%d packs are left", n)
			}
			if p.PackTimer() {
				p.Error("there is a timer still")
			}
		})
	}
}

// TestPackTimerEnds closes a ledger whose packs cannot be written out, while somebody is
// about to try: nobody tries again.
func TestPackTimerEnds(t *testing.T) {
	resting(t, func(p packer) {
		p.accept(small("INC-1", 5))
		p.must(os.Rename(p.path, p.path+".old"))
		closed := make(chan error, 1)
		release := p.Occupy()
		go func() { closed <- p.Close() }()
		synctest.Wait()
		time.Sleep(2 * time.Second)
		release()
		if err := <-closed; err == nil {
			t.Error("it was closed")
		}
		synctest.Wait()
		if p.PackTimer() {
			t.Error("there is a timer still")
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Rename(p.path+".old"+suffix, p.path+suffix)
		}
	})
}
