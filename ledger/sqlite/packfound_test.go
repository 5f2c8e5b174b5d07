package sqlite_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// TestPackBounceIsFed has a message come back that was delivered in a pack: the feed says
// that it was delivered, and then that it bounced.
func TestPackBounceIsFed(t *testing.T) {
	p := openPacker(t, newFile(t))
	p.accept(small("INC-1", 5))
	p.inPacks(1)
	p.deliver(p.claim("me", at, 3), at)
	_, changed, err := p.Bounce(t.Context(), ledger.Bounce{Key: "INC-1 1", At: at.Add(time.Hour), Fault: channels.NoRecipient, Detail: "gone"})
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	got := p.fed()["INC-1/INC-1 1"]
	if len(got) != 2 || !strings.Contains(got[0], "delivered") || !strings.Contains(got[1], "bounced") {
		t.Errorf("the feed says %q", got)
	}
}

// TestPackRecipientOfAnotherHandle has a recipient of a chunk added by another handle in
// the meantime: it keeps what it has.
func TestPackRecipientOfAnotherHandle(t *testing.T) {
	for name, add := range map[string]func(b packer, a ledger.Acceptance){
		"accepted again": func(b packer, a ledger.Acceptance) {
			a.Deliveries = a.Deliveries[10:15]
			b.accept(a)
		},
		"an earlier chunk": func(b packer, a ledger.Acceptance) {
			if _, err := b.expand(a.Update.Key, 0, a.Deliveries[10:15]...); err != nil {
				b.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := newFile(t)
			p, b := openPacker(t, path), openPacker(t, path)
			a := small("INC-1", 20)
			p.begun(a, 5, 3)
			add(b, a)
			chunk := 0
			if name == "an earlier chunk" {
				chunk = 1
			}
			got, err := p.expand("INC-1", chunk, a.Deliveries[8:20]...)
			if err != nil || got.Added != 7 {
				t.Errorf("%d were added, want 7 (%v)", got.Added, err)
			}
			if n := len(p.listed()); n != 17 {
				t.Errorf("there are %d deliveries", n)
			}
		})
	}
}

// TestPackKeyOfAnotherHandle has another handle use a key in between those of two packs.
func TestPackKeyOfAnotherHandle(t *testing.T) {
	path := newFile(t)
	p, b := openPacker(t, path), openPacker(t, path)
	a := small("INC-1", 30)
	slices.SortFunc(a.Deliveries, func(x, y ledger.Planned) int { return strings.Compare(x.Key, y.Key) })
	p.begun(a, 5, 3)
	if _, err := p.expand("INC-1", 0, a.Deliveries[20:]...); err != nil {
		t.Fatal(err)
	}
	other := small("INC-2", 3)
	other.Deliveries[1].Key = a.Deliveries[12].Key
	b.accept(other)
	if got, err := p.expand("INC-1", 1, a.Deliveries[10:15]...); err == nil || !strings.Contains(err.Error(), "that of another delivery") {
		t.Errorf("%d were added (%v)", got.Added, err)
	}
	if n := len(p.listed()); n != 18 {
		t.Errorf("there are %d deliveries", n)
	}
}

// TestPackNumberUsedAgain has another handle finish an update, drop it and use its number
// for one with other recipients.
func TestPackNumberUsedAgain(t *testing.T) {
	path := newFile(t)
	p, b := openPacker(t, path), openPacker(t, path)
	p.begun(small("OLD", 6), 3, 1)
	if _, err := b.expand("OLD", 0, small("OLD", 6).Deliveries[3:]...); err != nil {
		t.Fatal(err)
	}
	b.deliver(b.claim("b", at, 10), at)
	end := small("OLD", 0)
	end.Update.Key, end.Update.Seq, end.Incident.Seq, end.Incident.Status = "OLD-end", 2, 2, "resolved"
	b.accept(end)
	if gone, err := b.Prune(t.Context(), at.Add(time.Hour)); err != nil || gone.Updates != 2 {
		t.Fatalf("%+v (%v)", gone, err)
	}
	a := small("NEW", 20)
	b.begun(a, 10, 2)
	got, err := p.expand("NEW", 0, a.Deliveries[5:15]...)
	if err != nil || got.Added != 5 {
		t.Errorf("%d were added, want 5 (%v)", got.Added, err)
	}
	if n := len(p.listed()); n != 15 {
		t.Errorf("there are %d deliveries", n)
	}
}

