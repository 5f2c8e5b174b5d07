package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sitrep/ledger"
)

const readingConfig = `ledger: sqlite://state/ledger.db
channels:
  - {id: page, kind: page}
customers:
  - id: abc
    name: Enterprise ABC
    lists: [{id: contacts, audience: customer, to: [{page: [abc]}]}]
`

// Only words that the template knows; the key is what tells updates apart.
const readingUpdate = `### Enterprise ABC SEV1 outage - 1:20pm UTC update

#### Status: Identified

Sign-in fails for some users. Next update will be shared at 3pm UTC.
`

func readingHome(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": readingConfig, "update.md": readingUpdate})
	return dir, []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml"), "NO_COLOR=1"}
}

// readers are the commands that only read, and what they say of an empty ledger.
func readers(dir string) map[string]string {
	update := filepath.Join(dir, "update.md")
	return map[string]string{
		"report":                        "The ledger holds no incident yet.",
		"report --json":                 `"incidents": []`,
		"new abc":                       "### Enterprise ABC",
		"who abc":                       "goes to 1 recipient",
		"preview " + update:             "update 1 of abc-",
		"preview " + update + " --json": `"renderings": [`,
		"send --dry-run " + update:      "Dry run: 1 recipient would be told.",
		"suppress list":                 "none is suppressed",
		"token list":                    "There is no token yet.",
		"drill":                         "page",
		"check":                         "1 channel, 1 customer",
		"preview --html " + dir + ".html " + update: "",
	}
}

// snapshot is every file below dir with its time and size.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintln(&b, path, info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Who only looks makes no ledger and touches none.
func TestReadersWriteNothing(t *testing.T) {
	dir, env := readingHome(t)
	t.Cleanup(func() { _ = os.Remove(dir + ".html") })
	before := snapshot(t, dir)
	for words, want := range readers(dir) {
		code, out, errOut := cli(t, env, strings.Fields(words)...)
		if !strings.Contains(out, want) || code != exitOK && words != "drill" {
			t.Errorf("%s without a ledger: %d\n%s%s", words, code, out, errOut)
		}
	}
	if code, _, errOut := cli(t, env, "report", "abc-20261122-1"); code != exitUsage || !strings.Contains(errOut, "has no incident and no update") {
		t.Errorf("a report of nothing: %d %s", code, errOut)
	}
	if code, _, errOut := cli(t, env, "ledger", "backup", filepath.Join(dir, "copy.db")); code != exitUsage || !strings.Contains(errOut, "nothing to back up") {
		t.Errorf("a backup of nothing: %d %s", code, errOut)
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("without a ledger it was\n%sand is\n%s", before, after)
	}
	if code, out, errOut := cli(t, env, "send", "--yes", filepath.Join(dir, "update.md")); code != exitOK {
		t.Fatalf("%d %s%s", code, out, errOut)
	}
	before = snapshot(t, dir)
	for words := range readers(dir) {
		if code, out, errOut := cli(t, env, strings.Fields(words)...); code != exitOK && words != "drill" {
			t.Errorf("%s: %d\n%s%s", words, code, out, errOut)
		}
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("it was\n%sand is\n%s", before, after)
	}
}

// A ledger that an older version wrote is read after it is brought up to date, and the
// user is told; where that cannot be, they are told why.
func TestReadersOfAnOlderLedger(t *testing.T) {
	dir, env := readingHome(t)
	path := filepath.Join(dir, "state", "ledger.db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil { // as old as can be: no tables at all
		t.Fatal(err)
	}
	code, out, errOut := cli(t, env, "report")
	if code != exitOK || !strings.Contains(out, "no incident yet") || !strings.Contains(errOut, path+" was written by an older version of sitrep; it is brought up to date now.") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
	if code, _, errOut := cli(t, env, "report"); code != exitOK || errOut != "" {
		t.Errorf("the second time: %d %s", code, errOut)
	}
}

// Reading goes on while others begin and end to write to the same file.
func TestReadersBesideWriters(t *testing.T) {
	dir, env := readingHome(t)
	update := filepath.Join(dir, "update.md")
	send := func(i int) {
		if code, out, errOut := cli(t, env, "send", "--yes", "--key", fmt.Sprint("key-", i), update); code != exitOK {
			t.Errorf("send: %d %s%s", code, out, errOut)
		}
	}
	send(0)
	var writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-done:
				return
			default:
				send(i)
			}
		}
	})
	for range 40 {
		for _, words := range [][]string{{"report"}, {"report", "key-0", "--all"}, {"suppress", "list"}} {
			if code, out, errOut := cli(t, env, words...); code != exitOK {
				t.Errorf("%v: %d\n%s%s", words, code, out, errOut)
			}
		}
	}
	close(done)
	writer.Wait()
}

// What others begin to write while it is being read is read anew.
func TestReadingBeginsAgain(t *testing.T) {
	dir, env := readingHome(t)
	cli(t, env, "send", "--yes", filepath.Join(dir, "update.md"))
	a := newApp(env, strings.NewReader(""), io.Discard, io.Discard)
	cfg, err := a.loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	tries, found := 0, 0
	err = a.reading(t.Context(), cfg, func(ctx context.Context, l ledger.Ledger) error {
		if tries++; tries == 1 {
			cli(t, env, "suppress", "add", "abc", "--channel", "page", "--reason", "somebody writes")
		}
		all, err := l.Suppressions(ctx, "")
		found = len(all)
		return err
	})
	if err != nil || tries != 2 || found != 1 {
		t.Errorf("%v; %d tries, %d found", err, tries, found)
	}
}
