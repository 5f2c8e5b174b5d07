package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

var at = time.Date(2026, 11, 22, 19, 20, 0, 0, time.UTC)

// small is the first update of an incident with n recipients.
func small(incident string, n int) ledger.Acceptance {
	a := ledger.Acceptance{
		Incident:   ledger.Incident{ID: incident, Customer: "abc", Started: at, Status: "investigating", Seq: 1, Updated: at},
		Update:     ledger.Update{Key: incident, Incident: incident, Customer: "abc", Seq: 1, Status: "investigating", At: at, Accepted: at},
		Renderings: []channels.Message{{Format: channels.FormatText, Text: strings.Repeat("text ", 1000)}},
	}
	for i := range n {
		a.Deliveries = append(a.Deliveries, ledger.Planned{
			Key: fmt.Sprint(incident, " ", i), Channel: "mail", To: channels.Recipient{Address: fmt.Sprint(i, "@abc.example")}, Audience: "customer",
		})
	}
	return a
}

func count(t *testing.T, l ledger.Reader) int {
	t.Helper()
	n := 0
	for _, err := range l.Deliveries(t.Context(), ledger.DeliveryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// raw opens the file without our help.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func do(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

func TestRightsOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "sitrep", "ledger.db")
	l := open(t, path)
	if _, err := l.Accept(t.Context(), small("INC-1", 1)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

func TestAnyPath(t *testing.T) {
	for _, name := range []string{"a b.db", "q?x=1&mode=ro.db", "#hash.db", "100%25.db", "ünï😀.db", ":memory:", "-rf", "'q'.db"} {
		path := filepath.Join(t.TempDir(), name)
		l := open(t, path)
		if _, err := l.Accept(t.Context(), small("INC-1", 1)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		if n := count(t, open(t, path)); n != 1 {
			t.Errorf("%s: another handle sees %d deliveries", name, n)
		}
	}
}

// refused opens path and expects an error that says all of want.
func refused(t *testing.T, path string, want ...string) error {
	t.Helper()
	l, err := sqlite.Open(t.Context(), path)
	if err == nil {
		t.Errorf("%s was opened", path)
		return l.Close()
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in: %v", w, err)
		}
	}
	return err
}

func TestOpenSaysWhy(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "notes.txt")
	text := []byte(strings.Repeat("These are my notes, not a ledger.\n", 200))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = refused(t, file, file, "file of some other kind", "ledger: sqlite://PATH")
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, text) {
		t.Errorf("the file was changed (%v)", err)
	}
	_ = refused(t, filepath.Join(file, "ledger.db"), "directory cannot be made", file, "ledger: sqlite://PATH")
	_ = refused(t, dir, dir, "cannot be opened for writing", "ledger: sqlite://PATH")
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "ledger.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("opened with a cancelled context: %v", err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	do(t, db, "INSERT INTO sitrep_schema (version_id, is_applied) VALUES (999, 1)")
	err := refused(t, path, path, "schema 999", "newer version")
	if !errors.Is(err, sqlite.ErrNewer) {
		t.Errorf("%v is not ErrNewer", err)
	}
	do(t, db, "DELETE FROM sitrep_schema WHERE version_id = 999")
	open(t, path)
}

// TestOlderSchemaIsBroughtUpToDate opens a file whose feed was written by triggers.
func TestOlderSchemaIsBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := sqlite.MigrateTo(t.Context(), path, 100); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	do(t, db, `INSERT INTO incidents VALUES (1, 'INC-1', 'abc', '', 1, 'investigating', 1, 1, 0)`)
	do(t, db, `INSERT INTO updates (n, key, incident, customer, severity, seq, status, at, accepted, next, first, last, touched, pending, title, override, source)
		VALUES (1, 'key-1', 1, 'abc', '', 1, 'investigating', 1, 1, 0, 1, 1, 1, 1, 't', '', 's')`)
	do(t, db, `INSERT INTO renderings VALUES (1, 1, x'00', 'text', '', 't', '', NULL)`)
	do(t, db, `INSERT INTO deliveries (upd, incident, seq, channel, address, key, rendering, accepted, due, expire, outcome, settled, list, audience, name, locale, zone)
		VALUES (1, 1, 1, 'mail', 'a', 'd', 1, 1, 1, 1, '', 0, 'l', 'customer', '', '', '')`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	l := open(t, path)
	got, err := l.Claim(t.Context(), ledger.ClaimRequest{Channel: "mail", Owner: "me", Now: at, Until: at.Add(time.Minute), Limit: 5})
	if err != nil || len(got.Claims) != 1 {
		t.Fatalf("claimed %+v (%v)", got, err)
	}
	done := ledger.Settlement{ID: got.Claims[0].ID, Owner: "me", Attempt: 1, Outcome: ledger.Delivered, Ended: at}
	if _, err := l.Settle(t.Context(), []ledger.Settlement{done}); err != nil {
		t.Fatal(err)
	}
	all, err := l.Changes(t.Context(), "", 10)
	if err != nil || len(all) != 2 || all[0].Update != "key-1" || all[1].Outcome != ledger.Delivered {
		t.Errorf("the feed is %+v (%v)", all, err)
	}
}

func TestOpenedByManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			l, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := l.Accept(t.Context(), small(fmt.Sprint("INC-", i), 1)); err != nil {
				t.Error(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := count(t, open(t, path)); n != 8 {
		t.Errorf("%d deliveries, want 8", n)
	}
}

func TestDiskFull(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"))
	if _, err := l.Accept(t.Context(), small("INC-1", 1)); err != nil {
		t.Fatal(err)
	}
	if err := l.Full(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := l.Accept(t.Context(), small("INC-2", 500))
	if err == nil || !strings.Contains(err.Error(), "disk is full") || !strings.Contains(err.Error(), "nothing was recorded") {
		t.Errorf("with a full disk: %v", err)
	}
	if n := count(t, l); n != 1 {
		t.Errorf("%d deliveries, want the 1 from before", n)
	}
	if err := l.Roomy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(t.Context(), small("INC-2", 500)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestFileTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	_, gone := l.Accept(t.Context(), small("INC-1", 1))
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, replaced := l.Accept(t.Context(), small("INC-1", 1))
	for _, err := range []error{gone, replaced} {
		if err == nil || !strings.Contains(err.Error(), "moved, deleted or replaced") {
			t.Errorf("with the file gone: %v", err)
		}
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(t.Context(), small("INC-1", 1)); err != nil {
		t.Errorf("with the file back: %v", err)
	}
}

func TestAnotherProcessHoldsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path)
	db := raw(t, path)
	do(t, db, "BEGIN IMMEDIATE")
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	if _, err := l.Accept(ctx, small("INC-1", 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another process writes: %v", err)
	}
	if n := count(t, l); n != 0 {
		t.Errorf("%d deliveries", n)
	}
	do(t, db, "COMMIT")
	if _, err := l.Accept(t.Context(), small("INC-1", 1)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestWritersTakeTurns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	synctest.Test(t, func(t *testing.T) {
		l, err := sqlite.Open(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		release := l.Occupy()
		const n = 6
		ctx, cancel := context.WithCancel(context.Background())
		for i := range n {
			c := context.Background()
			if i == 2 {
				c = ctx
			}
			go func() {
				err := l.Publish(c, ledger.PageEntry{Key: fmt.Sprint(i), Page: "p", At: at})
				if (err != nil) != (i == 2) {
					t.Errorf("caller %d: %v", i, err)
				}
			}()
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		release()
		synctest.Wait()
		entries, err := l.Entries(context.Background(), "p", time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range entries {
			got = e.Key + got
		}
		if got != "01345" {
			t.Errorf("they wrote in the order %s", got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestPlans holds every hot query to what it may read: deliveries by their id or by
// the queue's index, nothing sorted but groups, no index built on the way.
func TestPlans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	open(t, path)
	db := raw(t, path)
	do(t, db, "PRAGMA automatic_index = 0")
	for name, query := range sqlite.Statements() {
		plan := explain(t, db, query)
		bad := strings.Contains(plan, "AUTOMATIC") || strings.Contains(plan, "SCAN o") ||
			strings.Contains(plan, "SCAN d") && !strings.Contains(plan, "SCAN d USING INDEX deliveries_pending") ||
			strings.Contains(plan, "TEMP B-TREE FOR ORDER BY") && !strings.HasPrefix(name, "tally") ||
			strings.HasPrefix(name, "tally pending") && !strings.Contains(plan, "deliveries_pending")
		if bad {
			t.Errorf("%s would read history or sort the queue:\n%s", name, plan)
		}
		if testing.Verbose() {
			t.Logf("%s:\n%s", name, plan)
		}
	}
}

func explain(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	for i := range args {
		args[i] = 1
	}
	rows, err := db.Query("EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		var a, b, c int
		var line string
		if err := rows.Scan(&a, &b, &c, &line); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
