package dispatcher_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// counted is a ledger that counts what it is asked for, and can have lost rosters.
type counted struct {
	*sqlite.Ledger
	puts, chunks atomic.Int64
	lost         atomic.Bool
}

func (w *counted) PutRoster(ctx context.Context, digest string, now time.Time, chunks iter.Seq[[]byte]) error {
	w.puts.Add(1)
	return w.Ledger.PutRoster(ctx, digest, now, func(yield func([]byte) bool) {
		for c := range chunks {
			w.chunks.Add(1)
			if !yield(c) {
				return
			}
		}
	})
}

func (w *counted) RosterChunk(ctx context.Context, digest string, n int) ([]byte, error) {
	if w.lost.Load() {
		return nil, ledger.ErrNotFound
	}
	return w.Ledger.RosterChunk(ctx, digest, n)
}

func (r *rig) counting() *counted {
	w := &counted{}
	r.open(func(o *dispatcher.Options) {
		w.Ledger = o.Ledger.(*sqlite.Ledger)
		o.Ledger = w
	})
	return w
}

// An update that cannot be gone on with is told of, harms no other, and goes on when
// what was wrong is mended.
func TestRosterIsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		other := crowded(3)
		other.ID, other.Name = "xyz", "Xylophone"
		r, _ := newCrowd(t, crowded(2000))
		r.o.Parties = append(r.o.Parties, other)
		w := r.counting()
		got := r.publish(dispatcher.Submission{Source: []byte(text)})
		w.lost.Store(true)
		stop := r.start()
		soon(t, "trouble is told", func() bool { return len(r.kinds(dispatcher.EventTrouble)) > 0 })
		e := r.kinds(dispatcher.EventTrouble)[0]
		if e.Update != got.Update.Key || !strings.Contains(e.Detail, "not in the ledger any more") || !strings.Contains(e.Detail, "cancel the update") {
			t.Errorf("%+v", e)
		}
		small := r.publish(dispatcher.Submission{Source: []byte(strings.Replace(text, "ABC Corp", "Xylophone", 1))})
		time.Sleep(time.Second)
		r.tally(small.Update.Key, ledger.Delivered, 4)
		r.tally(got.Update.Key, ledger.Delivered, got.Added-got.Update.Unwritten)
		w.lost.Store(false)
		time.Sleep(time.Minute)
		r.tally(got.Update.Key, ledger.Delivered, 2001)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// What is written down for a channel that is not configured any more expires, like
