package acceptance_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

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

// served is a running `sitrep serve`, which listens on the socket s.sock of its home.
type served struct {
	home
	log  *said
	cmd  *exec.Cmd
	done chan error // its end
}

// daemon starts one that listens on other addresses too; run is how: as itself if nil,
// else as the last arguments of another program. It is stopped when the test ends, and
// must end well then.
func (h home) daemon(t testing.TB, run func(cmd *exec.Cmd), listen ...string) served {
	t.Helper()
	args := []string{"serve", "--listen", "unix:" + h.path("s.sock")}
	for _, a := range listen {
		args = append(args, "--listen", a)
	}
	s := served{home: h, log: &said{}, cmd: h.command(context.WithoutCancel(t.Context()), t, args...), done: make(chan error, 1)}
	if run != nil {
		run(s.cmd)
	}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // if it has not ended
		if err := <-s.done; err != nil {
			t.Errorf("the server ended badly: %v\n%s", err, s.log)
		}
	})
	eventually(t, "the server listens", func() bool { return listens(h.path("s.sock")) || len(s.done) > 0 })
	return s
}

// sitrep runs a command through the server.
func (s served) sitrep(t *testing.T, args ...string) result {
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
