package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/ledger/sqlite"
)

// dutyRound makes the child hold a duty until it is killed.
const dutyRound = "duty"

func holdForEver(path string) error {
	l, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return err
	}
	held, _, err := l.Hold(context.Background(), "remind")
	fmt.Printf("held: %v %v\n", held, err)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestDutyEndsWithTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path, childRound+"="+dutyRound)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held: true <nil>\n" {
		t.Errorf("the child says %q (%v)", line, err)
	}
	if held, _, err := l.Hold(t.Context(), "remind"); held || err != nil {
		t.Errorf("held while another process has it: %v, %v", held, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if held, _, err := l.Hold(t.Context(), "remind"); !held || err != nil {
		t.Errorf("not held after the other process was killed: %v", err)
	}
}

func TestDutyWhoseFileIsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, other := open(t, path), open(t, path)
	if held, _, err := l.Hold(t.Context(), "remind"); !held {
		t.Fatal(err)
	}
	if err := os.Remove(path + ".duty-remind"); err != nil {
		t.Fatal(err)
	}
	if held, _, err := other.Hold(t.Context(), "remind"); !held {
		t.Fatal(err)
	}
	if held, _, err := l.Hold(t.Context(), "remind"); held || err != nil {
		t.Errorf("two hold a duty: %v", err)
	}
}

func TestBackup(t *testing.T) {
	dir := t.TempDir()
	l := open(t, filepath.Join(dir, "ledger.db"))
	if _, err := l.Accept(t.Context(), small("INC-1", 200)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { // writing goes on
		_, err := l.Accept(t.Context(), small("INC-2", 50))
		done <- err
	}()
	file := filepath.Join(dir, "it's a backup.db")
	if err := l.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %o", info.Mode().Perm())
	}
	inspect(t, file)
	if n := count(t, open(t, file)); n != 200 && n != 250 {
		t.Errorf("%d deliveries in the backup", n)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.part*")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestBackupRefuses(t *testing.T) {
	dir := t.TempDir()
	l := open(t, filepath.Join(dir, "ledger.db"))
	taken := filepath.Join(dir, "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Backup(t.Context(), taken); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "name another file") {
		t.Errorf("over a file: %v", err)
	}
	if got, err := os.ReadFile(taken); string(got) != "mine" {
		t.Errorf("the file became %q (%v)", got, err)
	}
	if err := l.Backup(t.Context(), filepath.Join(dir, "no", "where.db")); err == nil || !strings.Contains(err.Error(), "make its directory") {
		t.Errorf("into nowhere: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Backup(ctx, filepath.Join(dir, "late.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Backup(t.Context(), filepath.Join(dir, "closed.db")); err == nil {
		t.Error("a closed ledger was backed up")
	}
	for _, name := range []string{"late.db", "closed.db"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
}
