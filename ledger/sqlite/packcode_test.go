package sqlite

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// someOf are deliveries of several classes, with words that are hard to write down.
func someOf(r *rand.Rand, n int) []ledger.Planned {
	words := []string{"", "a", "\xff\x00", strings.Repeat("long ", 100), "ü", "\x01\x02\x03"}
	word := func() string { return words[r.IntN(len(words))] }
	all := make([]ledger.Planned, n)
	for i := range all {
		p := &all[i]
		p.Key, p.To.Address, p.To.Name, p.Rendering = word(), word(), word(), r.IntN(3)
		if i > 0 && r.IntN(4) > 0 {
			p.List, p.Audience, p.Expire, p.To.Locale, p.To.Zone = all[i-1].List, all[i-1].Audience, all[i-1].Expire, all[i-1].To.Locale, all[i-1].To.Zone
			continue
		}
		p.List, p.Audience, p.To.Locale, p.To.Zone = word(), word(), word(), word()
		p.Expire = []time.Time{{}, time.UnixMicro(1).UTC(), time.UnixMicro(-1 << 62).UTC(), time.UnixMicro(1<<62 + 5).UTC()}[r.IntN(4)]
	}
	return all
}

// TestPackContentComesBack writes deliveries down and reads them.
func TestPackContentComesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	renderings := []int64{1, -7, 1 << 62}
	for n := range 200 {
		all := someOf(r, n)
		c, err := decodeContent(encodeContent(all, renderings), n)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range all {
			got, k := c.places[i], c.classes[c.places[i].class]
			want := class{renderings[p.Rendering], micros(p.Expire), p.List, p.Audience, p.To.Locale, p.To.Zone}
			if got.key != p.Key || c.to(i) != p.To || k != want {
				t.Fatalf("%d of %d is %+v, %+v, want %+v", i, n, got, k, p)
			}
		}
		for _, count := range []int{n - 1, n + 1, 0, 1 << 40} {
			if _, err := decodeContent(encodeContent(all, renderings), count); err == nil && count != n {
				t.Errorf("%d are read as %d", n, count)
			}
		}
	}
}

// TestPackContentCutShort reads every beginning of one.
func TestPackContentCutShort(t *testing.T) {
	b := encodeContent(someOf(rand.New(rand.NewPCG(3, 4)), 20), []int64{1, 2, 3})
	for n := range b {
		if _, err := decodeContent(b[:n], 20); err == nil {
			t.Errorf("%d of %d bytes are read", n, len(b))
		}
	}
}

// TestPackLogComesBack writes entries down and replays them.
func TestPackLogComesBack(t *testing.T) {
	want := make([]fate, 300)
	got := make([]fate, 300)
	for i := range 250 {
		want[i] = fate{kind: entryClaimed, at: -5}
	}
	entries := [][]byte{encodeClaimed(0, 200, -5), encodeClaimed(200, 250, -5)}
	delivered, rows := []byte{entryDelivered}, []byte{entryRow}
	for i := 0; i < 250; i += 3 {
		s := ledger.Settlement{Ended: time.UnixMicro(int64(i) - 100), Receipt: channels.Receipt{RemoteID: strings.Repeat("r", i), Permalink: "p", Thread: "\x00t"}}
		delivered = appendDelivered(delivered, i, &s)
		want[i] = fate{entryDelivered, micros(s.Ended), s.Receipt.RemoteID, "p", "\x00t"}
		rows = appendPlace(rows, i+1)
		want[i+1] = fate{kind: entryRow}
	}
	for _, e := range append(entries, delivered, rows) {
		if err := replay(e, got); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("they are %+v", got)
	}
	for _, e := range [][]byte{
		nil,
		{0},
		{4},
		{entryClaimed},
		encodeClaimed(0, 301, 1), encodeClaimed(2, 1, 1), append(encodeClaimed(0, 1, 1), 0),
		appendPlace([]byte{entryRow}, 300), delivered[:len(delivered)-1],
		{entryRow, 0x80},
	} {
		if err := replay(e, make([]fate, 300)); err == nil {
			t.Errorf("%v is replayed", e)
		}
	}
}

// bytesOf is how much f allocates.
func bytesOf(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestPackTakesNoMore reads what claims to be much: it takes no more memory than so many
// bytes justify.
func TestPackTakesNoMore(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
	for _, b := range [][]byte{{packVersion}, append([]byte{packVersion}, huge...), append([]byte{packVersion, 0, 0, 0}, huge...), make([]byte, 1000)} {
		for _, count := range []int{-1, 0, 1, 1000, 1 << 60} {
			if n := bytesOf(func() { _, _ = decodeContent(b, count) }); n > uint64(200*len(b)+4096) {
				t.Errorf("%d bytes, said to be %d, take %d", len(b), count, n)
			}
		}
		for kind := range byte(5) {
			if n := bytesOf(func() { _ = replay(append([]byte{kind}, b...), make([]fate, 10)) }); n > uint64(200*len(b)+4096) {
				t.Errorf("an entry of %d bytes takes %d", len(b), n)
			}
		}
	}
}

// FuzzPackContent reads anything as the content of a pack: what it accepts means the same
// when it is written down again.
func FuzzPackContent(f *testing.F) {
	for n := range 5 {
		f.Add(encodeContent(someOf(rand.New(rand.NewPCG(5, 6)), n), []int64{1, 2, 3}), n)
	}
	f.Add([]byte{packVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 1<<60)
	f.Add([]byte{packVersion}, -1)
	f.Fuzz(func(t *testing.T, b []byte, count int) {
		c, err := decodeContent(b, count)
		if err != nil {
			return
		}
		if len(c.places) != count {
			t.Fatalf("%d places, want %d", len(c.places), count)
		}
		var all []ledger.Planned
		var renderings []int64
		for i, p := range c.places {
			k := c.classes[p.class]
			renderings = append(renderings, k.rendering)
			all = append(all, ledger.Planned{Key: p.key, To: c.to(i), List: k.list, Audience: k.audience, Rendering: i, Expire: instant(k.expire)})
		}
		again, err := decodeContent(encodeContent(all, renderings), count)
		if err != nil || !reflect.DeepEqual(meant(again), meant(c)) {
			t.Errorf("%+v is %+v when it is written down again (%v)", c, again, err)
		}
	})
}

// meant is a content with the class of each place in full.
func meant(c content) []any {
	var all []any
	for _, p := range c.places {
		k := c.classes[p.class]
		k.expire = micros(instant(k.expire))
		all = append(all, []string{p.key, p.address, p.name}, k)
	}
	return all
}

// FuzzPackLog replays anything.
func FuzzPackLog(f *testing.F) {
	f.Add(encodeClaimed(0, 10, 5), 10)
	f.Add(appendDelivered([]byte{entryDelivered}, 3, &ledger.Settlement{Ended: time.UnixMicro(7)}), 10)
	f.Add(appendPlace([]byte{entryRow}, 9), 10)
	f.Add([]byte{entryRow, 0}, 0)
	f.Fuzz(func(t *testing.T, b []byte, count int) {
		fates := make([]fate, max(count, 0)%1000)
		_ = replay(b, fates) // it may refuse
		for _, f := range fates {
			if f.kind > entryRow || f.kind != entryDelivered && (f.remote != "" || f.permalink != "" || f.thread != "") {
				t.Errorf("%v makes %+v", b, f)
			}
		}
	})
}
