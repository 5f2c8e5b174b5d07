package smtprig

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// need is where one of Postfix's programs is.
func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if path = "/usr/sbin/" + program; isFile(path) {
		return path
	}
	if os.Getenv("SITREP_REAL") == "require" {
		t.Fatalf("%s is not installed (apt-get install postfix)", program)
	}
	t.Skipf("left out: %s is not installed (apt-get install postfix)", program)
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Source has smtp-source send n messages of size bytes to addr in so many sessions, each
// kept until the end, and returns how many it sent a second.
func Source(t testing.TB, addr string, sessions, n, size int) float64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need(t, "smtp-source"), "-d", "-s", strconv.Itoa(sessions), "-m", strconv.Itoa(n), "-l", strconv.Itoa(size),
		"-f", "status@example.com", "-t", "alice@abc.example", addr)
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("smtp-source: %v: %s", err, out)
	}
	return float64(n) / time.Since(start).Seconds()
}

// Postfix starts smtp-sink, which offers PIPELINING, until the test ends, and returns
// where it listens. It keeps nothing, unless keep is a folder that anybody can write to:
// then each message becomes a file there, for [Kept].
func Postfix(t testing.TB, keep string) string {
	t.Helper()
	addr := freeAddr(t)
	var args []string
	if os.Geteuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	if keep != "" {
		args = append(args, "-d", keep+"/")
	}
	cmd := exec.CommandContext(t.Context(), need(t, "smtp-sink"), append(args, addr, "1000")...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if !answers(addr) {
		t.Fatalf("smtp-sink did not start: %s", said.String())
	}
	return addr
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	return ln.Addr().String()
}

// answers waits until something listens at addr, for five seconds at most.
func answers(addr string) bool {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			_ = c.Close()
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// Kept counts what [Postfix] kept.
func Kept(t testing.TB, keep string) Counts {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(keep, "*"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, to, _ := bytes.Cut(b, []byte("\nX-Rcpt-Args: <"))
		to, _, _ = bytes.Cut(to, []byte(">"))
		got[string(to)] = true
	}
	return Counts{Messages: len(files), Recipients: len(got)}
}
