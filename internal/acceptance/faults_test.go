package acceptance_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
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
	home
	disk string // as this process reaches it
	log  *said
}

// said is what a process prints, read while it prints.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func serveOnSmallDisk(t *testing.T, h home) smallDisk {
	t.Helper()
	unshare := need(t, "unshare", "util-linux")
	if err := os.Mkdir(h.path("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	program := h.command(context.WithoutCancel(t.Context()), t, "serve", "--listen", "unix:"+h.path("s.sock"))
	args := []string{"--mount"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--map-root-user")
	}
	args = append(args, "sh", "-c", `mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"`, h.path("data"))
	cmd := exec.Command(unshare, append(args, program.Args...)...)
	cmd.Dir, cmd.Env = program.Dir, program.Env
	s := smallDisk{home: h, log: &said{}}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // if it has not ended
		if err := <-done; err != nil {
			t.Errorf("the server ended badly: %v\n%s", err, s.log)
		}
	})
	eventually(t, "the server listens", func() bool { return listens(h.path("s.sock")) || len(done) > 0 })
	if len(done) > 0 {
		done <- <-done
		missing(t, "a disk of its own cannot be mounted here: %s", s.log)
	}
	s.disk = fmt.Sprintf("/proc/%d/root%s", cmd.Process.Pid, h.path("data"))
	return s
}

func (s smallDisk) sitrep(t *testing.T, args ...string) result {
	t.Helper()
	cmd := s.command(t.Context(), t, args...)
	cmd.Env = append(cmd.Env, "SITREP_SERVER=unix:"+s.path("s.sock"))
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
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
