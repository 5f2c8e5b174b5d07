package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/ledger"
	"sitrep/ledger/ledgertest"
	"sitrep/ledger/sqlite"
)

func readOnly(t *testing.T, path string) *sqlite.Ledger {
	t.Helper()
	l, err := sqlite.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// furnished is a ledger with something of everything.
func furnished(t *testing.T) (string, *sqlite.Ledger) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path)
	ledgertest.Furnish(t, ledgertest.Store{Ledger: l})
	return path, l
}

// stamps is what is in the directory of a file, with sizes and times.
func stamps(t *testing.T, path string) string {
	t.Helper()
	all, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range all {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(fs.FormatFileInfo(info) + info.ModTime().String() + "\n")
	}
	return b.String()
}

func TestReadOnlyReads(t *testing.T) {
	path, l := furnished(t)
	ro := readOnly(t, path)
	ledgertest.Same(t, l, ro)
	if _, err := l.Accept(t.Context(), small("INC-9", 3)); err != nil {
		t.Fatal(err)
	}
	ledgertest.Same(t, l, ro)
	to := open(t, filepath.Join(t.TempDir(), "to.db"))
	if _, err := ledger.Move(t.Context(), ro, to, at.AddDate(1, 0, 0)); err != nil {
		t.Error(err)
	}
	ledgertest.Same(t, ro, to)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := ro.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	ledgertest.Same(t, ro, open(t, backup))
}