// everything that waits for it.
func TestChannelGoneWhileExpanding(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := crowded(1200)
		p.Lists[0].To = nil
		for i := range 300 { // so many that nothing is written for the other channel at first
			p.Lists[0].To = append(p.Lists[0].To, incident.Recipient{Channel: "chat", Address: fmt.Sprint("room", i)})
		}
		far := newRemote(nil)
		short := lane("mail", newRemote(nil))
		short.Expire = time.Minute
		r := newRig(t, lane("chat", far), short)
		r.open(func(o *dispatcher.Options) { o.Parties = []incident.Party{p} })
		got := r.publish(dispatcher.Submission{Source: []byte(text)})
		r.open(func(o *dispatcher.Options) { o.Parties, o.Lanes = nil, o.Lanes[:1] })
		stop := r.start()
		time.Sleep(20 * time.Minute)
		r.tally(got.Update.Key, ledger.Expired, 1200)
		r.tally(got.Update.Key, ledger.Delivered, 300)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A daemon keeps the recipients of large customers ready, those of a new configuration
// too, so that accepting an update writes none of them.
func TestRostersAreReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := newCrowd(t, crowded(2000))
		w := r.counting()
		stop := r.start()
		soon(t, "the roster is there", func() bool { return w.chunks.Load() > 0 })
		once := w.chunks.Load()
		r.publish(dispatcher.Submission{Source: []byte(text), Incident: "INC-1"})
		if w.puts.Load() != 1 {
			t.Errorf("Publish put a roster")
		}
		time.Sleep(time.Hour + time.Minute)
		if w.puts.Load() != 2 || w.chunks.Load() != once {
			t.Errorf("after an hour: put %d times, %d chunks; want it noted as used, and nothing written", w.puts.Load(), w.chunks.Load()-once)
		}
		o := r.o
		o.Parties = []incident.Party{crowded(3000)}
		d, _, err := r.d.Reload(o)
		if err != nil {
			t.Fatal(err)
		}
		soon(t, "the new one is there", func() bool { return w.chunks.Load() > once })
		r.d = d
		again := strings.Replace(text, "Identified", "Monitoring", 1)
		got := r.publish(dispatcher.Submission{Source: []byte(again), Incident: "INC-2"})
		if w.puts.Load() != 3 {
			t.Errorf("put %d times", w.puts.Load())
		}
		time.Sleep(time.Second)
		r.tally(got.Update.Key, ledger.Delivered, 3001)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Somebody who is to be told by contract is known as such to the channel, and stays on
// the lists when a remote side does not know the address.
func TestRequiredRecipients(t *testing.T) {
	p := crowded(3)
	p.Lists[1].To[1].Required, p.Lists[1].To[2].Required = true, true
	var mu sync.Mutex
	required := map[string]bool{}
	r, far := newCrowd(t, p)
	seen := troubles{}
	r.open(func(o *dispatcher.Options) { o.Parties, o.Record = []incident.Party{p}, seen })
	far["mail"].answer = func(_ context.Context, e channels.Envelope, _ int) (channels.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		required[e.To.Address] = e.Required
		if e.To.Address == "user2@abc.example" {
			return channels.Receipt{}, channels.Errorf(channels.Rejected, "552 mailbox full")
		}
		return channels.Receipt{}, channels.Errorf(channels.NoRecipient, "550 no such user")
	}
	got := r.publish(dispatcher.Submission{Source: []byte(text)})
	r.work()
	if required["user0@abc.example"] || !required["user1@abc.example"] {
		t.Errorf("the channel was told %v", required)
	}
	r.outcome(got.Update.Key, "mail:user1@abc.example", ledger.Failed)
	all, err := r.l.Suppressions(t.Context(), "")
	if err != nil || len(all) != 1 || all[0].Address != "user0@abc.example" {
		t.Errorf("suppressed %+v, %v; want user0 alone", all, err)
	}
	if !strings.Contains(r.log(), "to be told by contract") {
		t.Error("nobody is told")
	}
	if got := seen["required "+p.ID+" mail"]; got != 2 {
		t.Errorf("counted %v, want the two who have to be told", seen)
	}
}

// A channel says how long its attempts take; the configuration has the last word.
func TestTimeoutOfAChannel(t *testing.T) {
	for _, tc := range []struct{ spec, configured, want time.Duration }{
		{0, 0, 30 * time.Second}, {2 * time.Minute, 0, 2 * time.Minute}, {2 * time.Minute, time.Minute, time.Minute},
	} {
		var got time.Duration
		far := newRemote(func(ctx context.Context, _ channels.Envelope, _ int) (channels.Receipt, error) {
			end, _ := ctx.Deadline()
			got = time.Until(end).Round(time.Second)
			return channels.Receipt{}, nil
		})
		far.spec.Timeout = tc.spec
		l := lane("mail", far)
		l.Timeout = tc.configured
		r := newRig(t, l)
		r.accept("INC-1", 1, time.Hour, "mail:a@x")
		r.work()
		if got != tc.want {
			t.Errorf("%+v: the attempt had %s", tc, got)
		}
	}
}

// The process is killed at random moments while it writes and sends an update: every
// recipient gets it, and twice only where an interrupted attempt is on record.
func TestExpansionKill(t *testing.T) {
	const n, kills = 2400, 6
	seen, address := newCounter(t)
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "sitrep.db")}
	list := incident.List{ID: "contacts", Audience: incident.Customer}
	for i := range n {
		list.To = append(list.To, incident.Recipient{Channel: "line", Address: fmt.Sprint(i)})
	}
	r.o.Lanes = []dispatcher.Lane{{ID: "line", Channel: line{address}}}
	r.open(func(o *dispatcher.Options) {
		o.Parties = []incident.Party{{ID: "abc", Name: "ABC Corp", Zone: time.UTC, Lists: []incident.List{list}}}
	})
	got := r.publish(dispatcher.Submission{Source: []byte(text)})
	inTheMiddle := 0
	for range kills {
		if !runChild(t, r.path, address, seen.after(1+rand.IntN(n/kills/4))) { //nolint:gosec // any moment will do
			t.Fatal("a run ended before it was killed")
		}
		if r.updateAt(got.Update.Key).Unwritten > 0 {
			inTheMiddle++
		}
	}
	if runChild(t, r.path, address, seen.after(100*n)) {
		t.Fatal("the last run was killed")
	}
	r.tally(got.Update.Key, ledger.Delivered, n)
	for d, err := range r.l.Deliveries(t.Context(), ledger.DeliveryQuery{Update: got.Update.Key}) {
		if err != nil {
			t.Fatal(err)
		}
		copies := seen.seen[d.Key]
		if copies == 1 {
			continue
		}
		if most := 1 + r.interrupted(d.Key); copies < 1 || copies > most {
			t.Errorf("%s arrived %d times, want 1 to %d", d.To.Address, copies, most)
		}
	}
	t.Logf("killed %d times, %d of them while the update was being written down", kills, inTheMiddle)
}
