package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// mixed is an update with n deliveries of several classes, in runs of random length.
func mixed(random *rand.Rand, n int) ledger.Acceptance {
	a := small("INC-1", n)
	a.Renderings = []channels.Message{{Format: channels.FormatText, Text: "one"}, {Format: channels.FormatText, Text: "two"}}[:min(n, 2)]
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	class := ledger.Planned{Channel: "mail"}
	for i, run := 0, 0; i < n; i, run = i+1, run-1 {
		if run <= 0 {
			run = 1 + random.IntN(50)
			class = other(random, class, len(a.Renderings))
		}
		p := &a.Deliveries[i]
		key, address := p.Key, p.To.Address
		*p = class
		p.Key, p.To.Address, p.To.Name = key, address, pick("", "N", fmt.Sprint("Ann ", i))
	}
	for i := range a.Renderings {
		a.Deliveries[i].Rendering = i // so that they are used in their order
	}
	return a
}

// other is a class of deliveries that differs from one in a single respect.
func other(random *rand.Rand, p ledger.Planned, renderings int) ledger.Planned {
	swap := func(s *string, a, b string) {
		if *s == a {
			a = b
		}
		*s = a
	}
	switch random.IntN(8) {
	case 0:
		swap(&p.Channel, "mail", "chat")
	case 1:
		swap(&p.List, "", "list")
	case 2:
		swap(&p.Audience, "customer", "public")
	case 3:
		swap(&p.Suppressed, "", "it \x7fsigned off")
	case 4:
		swap(&p.To.Locale, "", "de-DE")
	case 5:
		swap(&p.To.Zone, "", "Europe/Berlin")
	case 6:
		p.Rendering = random.IntN(renderings)
	case 7:
		p.Expire = at.Add(time.Duration(random.IntN(10)) * time.Hour)
	}
	return p
}

// dump is what a query finds, a line each.
func dump(t testing.TB, path, query string) []string {
	t.Helper()
	unpack(t, path)
	db := raw(t, path)
	defer func() { _ = db.Close() }()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		var line strings.Builder
		for i, v := range values {
			fmt.Fprintf(&line, "%s=%v ", names[i], v)
		}
		all = append(all, line.String())
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// intake is all that an acceptance writes, but for the feed.
func intake(t testing.TB, path string) []string {
	t.Helper()
	var all []string
	for _, query := range []string{
		"SELECT * FROM deliveries ORDER BY id", "SELECT * FROM updates", "SELECT * FROM incidents", "SELECT * FROM expansions",
		"SELECT id, upd, hex(digest) AS digest, text FROM renderings ORDER BY id",
	} {
		all = append(all, dump(t, path, query)...)
	}
	return all
}

func equal(t testing.TB, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%s: line %d is\n     %s\nwant %s", what, i, g, w)
			return
		}
	}
}

