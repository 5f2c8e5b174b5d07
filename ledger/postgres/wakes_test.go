package postgres_test

import (
	"slices"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/internal/pgtest"
	"sitrep/ledger"
)

// TestExpansionsWake: whoever works any channel may write what is left of an update,
// and may work the next one when that is done.
func TestExpansionsWake(t *testing.T) {
	address := pgtest.Database(t)
	l, other := open(t, address), open(t, address)
	wakes, err := other.Wakes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.PutRoster(t.Context(), "r", at, slices.Values([][]byte{{0}, {1}, {2}})); err != nil {
		t.Fatal(err)
	}
	a := small("INC-1")
	a.Rest = &ledger.Rest{Roster: "r", Chunk: 1, Chunks: 3, Count: 2}
	if _, err := l.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	expect(t, wakes, "mail")
	expect(t, wakes, "")
	for n, want := range []string{1: "chat", 2: "post"} {
		if n == 0 {
			continue
		}
		more := ledger.Planned{Key: want, Channel: want, To: channels.Recipient{Address: "x"}}
		if _, err := l.Expand(t.Context(), ledger.Expanded{Update: a.Update.Key, Chunk: n, Deliveries: []ledger.Planned{more}, Count: 1, Now: at}); err != nil {
			t.Fatal(err)
		}
		expect(t, wakes, want)
	}
	expect(t, wakes, "")
}

func expect(t *testing.T, wakes <-chan string, want string) {
	t.Helper()
	select {
	case got := <-wakes:
		if got != want {
			t.Errorf("woken for %q, want %q", got, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("not woken for %q", want)
	}
}
