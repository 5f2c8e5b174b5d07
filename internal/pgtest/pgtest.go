package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// shared is the one server of this test process, and last the number of the latest
// database on any.
var (
	shared = sync.OnceValues(func() (*Server, error) {
		bin, err := find()
		if err != nil {
			return nil, err
		}
		return launch(bin, "remove")
	})
	last atomic.Int64
)

var errNone = errors.New("no PostgreSQL server is installed (apt-get install postgresql)")

// Database makes an empty database for one test on the shared server and returns its
// address. It goes with the server.
func Database(t testing.TB) string {
	t.Helper()
	return Shared(t).Database(t)
}

// Shared is the server that all tests of this process share. Nobody stops it.
func Shared(t testing.TB) *Server {
	t.Helper()
	s, err := shared()
	need(t, err)
	return s
}

// Own starts a server for one test, which may stop and start it. It is gone when the
// test is over.
func Own(t testing.TB) *Server {
	t.Helper()
	bin, err := find()
	need(t, err)
	s, err := launch(bin, "keep")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(), os.RemoveAll(s.dir)); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Database makes an empty database and returns its address on the Unix socket.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "t" + strconv.FormatInt(last.Add(1), 10)
	s.SQL(t, "postgres", "CREATE DATABASE "+name)
	return s.address(name)
}

// TCP is the address of a database that Database has returned by way of the
// server's TCP port, with a password.
func (s *Server) TCP(address, password string) string {
	path, _, _ := strings.Cut(address, "?")
	return s.tcp(filepath.Base(path), password)
}

// SQL runs a statement in a database of the server by its own client, psql, and
// returns what it prints.
func (s *Server) SQL(t testing.TB, database, statement string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, s.address(database))
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", statement, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Stop ends the server at once, as a power cut would: what is not on its disk is
// lost. Stopping a stopped server does nothing.
func (s *Server) Stop() error {
	if s.watch == nil {
		return nil
	}
	err := s.end()
	s.watch = nil
	if _, crashed := errors.AsType[*exec.ExitError](err); crashed {
		return nil // it was told to
	}
	return err
}

// Start starts a stopped server again, on the same socket and port.
func (s *Server) Start() error { return s.start("QUIT", "keep") }

// find returns the directory of the server's programs: the one that initdb on PATH
// is a link into, or the newest of Debian's.
func find() (string, error) {
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(all, func(a, b string) int { return version(b) - version(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			all = slices.Insert(all, 0, filepath.Dir(path))
		}
	}
	i := slices.IndexFunc(all, complete)
	if i < 0 {
		return "", errNone
	}
	return all[i], nil
}

// version is 15 for /usr/lib/postgresql/15/bin.
func version(bin string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	if err != nil {
		return 0
	}
	return n
}

// complete reports whether a directory holds all that is needed.
func complete(bin string) bool {
	for _, program := range []string{"initdb", "postgres", "pg_isready", "psql"} {
		if _, err := exec.LookPath(filepath.Join(bin, program)); err != nil {
			return false
		}
	}
	return true
}

// need ends the test if there is no server: as left out, or as failed where nothing
// may be left out. A server that is there and does not work fails it either way.
func need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case !errors.Is(err, errNone):
		t.Fatal(err)
	case os.Getenv("SITREP_REAL") == "require":
		t.Fatalf("%v, and SITREP_REAL=require allows no test to be left out", err)
	default:
		t.Skipf("LEFT OUT: %v", err)
	}
}
