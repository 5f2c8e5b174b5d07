package acceptance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// demand is the environment variable that decides whether a missing server is a
// failure ("require") or a reason to leave a test out.
const demand = "SITREP_REAL"

// root is the module's folder.
var root = filepath.Join("..", "..")

// buildDir is where the program is built; TestMain makes and removes it.
var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "sitrep-acceptance-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir) // what is left in the temporary folder harms nobody
	os.Exit(code)
}

// missing ends the test: as left out, or as failed where nothing may be left out.
func missing(t *testing.T, format string, a ...any) {
	t.Helper()
	why := fmt.Sprintf(format, a...)
	if os.Getenv(demand) == "require" {
		t.Fatalf("%s, and %s=require allows no test to be left out", why, demand)
	}
	t.Skipf("LEFT OUT: %s", why)
}

// need returns the path of a program that the Debian package holds.
func need(t *testing.T, program, debianPackage string) string {
	t.Helper()
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "%s is not installed (apt-get install %s)", program, debianPackage)
	return ""
}

// binary is the program, built once.
var binary = sync.OnceValues(func() (string, error) {
	if err := watchSources(); err != nil {
		return "", err
	}
	path := filepath.Join(buildDir, "sitrep")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/sitrep")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// watchSources looks into every folder of the module. The go command remembers what
// a test process itself has looked at, not what the compiler it started did: without
// this it would repeat a remembered "ok" although the program has changed.
func watchSources() error {
	return filepath.WalkDir(root, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == ".git" {
			return filepath.SkipDir
		}
		return err
	})
}

// home is a user's folder: a configuration, a ledger, updates.
type home struct{ dir string }

// newHome makes a folder whose sitrep.yaml is the given text; there is none for "". The
// program's temporary folder, tmp, is in it too.
func newHome(t testing.TB, config string) home {
	t.Helper()
	h := home{t.TempDir()}
	if err := os.Mkdir(h.path("tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if config != "" {
		h.write(t, "sitrep.yaml", config)
	}
	return h
}

func (h home) path(name string) string { return filepath.Join(h.dir, name) }

func (h home) write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(h.path(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command is the program, about to run in this folder with nothing of the tester's
// own settings.
func (h home) command(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = h.dir
	cmd.Env = []string{"HOME=" + h.dir, "TMPDIR=" + h.path("tmp"), "PATH=" + os.Getenv("PATH"), "NO_COLOR=1", "TZ=UTC"}
	return cmd
}

// result is what a run of the program left behind.
type result struct {
	code     int
	out, err string
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\nstandard output:\n%s\nstandard error:\n%s", r.code, r.out, r.err)
}

// sitrep runs the program to its end.
func (h home) sitrep(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := h.command(ctx, t, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatalf("sitrep %s: %v", strings.Join(args, " "), err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// account is what send, retry and report say as JSON, as far as it is asked here.
type account struct {
	Incident, Update           string
	Seq                        int
	Delivered, Failed, Pending int
	NotSent                    int `json:"not_sent"`
	Recipients                 []recipient
}

type recipient struct {
	Channel, Address, Audience, Outcome, Fault, Reason string
	Attempts                                           int
	RemoteID                                           string `json:"remote_id"`
}

// send sends an update and returns what the program says became of it.
func (h home) send(t *testing.T, wantCode int, args ...string) account {
	t.Helper()
	r := h.sitrep(t, append([]string{"send", "--json"}, args...)...)
	if r.code != wantCode {
		t.Fatalf("sitrep send %s: want exit code %d, got %v", strings.Join(args, " "), wantCode, r)
	}
	var said struct{ Update account }
	if err := json.Unmarshal([]byte(r.out), &said); err != nil || said.Update.Update == "" {
		t.Fatalf("sitrep send --json: %v in %v", err, r)
	}
	return said.Update
}

// report returns every recipient of an update as the ledger has them, by channel and
// address.
func (h home) report(t *testing.T, update string) map[string]recipient {
	t.Helper()
	r := h.sitrep(t, "report", "--json", "--all", update)
	var said struct{ Updates []account }
	if err := json.Unmarshal([]byte(r.out), &said); err != nil || r.code != 0 || len(said.Updates) != 1 {
		t.Fatalf("sitrep report --json %s: %v in %v", update, err, r)
	}
	all := map[string]recipient{}
	for _, rcpt := range said.Updates[0].Recipients {
		all[rcpt.Channel+" "+rcpt.Address] = rcpt
	}
	return all
}

// freePort is a port on the loopback interface that nobody listens on just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// eventually asks until ok says yes. What it waits for is a process that this test
// did not write and that tells nobody when it is done.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 seconds in vain: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