// TestPackForgotten drops what the feed would say of a pack, too.
func TestPackForgotten(t *testing.T) {
	for _, from := range []int{2, 1 << 30} {
		p := openPacker(t, newFile(t))
		p.PackFrom(from)
		p.accept(small("INC-1", 10))
		p.deliver(p.claim("me", at, 10), at)
		if n, err := p.Forget(t.Context(), at.Add(time.Hour)); n != 10 || err != nil {
			t.Errorf("packed from %d: %d changes were forgotten, want 10 (%v)", from, n, err)
		}
		if all, err := p.Changes(t.Context(), "", 100); len(all) != 1 || err != nil {
			t.Errorf("packed from %d: %d changes are left, want 1 (%v)", from, len(all), err)
		}
	}
}

// TestPackRewound has a clock go ahead between an acceptance and a claim.
func TestPackRewound(t *testing.T) {
	for _, from := range []int{1 << 30, 2} {
		p := openPacker(t, newFile(t))
		p.PackFrom(from)
		p.accept(small("INC-1", 10))
		p.claim("dead", at.Add(5*time.Hour), 5) // without the last, which has a row
		_, err := p.Rewind(t.Context(), ledger.Rewind{Now: at, Skew: time.Minute, Most: 24 * time.Hour, Lease: time.Minute})
		p.must(err)
		if n := len(p.claim("me", at.Add(2*time.Minute), 20)); n != 10 {
			t.Errorf("packed from %d: %d are claimed after the lease that was brought forward, want 10", from, n)
		}
	}
}

// TestPackUnwritten reads a file with a pack of which some have rows.
func TestPackUnwritten(t *testing.T) {
	path := newFile(t)
	p := openPacker(t, path)
	p.accept(small("INC-1", 50))
	claims := p.claim("me", at, 10)
	p.settle(again(claims[2], at), again(claims[3], at), again(claims[7], at), arrived(claims[0], at))
	p.inPacks(1)
	ro := readOnly(t, path)
	all, err := ro.Updates(t.Context(), ledger.UpdateQuery{})
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if n := count(t, ro) + all[0].Unwritten; n != 50 {
		t.Errorf("of 50 deliveries %d are there and unwritten", n)
	}
}

// TestPackIsReadWhole counts the deliveries of updates while they are accepted: of none
// there is a part.
func TestPackIsReadWhole(t *testing.T) {
	p := openPacker(t, newFile(t))
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			for _, read := range []func() (int, error){
				func() (int, error) {
					all, err := p.Tally(t.Context(), ledger.DeliveryQuery{})
					n := 0
					for _, one := range all {
						n += one.Count
					}
					return n, err
				},
				func() (n int, err error) {
					for _, bad := range p.Deliveries(t.Context(), ledger.DeliveryQuery{}) {
						n, err = n+1, errors.Join(err, bad)
					}
					return n, err
				},
			} {
				if n, err := read(); err != nil || n%10 != 0 {
					t.Errorf("%d deliveries of updates with 10 each (%v)", n, err)
					return
				}
			}
		}
	})
	for i := range 200 {
		p.accept(small(strings.Repeat("I", i+1), 10))
	}
	close(done)
	wg.Wait()
}

// TestPackLeaseOfAnother has an owner's lease end when it says, though an earlier owner
// had a longer one on the same pack.
func TestPackLeaseOfAnother(t *testing.T) {
	for _, from := range []int{1 << 30, 2} {
		p := openPacker(t, newFile(t))
		p.PackFrom(from)
		p.accept(small("INC-1", 10))
		p.deliver(p.claim("me", at, 3), at)
		p.must(p.Renew(t.Context(), "me", at.Add(24*time.Hour)))
		if n := len(p.claim("other", at, 3)); n != 3 {
			t.Fatalf("%d claimed", n)
		}
		if n := len(p.claim("third", at.Add(time.Hour), 10)); n != 7 {
			t.Errorf("packed from %d: %d are claimed after the lease, want 7", from, n)
		}
	}
}