// inChunks accepts the first few deliveries and writes the others in chunks. Of fewer
// than sixteen each is written by itself. It returns how many were added.
func inChunks(t testing.TB, l *sqlite.Ledger, a ledger.Acceptance, first, size int, between func()) int {
	t.Helper()
	rest := slices.Collect(slices.Chunk(a.Deliveries[first:], size))
	err := l.PutRoster(t.Context(), a.Update.Key+fmt.Sprint(len(rest)), at, func(yield func([]byte) bool) {
		for range rest {
			if !yield([]byte("chunk")) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Rest = &ledger.Rest{Roster: a.Update.Key + fmt.Sprint(len(rest)), Chunks: len(rest), Count: len(a.Deliveries) - first}
	a.Deliveries = a.Deliveries[:first]
	got, err := l.Accept(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if between != nil {
		between()
	}
	added := got.Added
	for n, c := range rest {
		got, err := l.Expand(t.Context(), ledger.Expanded{Update: a.Update.Key, Chunk: n, Deliveries: c, Count: len(c), Now: a.Update.Accepted})
		if err != nil {
			t.Fatal(err)
		}
		added += got.Added
	}
	return added
}

// newFile is a path at which there is no ledger yet; when the test is over the file is
// inspected.
func newFile(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "ledger.db")
	t.Cleanup(func() { inspect(t, path) })
	return path
}

// TestManyAtATime writes the same in three ways: whole, as one chunk, one by one.
func TestManyAtATime(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 33, 1000} {
		for seed := range uint64(4) {
			a := mixed(rand.New(rand.NewPCG(seed, uint64(n))), n)
			one, whole, chunk := newFile(t), newFile(t), newFile(t)
			inChunks(t, open(t, one), a, 0, sqlite.Together-1, nil)
			inChunks(t, open(t, chunk), a, 0, n, nil)
			got, err := open(t, whole).Accept(t.Context(), a)
			if err != nil || got.Added != n {
				t.Errorf("%d of %d were added (%v)", got.Added, n, err)
			}
			want := intake(t, one)
			equal(t, fmt.Sprint("whole, ", n, " of seed ", seed), intake(t, whole), want)
			equal(t, fmt.Sprint("chunk, ", n, " of seed ", seed), intake(t, chunk), want)
			equal(t, "keys in their order", dump(t, whole, "SELECT id, key FROM deliveries ORDER BY id"), keys(a.Deliveries))
		}
	}
}

// unpack has everything in rows.
func unpack(t testing.TB, path string) {
	t.Helper()
	l, err := sqlite.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Latest(context.Background()); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// keys is what there is of deliveries that were all added.
func keys(all []ledger.Planned) []string {
	var lines []string
	for i, p := range all {
		lines = append(lines, fmt.Sprintf("id=%d key=%s ", i+1, p.Key))
	}
	return lines
}

// TestSomeAreThereAlready has recipients in every place of a chunk who were accepted
// before, under the same key or another.
func TestSomeAreThereAlready(t *testing.T) {
	for place := range sqlite.Together {
		for _, n := range []int{1, sqlite.Together} {
			for _, key := range []string{"", "another"} {
				a := small("INC-1", 3*sqlite.Together)
				var there []ledger.Planned
				for i := place; i < place+n; i++ {
					p := a.Deliveries[sqlite.Together+i]
					p.Key += key
					there = append(there, p)
				}
				a.Deliveries = append(there, a.Deliveries...)
				one, chunk := newFile(t), newFile(t)
				inChunks(t, open(t, one), a, n, sqlite.Together-1, nil)
				if got := inChunks(t, open(t, chunk), a, n, 3*sqlite.Together, nil); got != 3*sqlite.Together {
					t.Errorf("place %d, %d of them: %d were added", place, n, got)
				}
				equal(t, fmt.Sprint("place ", place, ", ", n, " of them"), intake(t, chunk), intake(t, one))
			}
		}
	}
}

// TestExtended accepts an update again with more recipients.
func TestExtended(t *testing.T) {
	path := newFile(t)
	l := open(t, path)
	a := small("INC-1", 100)
	again := a
	a.Deliveries = slices.Concat(a.Deliveries[3:5], a.Deliveries[50:51])
	for _, a := range []ledger.Acceptance{a, again, again} {
		if _, err := l.Accept(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	all := slices.Delete(slices.Delete(slices.Clone(again.Deliveries), 50, 51), 3, 5)
	equal(t, "extended", dump(t, path, "SELECT id, key FROM deliveries ORDER BY id"), keys(slices.Concat(a.Deliveries, all)))
	if got := dump(t, path, "SELECT first, last, pending FROM updates"); got[0] != "first=1 last=100 pending=100 " {
		t.Error(got)
	}
}

// TestTwiceInAChunk has one recipient twice, at all distances: the first counts.
func TestTwiceInAChunk(t *testing.T) {
	for second := 1; second < 2*sqlite.Together; second++ {
		a := small("INC-1", 2*sqlite.Together)
		a.Deliveries[second].To = channels.Recipient{Address: a.Deliveries[second/3].To.Address}
		path := newFile(t)
		got, err := open(t, path).Accept(t.Context(), a)
		if err != nil || got.Added != 2*sqlite.Together-1 {
			t.Errorf("%d were added (%v)", got.Added, err)
		}
		equal(t, fmt.Sprint("second at ", second), dump(t, path, "SELECT id, key FROM deliveries ORDER BY id"),
			keys(slices.Delete(a.Deliveries, second, second+1)))
	}
}

// TestKeyOfAnother uses a key twice, in every place: nothing at all is written.
func TestKeyOfAnother(t *testing.T) {
	path := newFile(t)
	l := open(t, path)
	if _, err := l.Accept(t.Context(), small("BASE", 1)); err != nil {
		t.Fatal(err)
	}
	before := intake(t, path)
	for place := range 2*sqlite.Together + 1 {
		for _, key := range []string{"BASE 0", fmt.Sprint("INC-1 ", (place+5)%(2*sqlite.Together))} {
			a := small("INC-1", 2*sqlite.Together+1)
			a.Deliveries[place].Key = key
			if _, err := l.Accept(t.Context(), a); err == nil || !strings.Contains(err.Error(), "the delivery key "+key+" is that of another delivery") {
				t.Errorf("place %d: %v", place, err)
			}
			equal(t, fmt.Sprint("place ", place), intake(t, path), before)
		}
	}
}

// TestCancelledInBetween writes chunks of an update that was taken back.
func TestCancelledInBetween(t *testing.T) {
	one, chunk := newFile(t), newFile(t)
	for path, size := range map[string]int{one: sqlite.Together - 1, chunk: 100} {
		l := open(t, path)
		inChunks(t, l, mixed(rand.New(rand.NewPCG(1, 1)), 100), 20, size, func() {
			if _, err := l.Cancel(t.Context(), "INC-1", at); err != nil {
				t.Fatal(err)
			}
		})
	}
	equal(t, "cancelled", intake(t, chunk), intake(t, one))
}
