package smtprig

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// apartEnv holds the settings of a sink that a process is to be.
const apartEnv = "SITREP_SMTPRIG"

// apart is what such a process is told.
type apart struct {
	Sink *Sink
	RTT  time.Duration
}

// Apart is a sink in a process of its own.
type Apart struct {
	Addr string

	ask     io.Writer
	answers *json.Decoder
}

// Apart starts s in a process of its own, rtt away, until the test ends. The TestMain of
// the package has to begin with [Main].
func (s *Sink) Apart(t testing.TB, rtt time.Duration) *Apart {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	settings, err := json.Marshal(apart{s, rtt})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), apartEnv+"="+string(settings))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	a := &Apart{ask: in, answers: json.NewDecoder(out)}
	if err := a.answers.Decode(&a.Addr); err != nil {
		t.Fatalf("the sink did not start; does TestMain begin with smtprig.Main? %v", err)
	}
	return a
}

// Take is what it has seen since it was started, or since the last Take.
func (a *Apart) Take(t testing.TB) Counts {
	t.Helper()
	var c Counts
	if _, err := io.WriteString(a.ask, "take\n"); err != nil {
		t.Fatal(err)
	}
	if err := a.answers.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Main is the sink's side of [Sink.Apart]. In any other process it returns at once; in
// that one it never does.
func Main() {
	settings, is := os.LookupEnv(apartEnv)
	if !is {
		return
	}
	if err := beApart([]byte(settings), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "smtprig:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// beApart serves until in ends, and answers each line with the counts since the last.
func beApart(settings []byte, in io.Reader, out io.Writer) error {
	var is apart
	if err := json.Unmarshal(settings, &is); err != nil {
		return err
	}
	if err := is.Sink.listen(); err != nil {
		return err
	}
	address := is.Sink.Addr()
	if is.RTT > 0 {
		ln, err := listenFaraway(address, is.RTT)
		if err != nil {
			return err
		}
		address = ln.Addr().String()
	}
	say := json.NewEncoder(out)
	if err := say.Encode(address); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if err := say.Encode(is.Sink.Take()); err != nil {
			return err
		}
	}
	return nil
}
