package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/internal/pgtest"
)

// TestChangesComeInTheOrderOfCommits: whoever has read a change has seen, or will see,
// every other one, for a transaction that began to tell first commits first.
func TestChangesComeInTheOrderOfCommits(t *testing.T) {
	address := pgtest.Database(t)
	l := open(t, address)
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := l.Accept(t.Context(), small("a")); err != nil {
		t.Fatal(err)
	}
	from, err := l.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slow, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Exec(t.Context(), `SELECT feed_changes(ARRAY[(SELECT n FROM updates)], ARRAY[0], ARRAY[1])`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := l.Accept(context.Background(), small("b"))
		done <- err
	}()
	waits(t, conn.Config().Database, address)
	if got, err := l.Changes(t.Context(), from, 10); err != nil || len(got) != 0 {
		t.Errorf("read past a transaction under way: %+v %v", got, err)
	}
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got, err := l.Changes(t.Context(), from, 10)
	if err != nil || len(got) != 2 || got[0].Update != "a" || got[1].Update != "b" {
		t.Errorf("changes: %+v %v", got, err)
	}
}

// waits returns when a session of the database waits for a lock.
func waits(t *testing.T, database, address string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		n := 0
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'`, database).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("nobody waits for a lock")
		}
	}
}
