package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// gate is a mail relay that refuses by what an address begins with, and counts what it
// is sent.
type gate struct {
	mu     sync.Mutex
	asked  map[string]int
	sent   int
	hanged chan struct{} // closed when somebody asks for hang@
	once   sync.Once
}

func (g *gate) NewSession(*smtp.Conn) (smtp.Session, error) { return gateSession{g}, nil }

type gateSession struct{ *gate }

func (gateSession) Reset()        {}
func (gateSession) Logout() error { return nil }

func (gateSession) Mail(from string, _ *smtp.MailOptions) error {
	if strings.HasPrefix(from, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "you may not send as that"}
	}
	return nil
}

func (s gateSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	s.asked[to]++
	s.mu.Unlock()
	switch name, _, _ := strings.Cut(to, "@"); {
	case strings.HasPrefix(name, "gone"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user here"}
	case strings.HasPrefix(name, "grey"):
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, come back"}
	case name == "hang":
		s.once.Do(func() { close(s.hanged) })
		time.Sleep(30 * time.Second) // the drill is interrupted long before
	}
	return nil
}

func (s gateSession) Data(io.Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	return nil
}

func startGate(t *testing.T) (*gate, string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{asked: map[string]int{}, hanged: make(chan struct{})}
	srv := smtp.NewServer(g)
	srv.Domain, srv.ErrorLog = "gate.test.example", quiet{}
	go func() { _ = srv.Serve(l) }() // until Close
	t.Cleanup(func() { _ = srv.Close() })
	return g, l.Addr().String()
}

// drillHome writes a configuration with mail to these recipients of two customers.
func drillHome(t *testing.T, relay, from string, abc, globex []string) []string {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": fmt.Sprintf(`ledger: sqlite://ledger.db
channels:
  - {id: mail, kind: email, host: %q, tls: none, from: %q}
  - {id: page, kind: page}
customers:
  - {id: abc, name: Enterprise ABC, lists: [{id: l, audience: customer, to: [{mail: [%s], page: [abc]}]}]}
  - {id: globex, name: Globex, lists: [{id: l, audience: customer, to: [{mail: [%s], page: [globex]}]}]}
`, relay, from, strings.Join(abc, ", "), strings.Join(globex, ", "))})
	return []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml"), "NO_COLOR=1"}
}

// drillJSON is the answer for programs.
type drillJSON struct {
	OK       bool
	Channels []drilled
	Summary  drillSum
}

func drillFar(t *testing.T, env []string, words ...string) (int, drillJSON) {
	t.Helper()
	code, out, errOut := cli(t, env, append([]string{"drill", "--json"}, words...)...)
	var said drillJSON
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatalf("%v %s %s", err, out, errOut)
	}
	if said.OK != (code == 0) {
		t.Errorf("ok is %v, and the exit code %d", said.OK, code)
	}
	return code, said
}

func TestDrill(t *testing.T) {
	g, relay := startGate(t)
	env := drillHome(t, relay, "Status <status@status.example>",
		[]string{"ann@abc.example", `"Bob <gone-bob@abc.example>"`, "{address: grey@abc.example, required: true}"}, []string{"ANN@abc.example", "hank@globex.example"})
	code, out, errOut := cli(t, env, "drill")
	if code != exitFailed {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	for _, want := range []string{
		"ok        connection  reached 127.0.0.1", "ok        encryption  none, as configured", "ok        sender      <status@status.example> is accepted",
		"REFUSED   Bob <gone-bob@abc.example> for abc: ", "no such user here", "later     grey@abc.example (required by contract) for abc: ", "greylisted, come back",
		"ok        ann@abc.example\n", "ok        hank@globex.example\n", "not tried  2 recipients: it is sitrep's own",
		"Something does not work: 5 of 5 steps went well; 2 recipients ok, 1 refused, 1 to be tried again later; 2 not tried. Nothing was sent.",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Index(out, "REFUSED ") > strings.Index(out, "later  ") || strings.Contains(out, "\x1b") {
		t.Errorf("what does not work is not first, or there is colour:\n%s", out)
	}
	g.mu.Lock()
	if g.asked["ann@abc.example"]+g.asked["ANN@abc.example"] != 1 || g.sent != 0 {
		t.Errorf("asked %v, sent %d", g.asked, g.sent)
	}
	g.mu.Unlock()
	if _, err := os.Stat(filepath.Join(strings.TrimPrefix(env[0], "HOME="), "ledger.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a ledger now: %v", err)
	}
}

// Who is suppressed is named and not tried, and is no failure; who is to be told by
// contract is tried all the same.
func TestDrillOfSuppressed(t *testing.T) {
	g, relay := startGate(t)
	env := drillHome(t, relay, "Status <status@status.example>",
		[]string{"ann@abc.example", `"Bob <gone-bob@abc.example>"`, "{address: must@abc.example, required: true}"}, []string{"hank@globex.example"})
	dir := strings.TrimPrefix(env[0], "HOME=")
	s := startServe(t, dir, nil)
	for _, address := range []string{"Gone-Bob@abc.example", "hank@globex.example"} {
		if code, _, errOut := cli(t, env, "suppress", "add", address, "--channel", "mail", "--reason", "it came back"); code != 0 {
			t.Fatal(errOut)
		}
	}
	l, err := sqlite.Open(t.Context(), filepath.Join(dir, "ledger.db"))
	if err == nil {
		err = errors.Join(l.Suppress(t.Context(), ledger.Suppression{Channel: "mail", Address: "must@abc.example", Reason: "signed off", At: time.Now()}), l.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	far := append([]string{"SITREP_SERVER=unix:" + filepath.Join(dir, "s.sock")}, env...)
	for _, env := range [][]string{env, far} {
		code, out, errOut := cli(t, env, "drill", "--channel", "mail")
		today := time.Now().UTC().Format(time.DateOnly)
		for _, want := range []string{
			"not sent  Bob <gone-bob@abc.example> for abc: suppressed since " + today + ": it came back\n", "not sent  hank@globex.example for globex: suppressed since ",
			"ok        must@abc.example (required by contract): suppressed since " + today + ": signed off (ignored: it is to be told by contract)\n", "ok        ann@abc.example\n",
			"2 recipients ok, 0 refused, 0 to be tried again later; 2 suppressed. Nothing was sent.",
		} {
			if code != exitOK || !strings.Contains(out, want) {
				t.Errorf("%d: it does not say %q:\n%s%s", code, want, out, errOut)
			}
		}
		_, said := drillFar(t, env, "--channel", "mail")
		if n := said.Summary; n.OK != 2 || n.Suppressed != 2 || n.NotTried != 0 || n.Refused != 0 {
			t.Errorf("%+v", n)
		}
		for _, r := range said.Channels[0].Recipients {
			want := map[string]string{"gone-bob@abc.example": "suppressed it came back false", "hank@globex.example": "suppressed it came back false", "must@abc.example": "ok signed off true", "ann@abc.example": "ok  false"}[r.Address]
			if got := fmt.Sprint(r.Result, " ", r.Suppressed, " ", r.Ignored); got != want || (r.Suppressed != "") == r.Since.IsZero() {
				t.Errorf("%s: %s %v, want %s", r.Address, got, r.Since, want)
			}
		}
	}
	g.mu.Lock()
	if g.asked["gone-bob@abc.example"]+g.asked["hank@globex.example"] != 0 || g.asked["must@abc.example"] == 0 {
		t.Errorf("asked %v", g.asked)
	}
	g.mu.Unlock()
	s.stop()
	far[0] = "SITREP_SERVER=unix:" + filepath.Join(dir, "nobody.sock")
	if code, out, errOut := cli(t, far, "drill", "--channel", "mail"); code != exitFailed || !strings.Contains(errOut, "everybody is tried") || !strings.Contains(out, "REFUSED   Bob") {
		t.Errorf("without the server: %d %s%s", code, out, errOut)
	}
}

func TestDrillExitCodes(t *testing.T) {
	_, relay := startGate(t)
	env := drillHome(t, relay, "status@status.example", []string{"ann@abc.example", "grey@abc.example"}, []string{"hank@globex.example"})
	if code, said := drillFar(t, env, "--customer", "Globex"); code != exitOK || said.Summary.OK != 1 || said.Summary.NotTried != 1 || len(said.Channels) != 2 {
		t.Errorf("%d %+v", code, said)
	}
	if code, said := drillFar(t, env, "--customer", "abc", "--channel", "mail"); code != exitPending || said.Summary.Temporary != 1 || len(said.Channels) != 1 {
		t.Errorf("%d %+v", code, said)
	}
	env = drillHome(t, relay, "nobody@status.example", []string{"ann@abc.example"}, []string{"hank@globex.example"})
	code, said := drillFar(t, env, "--channel", "mail")
	if code != exitFailed || said.Summary.FailedSteps != 1 || said.Summary.NotTried != 2 || said.Channels[0].NotTried == "" || said.Channels[0].Steps[4].OK ||
		!strings.Contains(said.Channels[0].Steps[4].Detail, "you may not send as that") || said.Channels[0].Steps[4].Fault != "unauthorized" {
		t.Errorf("%d %+v", code, said)
	}
}

// Ctrl-C ends it, and says what was found by then.
func TestDrillInterrupted(t *testing.T) {
	g, relay := startGate(t)
	env := drillHome(t, relay, "status@status.example", []string{"ann@abc.example", "hang@abc.example"}, []string{"hank@globex.example"})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-g.hanged
		cancel()
	}()
	var out, errOut bytes.Buffer
	begun := time.Now()
	code := run(ctx, []string{"drill", "--json", "--channel", "mail"}, env, strings.NewReader(""), &out, &errOut)
	var said drillJSON
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		t.Fatalf("%v %s %s", err, out.String(), errOut.String())
	}
	if code != exitPending || said.Channels[0].NotTried != interrupted || said.Summary.FailedSteps+said.Summary.Refused != 0 || said.Summary.NotTried == 0 {
		t.Errorf("%d %+v", code, said)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A webhook is asked whether it is there, and no more is claimed.
func TestDrillOfAWebhook(t *testing.T) {
	posts := 0
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts++
		}
		fmt.Fprint(w, `{"status":"OK"}`)
	}))
	defer chat.Close()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": `ledger: sqlite://ledger.db
channels: [{id: chat, kind: mattermost, webhook: "` + chat.URL + `/hooks/secret-of-the-hook"}]
customers: [{id: abc, lists: [{id: l, audience: internal, to: [{chat: [town-square]}]}]}]
`})
	env := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	code, out, _ := cli(t, env, "drill")
	if code != exitOK || posts != 0 || !strings.Contains(out, "ok        server      it answers") || !strings.Contains(out, "1 recipient: what a webhook leads to") || strings.Contains(out, "secret-of") {
		t.Errorf("%d, %d posts: %s", code, posts, out)
	}
	chat.Close()
	if code, out, _ = cli(t, env, "drill"); code != exitFailed || strings.Contains(out, "secret-of") {
		t.Errorf("%d %s", code, out)
	}
}
