package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/internal/pgtest"
	"sitrep/ledger"
)

// TestChangesWaitForWhoBeganBefore: a transaction that began first and commits last
// must not be missed by whoever has read on in the meantime.
func TestChangesWaitForWhoBeganBefore(t *testing.T) {
	address := pgtest.Database(t)
	l := open(t, address)
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	accept := func(incident string) {
		t.Helper()
		_, err := l.Accept(t.Context(), ledger.Acceptance{
			Incident: ledger.Incident{ID: incident, Customer: "abc", Status: "investigating", Seq: 1},
			Update:   ledger.Update{Key: incident, Incident: incident, Customer: "abc", Seq: 1, Status: "investigating", Accepted: time.Now()},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	accept("a")
	slow, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Exec(t.Context(), `UPDATE updates SET planned = 1; UPDATE updates SET planned = 2`); err != nil {
		t.Fatal(err)
	}
	from, err := l.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	accept("b")
	if got, err := l.Changes(t.Context(), from, 10); err != nil || len(got) != 0 {
		t.Errorf("read past a transaction under way: %+v %v", got, err)
	}
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		got, err := l.Changes(t.Context(), from, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 2 && got[0].Update == "a" && got[1].Update == "b" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("changes: %+v", got)
		}
	}
}
