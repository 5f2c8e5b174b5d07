package pgtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// user is the server's superuser, whom every database belongs to.
const user = "sitrep"

// Server is a running PostgreSQL server. It is not safe for concurrent use.
type Server struct {
	// Password is what the server asks for on its TCP port. Its Unix socket asks
	// for nothing.
	Password string

	bin, dir string
	port     int
	watch    *exec.Cmd
	hold     io.WriteCloser // the server lives as long as this is open
}

// watchScript runs the server until its input ends.
const watchScript = `
"$1/postgres" -D "$2/data" -k "$2" -h 127.0.0.1 -p "$3" >>"$2/log" 2>&1 &
server=$!
cat >/dev/null
kill -s "$4" $server
wait $server
[ "$5" = keep ] || rm -rf "$2"
`

// launch makes a server. After is "keep" or "remove": what becomes of its directory.
func launch(bin, after string) (*Server, error) {
	dir, err := os.MkdirTemp("", "pg") // short: a socket's path has room for 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{Password: rand.Text(), bin: bin, dir: dir}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if err := s.initialize(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, s.start("INT", after)
}

func (s *Server) initialize() error {
	if err := give(s.dir); err != nil {
		return err
	}
	pw := filepath.Join(s.dir, "password")
	if err := os.WriteFile(pw, []byte(s.Password+"\n"), 0o600); err != nil {
		return err
	}
	if err := give(pw); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "-D", filepath.Join(s.dir, "data"), "-U", user, "--pwfile", pw,
		"--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C")
	cmd.Dir = s.dir
	cmd.SysProcAttr = notRoot()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// start runs the server and waits until it answers.
func (s *Server) start(signal, after string) error {
	s.watch = exec.Command("/bin/sh", "-c", watchScript, "sh", s.bin, s.dir, strconv.Itoa(s.port), signal, after)
	s.watch.Dir = s.dir
	s.watch.SysProcAttr = notRoot()
	hold, err := s.watch.StdinPipe()
	if err != nil {
		return err
	}
	s.hold = hold
	if err := s.watch.Start(); err != nil {
		return fmt.Errorf("start the PostgreSQL server: %w", err)
	}
	return s.wait()
}

// wait polls until the server takes connections.
func (s *Server) wait() error {
	var out []byte
	var failed error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		cmd := exec.Command(filepath.Join(s.bin, "pg_isready"), "-h", s.dir, "-p", strconv.Itoa(s.port))
		if out, failed = cmd.CombinedOutput(); failed == nil {
			return nil
		}
	}
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	return errors.Join(fmt.Errorf("the PostgreSQL server did not start within a minute: %w: %s\n%s", failed, bytes.TrimSpace(out), log), err)
}

// end lets the server go and waits until it has.
func (s *Server) end() error {
	return errors.Join(s.hold.Close(), s.watch.Wait())
}

// address is that of a database, by way of the Unix socket.
func (s *Server) address(database string) string {
	q := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}, "user": {user}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: q.Encode()}).String()
}

// tcp is the same by way of the loopback port.
func (s *Server) tcp(database, password string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// freePort is one that nobody listens on at the moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
