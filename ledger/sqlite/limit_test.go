package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

const limitRound = "limit"

// TestWriteFails has the system refuse to let a file grow in the middle of an
// acceptance (as a failing disk or one mounted read-only would), and then not any
// more. The limit is that of a process, so it is one of its own.
func TestWriteFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path, childRound+"="+limitRound)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"refused: the ledger " + path + " could not be read or written because the disk reported an error", "nothing was recorded", "read 1", "read 5001"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	inspect(t, path)
	l := open(t, path)
	if n := count(t, l); n != 5001 {
		t.Errorf("%d deliveries", n)
	}
}

// growAgainstALimit is the child of TestWriteFails.
func growAgainstALimit(path string) error {
	ctx := context.Background()
	l, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	if _, err := l.Accept(ctx, small("INC-1", 1)); err != nil {
		return err
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	wal, err := os.Stat(path + "-wal")
	if err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(wal.Size()) + 100_000, Max: was.Max}); err != nil {
		return err
	}
	_, refused := l.Accept(ctx, small("INC-2", 5000))
	if refused == nil {
		return errors.New("nothing was refused")
	}
	fmt.Println("refused:", refused)
	if err := say(ctx, l); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	if _, err := l.Accept(ctx, small("INC-2", 5000)); err != nil {
		return err
	}
	return errors.Join(say(ctx, l), l.Close())
}

func say(ctx context.Context, l *sqlite.Ledger) error {
	n := 0
	for _, err := range l.Deliveries(ctx, ledger.DeliveryQuery{}) {
		if err != nil {
			return err
		}
		n++
	}
	fmt.Println("read", n)
	return nil
}
