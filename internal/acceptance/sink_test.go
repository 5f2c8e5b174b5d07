package acceptance_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sink is a running smtp-sink, which takes every message and keeps each in a file.
type sink struct{ dir, port string }

// startSink starts smtp-sink with further arguments.
func startSink(t *testing.T, args ...string) sink {
	t.Helper()
	program := need(t, "smtp-sink", "postfix")
	s := sink{sinkDir(t), freePort(t)}
	if os.Geteuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	args = append(args, "-h", "sink.test.example", "-d", s.dir+"/", "127.0.0.1:"+s.port, "1000")
	cmd := exec.Command(program, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("smtp-sink said: %s", said.String())
		}
	})
	eventually(t, "smtp-sink listening", func() bool {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", "127.0.0.1:"+s.port)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return s
}

// sinkDir is a folder that an unprivileged smtp-sink can write to.
func sinkDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sitrep-sink-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

var (
	sinkRecipient = regexp.MustCompile(`(?m)^X-Rcpt-Args: <([^>]+)>`)
	headerTo      = regexp.MustCompile(`(?m)^To: (.+?)\r?$`)
	headerID      = regexp.MustCompile(`(?m)^Message-ID: (<.+>)\r?$`)
)

// taken reads what arrived: how many messages each recipient got, and how many each
// Message-ID has.
func (s sink) taken(t *testing.T) (byRecipient, byID map[string]int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	byRecipient, byID = map[string]int{}, map[string]int{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		to, header, id := sinkRecipient.FindAllSubmatch(b, -1), headerTo.FindSubmatch(b), headerID.FindSubmatch(b)
		if len(to) != 1 || header == nil || id == nil || string(header[1]) != string(to[0][1]) {
			t.Fatalf("a message is not to one recipient, who is also in To:\n%.600s", b)
		}
		byRecipient[string(to[0][1])]++
		byID[string(id[1])]++
	}
	return byRecipient, byID
}

// sinkHome is the folder of somebody who sends through the sink to all that
// contacts.csv names.
func sinkHome(t *testing.T, s sink, encryption, csv string) home {
	t.Helper()
	h := newHome(t, `
ledger: sqlite://ledger.db
channels:
  - {id: mail, kind: email, host: "127.0.0.1:`+s.port+`", tls: `+encryption+`, from: status@status.example}
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    lists:
      - {id: contacts, audience: customer, to: [{mail: {file: contacts.csv}}]}
`)
	h.write(t, "contacts.csv", "address\n"+csv)
	h.write(t, "update.md", identified)
	return h
}

// A large customer: every recipient gets a message of their own, once.
func TestSinkFanOut(t *testing.T) {
	t.Parallel()
	const recipients = 10_000
	s := startSink(t)
	var csv strings.Builder
	for i := range recipients {
		fmt.Fprintf(&csv, "reader%05d@abc.example\n", i)
	}
	h := sinkHome(t, s, "none", csv.String())
	acc := h.send(t, 0, "update.md")
	if acc.Delivered != recipients || len(acc.Recipients) != 0 {
		t.Errorf("the account: %+v, want %d delivered and nobody else", acc, recipients)
	}
	byRecipient, byID := s.taken(t)
	for i := range recipients {
		if address := fmt.Sprintf("reader%05d@abc.example", i); byRecipient[address] != 1 {
			t.Errorf("%s got %d messages, want one", address, byRecipient[address])
		}
	}
	if len(byRecipient) != recipients || len(byID) != recipients {
		t.Errorf("messages to %d recipients with %d Message-IDs, want %d of each", len(byRecipient), len(byID), recipients)
	}
}

// A relay without STARTTLS is not written to, unless the operator says so.
func TestSinkWithoutTLS(t *testing.T) {
	t.Parallel()
	s := startSink(t)
	h := sinkHome(t, s, "starttls", "alice@abc.example\n")
	acc := h.send(t, 6, "update.md", "--timeout", "2s")
	if acc.Pending != 1 || !strings.Contains(acc.Recipients[0].Reason, "STARTTLS") {
		t.Errorf("through a relay without encryption: %+v, want it pending because there is no STARTTLS", acc)
	}
	if to, _ := s.taken(t); len(to) != 0 {
		t.Errorf("the message went out in clear to %v", to)
	}
}

// A relay that hangs up in the middle: the author is told what is pending, and the
// same command with --resume says the same as long as nothing changes.
func TestSinkHangsUp(t *testing.T) {
	t.Parallel()
	s := startSink(t, "-q", "DATA")
	h := sinkHome(t, s, "none", "alice@abc.example\n")
	acc := h.send(t, 6, "update.md", "--timeout", "3s")
	if acc.Pending != 1 || acc.Recipients[0].Fault != "unavailable" || acc.Recipients[0].Attempts < 2 {
		t.Errorf("through a relay that hangs up at DATA: %+v, want it pending as unavailable after several attempts", acc)
	}
	if r := h.sitrep(t, "send", "--resume", "--timeout", "1s"); r.code != 6 || !strings.Contains(r.out, "1 delivery still pending") {
		t.Errorf("resumed while the relay still hangs up: %v", r)
	}
}
