package acceptance_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"sitrep/internal/pgtest"
)

// With a full disk an update is refused in plain words and the server stays up; once
// there is room again it takes the same update in.
func TestFullDisk(t *testing.T) {
	h := newHome(t, `
ledger: sqlite://data/ledger.db
channels: [{id: page, kind: page}]
customers:
  - id: abc
    name: Enterprise ABC
    lists: [{id: readers, audience: customer, to: [{page: [abc]}]}]
`)
	h.write(t, "update.md", "### Enterprise ABC SEV1 outage\n\n#### Status: Identified\n\n#### Incident Time: 1 hour\n\n"+strings.Repeat("Sign-in fails. ", 2000)+"\n")
	small := serveOnSmallDisk(t, h)
	fill(t, small.disk)
	r := small.sitrep(t, "send", "update.md")
	if r.code == 0 || !strings.Contains(r.err, "nothing was done") {
		t.Errorf("with a full disk: %v", r)
	}
	if r := small.sitrep(t, "report"); r.code != 0 || !strings.Contains(r.out, "no incident yet") {
		t.Errorf("the server does not stay up: %v\n%s", r, small.log)
	}
	if !strings.Contains(small.log.String(), "the disk is full") {
		t.Errorf("the operator is not told why:\n%s", small.log)
	}
	if err := os.Remove(filepath.Join(small.disk, "ballast")); err != nil {
		t.Fatal(err)
	}
	if r := small.sitrep(t, "send", "update.md"); r.code != 0 || !strings.Contains(r.out, "all 1 delivered") {
		t.Errorf("with room again: %v\n%s", r, small.log)
	}
}

// smallDisk is a server whose ledger is on a disk of four megabytes of its own.
type smallDisk struct {
	served
	disk string // as this process reaches it
}

func serveOnSmallDisk(t *testing.T, h home) smallDisk {
	t.Helper()
	if err := os.Mkdir(h.path("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := h.daemon(t, mounted(t, `mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"`, h.path("data")))
	if len(s.done) > 0 {
		s.done <- <-s.done
		missing(t, "a disk of its own cannot be mounted here: %s", s.log)
	}
	return smallDisk{s, fmt.Sprintf("/proc/%d/root%s", s.cmd.Process.Pid, h.path("data"))}
}

// mounted has a command run in a mount namespace of its own, by a script that mounts
// something on dir, its $0.
func mounted(t *testing.T, script, dir string) func(*exec.Cmd) {
	t.Helper()
	unshare := need(t, "unshare", "util-linux")
	return func(cmd *exec.Cmd) {
		args := []string{unshare, "--mount"}
		if os.Geteuid() != 0 {
			args = append(args, "--user", "--map-root-user")
		}
		cmd.Path, cmd.Args = unshare, append(append(args, "sh", "-c", script, dir), cmd.Args...)
	}
}

// fill leaves no room on a disk.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "ballast"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

const pageOnly = `
channels: [{id: page, kind: page}]
customers:
  - id: abc
    name: Enterprise ABC
    lists: [{id: readers, audience: customer, to: [{page: [abc]}]}]
`

const outage = "### Enterprise ABC SEV1 outage\n\n#### Status: Identified\n\n#### Incident Time: 1 hour\n\nSign-in fails.\n\n#### Next Update\n\nin 1 hour\n"

// A database that goes read-only under a running server, as after a failover: updates
// are refused in plain words, the server stays up and answers, and once the database
// can be written again it takes the same update in.
func TestReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	h := newHome(t, "ledger_file: dsn\n"+pageOnly)
	h.write(t, "dsn", dsn)
	h.write(t, "update.md", outage)
	s := h.daemon(t, nil)
	readOnly(t, dsn, true)
	r := s.sitrep(t, "send", "update.md")
	if r.code == 0 || !strings.Contains(r.err, "nothing was done") {
		t.Errorf("with a read-only database: %v", r)
	}
	if !strings.Contains(s.log.String(), "read-only") {
		t.Errorf("the operator is not told why:\n%s", s.log)
	}
	if r := s.sitrep(t, "report"); r.code != 0 || !strings.Contains(r.out, "no incident yet") {
		t.Errorf("the server does not stay up: %v\n%s", r, s.log)
	}
	readOnly(t, dsn, false)
	if r := s.sitrep(t, "send", "update.md"); r.code != 0 || !strings.Contains(r.out, "all 1 delivered") {
		t.Errorf("with a database that can be written again: %v\n%s", r, s.log)
	}
}

// readOnly makes a database read-only for every session to come, and ends those that
// there are, as a failover would.
func readOnly(t *testing.T, dsn string, on bool) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	for _, statement := range []string{
		"SET default_transaction_read_only = off",
		fmt.Sprintf(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET default_transaction_read_only = %t', current_database()); END $$`, on),
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
	} {
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// On a disk that is mounted read-only nothing can be recorded, so serve does not begin,
// and says why and what to do.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	h := newHome(t, "ledger: sqlite://data/ledger.db\n"+pageOnly)
	if err := os.Mkdir(h.path("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.write(t, "update.md", outage)
	if r := h.sitrep(t, "send", "update.md"); r.code != 0 {
		t.Fatal(r)
	}
	cmd := h.command(t.Context(), t, "serve", "--listen", "unix:"+h.path("s.sock"))
	mounted(t, `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit 99; exec "$@"`, h.path("data"))(cmd)
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code == 99 {
		missing(t, "a folder cannot be mounted read-only here: %s", out)
	} else if err == nil || !strings.Contains(string(out), "read-only") || !strings.Contains(string(out), "data/ledger.db") {
		t.Errorf("serve on a read-only disk: %v\n%s", err, out)
	}
}