// TestReadOnlyTouchesNothing reads a ledger that nobody has open.
func TestReadOnlyTouchesNothing(t *testing.T) {
	path, l := furnished(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := stamps(t, path)
	ro := readOnly(t, path)
	if n := count(t, ro); n != 21 {
		t.Errorf("%d deliveries", n)
	}
	if err := ro.Backup(t.Context(), filepath.Join(t.TempDir(), "backup.db")); err != nil {
		t.Error(err)
	}
	if err := ro.Close(); err != nil {
		t.Error(err)
	}
	if _, err := ro.Incidents(t.Context(), ledger.IncidentQuery{}); err == nil {
		t.Error("it reads after it was closed")
	}
	if after := stamps(t, path); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestReadOnlyAfterACrash reads what a process that died left behind: all of it, and
// leaves it to the next one that writes.
func TestReadOnlyAfterACrash(t *testing.T) {
	path, l := furnished(t)
	want := count(t, l)
	left := filepath.Join(t.TempDir(), "ledger.db")
	contents := func(path string) (all [2]string) {
		t.Helper()
		for i, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			all[i] = string(b)
		}
		return all
	}
	before := contents(path)
	for i, suffix := range []string{"", "-wal"} {
		if err := os.WriteFile(left+suffix, []byte(before[i]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ro := readOnly(t, left)
	if n := count(t, ro); n != want {
		t.Errorf("%d deliveries, want %d", n, want)
	}
	if err := ro.Close(); err != nil {
		t.Error(err)
	}
	if contents(left) != before {
		t.Error("it was changed")
	}
}

func TestReadOnlyRefusesToWrite(t *testing.T) {
	path, _ := furnished(t)
	l := readOnly(t, path)
	ctx := t.Context()
	second := func(_ any, err error) error { return err }
	for name, write := range map[string]func() error{
		"Accept":      func() error { return second(l.Accept(ctx, small("INC-9", 1))) },
		"Reopen":      func() error { return second(l.Reopen(ctx, "INC-1-key-1", at, at)) },
		"Claim":       func() error { return second(l.Claim(ctx, ledger.ClaimRequest{Channel: "mail", Now: at, Limit: 1})) },
		"Settle":      func() error { return second(l.Settle(ctx, []ledger.Settlement{{ID: 1, Outcome: ledger.Delivered}})) },
		"Renew":       func() error { return l.Renew(ctx, "me", at) },
		"Pause":       func() error { return l.Pause(ctx, ledger.Pause{Channel: "mail", Until: at}) },
		"Suppress":    func() error { return l.Suppress(ctx, ledger.Suppression{Channel: "mail", Address: "x"}) },
		"Lift":        func() error { return second(l.Lift(ctx, "mail", "z")) },
		"Publish":     func() error { return l.Publish(ctx, ledger.PageEntry{Key: "k", Page: "p"}) },
		"Page":        func() error { return second(l.Page(ctx, "one that is not there")) },
		"Cancel":      func() error { return second(l.Cancel(ctx, "INC-2-key-1", at)) },
		"Forget":      func() error { return second(l.Forget(ctx, at)) },
		"Prune":       func() error { return second(l.Prune(ctx, at.AddDate(1, 0, 0))) },
		"PutRoster":   func() error { return l.PutRoster(ctx, "r", at, slices.Values([][]byte{{1}})) },
		"Expand":      func() error { return second(l.Expand(ctx, ledger.Expanded{Update: "INC-1-key-1"})) },
		"Import":      func() error { return l.Import(ctx, l.Export(ctx, at.AddDate(1, 0, 0))) },
		"AddToken":    func() error { return l.AddToken(ctx, ledger.Token{ID: "x"}) },
		"RevokeToken": func() error { return l.RevokeToken(ctx, "k1", at) },
		"TouchToken":  func() error { return l.TouchToken(ctx, "k1", at) },
		"PutDraft":    func() error { return l.PutDraft(ctx, ledger.Draft{ID: "x"}) },
		"DropDraft":   func() error { return second(l.DropDraft(ctx, "d1")) },
		"Bounce": func() error {
			_, _, err := l.Bounce(ctx, ledger.Bounce{Key: "INC-1-1-mail/a", At: at, Delayed: true})
			return err
		},
		"Hold": func() error { _, _, err := l.Hold(ctx, "remind"); return err },
	} {
		err := write()
		if !errors.Is(err, ledger.ErrReadOnly) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "nothing was recorded") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p, err := l.Page(ctx, "abc"); err != nil || p.Token == "" {
		t.Errorf("a page that is there: %v", err)
	}
}

func TestReadOnlySaysWhy(t *testing.T) {
	dir := t.TempDir()
	refused := func(path string, want ...string) error {
		t.Helper()
		_, err := sqlite.OpenReadOnly(t.Context(), path)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not in: %v", w, err)
			}
		}
		return err
	}
	missing := filepath.Join(dir, "no", "ledger.db")
	if err := refused(missing, missing, "no ledger yet"); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ledger.ErrNone) {
		t.Errorf("%v is not fs.ErrNotExist and ErrNone", err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) > 0 {
		t.Errorf("it made %v (%v)", all, err)
	}
	_ = refused(dir, dir, "not a file")
	notes := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(notes, []byte(strings.Repeat("These are my notes.\n", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = refused(notes, notes, "file of some other kind")

	path := filepath.Join(dir, "ledger.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	do(t, db, "DELETE FROM sitrep_schema WHERE version_id > 1")
	if err := refused(path, path, "has schema 1 and", "sitrep ledger migrate"); !errors.Is(err, ledger.ErrOlder) {
		t.Errorf("%v is not ErrOlder", err)
	}
	do(t, db, "INSERT INTO sitrep_schema (version_id, is_applied) VALUES (999, 1)")
	if err := refused(path, "schema 999"); !errors.Is(err, sqlite.ErrNewer) {
		t.Errorf("%v is not ErrNewer", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlite.OpenReadOnly(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("after the caller has gone: %v", err)
	}
}

// TestReadOnlyWhileSomebodyBegins has a writer come to a ledger that nobody had open:
// then nothing is read half of one state and half of another.
func TestReadOnlyWhileSomebodyBegins(t *testing.T) {
	path, l := furnished(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ro := readOnly(t, path)
	for end := time.Now().Add(10 * time.Second); ; {
		w := open(t, path)
		if _, err := w.Accept(t.Context(), small(time.Now().String(), 200)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := ro.Incidents(t.Context(), ledger.IncidentQuery{})
		if err != nil {
			if !errors.Is(err, ledger.ErrChanged) || !strings.Contains(err.Error(), path) {
				t.Error(err)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal("it reads as if nothing had happened")
		}
	}
	if n := count(t, readOnly(t, path)); n < 221 {
		t.Errorf("opened again it has %d deliveries", n)
	}
}

// TestReadOnlyDirectory reads as somebody who may write nowhere, once while nobody has
// the file open and once while somebody writes.
func TestReadOnlyDirectory(t *testing.T) {
	path, l := furnished(t)
	dir := filepath.Dir(path)
	for _, d := range []string{dir, filepath.Dir(dir)} {
		allow(t, d, 0o755)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		allow(t, name, 0o444)
	}
	want := count(t, l)
	read := func(when string, want int) {
		t.Helper()
		ro := readOnly(t, path)
		if n := count(t, ro); n != want {
			t.Errorf("while %s has it open: %d deliveries, want %d", when, n, want)
		}
		if err := ro.Close(); err != nil { // or it would be the one that has it open
			t.Error(err)
		}
	}
	asNobody(t, dir, func() { read("somebody", want) })
	if _, err := l.Accept(t.Context(), small("INC-9", 1)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	asNobody(t, dir, func() {
		read("nobody", want+1)
		_, err := sqlite.Open(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), "cannot be opened for writing") {
			t.Errorf("opened for writing: %v", err)
		}
	})
	allow(t, path, 0o666)
	asNobody(t, dir, func() {
		_, err := sqlite.Open(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), "check") {
			t.Errorf("opened for writing beside nothing that can be written: %v", err)
		}
	})
}

func allow(t *testing.T, name string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// asNobody runs f with a directory that it may not write to. Root may write anywhere,
// so f runs as user 65534 then, on a thread that ends with it.
func asNobody(t *testing.T, dir string, f func()) {
	t.Helper()
	allow(t, dir, 0o555)
	defer allow(t, dir, 0o755)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			runtime.LockOSThread() // and never unlocked
			if err := becomeNobody(); err != nil {
				t.Error(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err == nil {
			t.Error("the directory can be written to: the test proves nothing")
		}
		f()
	}()
	<-done
}
