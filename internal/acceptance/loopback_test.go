package acceptance_test

import (
	"net"
	"os"
	"testing"
)

// answering serves every connection to a port of 127.0.0.1, which it returns, in a
// goroutine of its own until the test is over.
func answering(t *testing.T, serve func(net.Conn)) (port string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			go serve(conn)
		}
	}()
	return port
}

// openDir is a folder for a server that processes of other users can enter, which
// t.TempDir is not. Its path is short, for sockets are in it.
func openDir(t *testing.T, server string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sitrep-"+server+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
