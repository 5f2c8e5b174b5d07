package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// mailSink takes every message and remembers the envelopes: recipient → return path.
type mailSink struct {
	mu   sync.Mutex
	from map[string]string
}

func (r *mailSink) NewSession(*smtp.Conn) (smtp.Session, error) { return &sinkSession{sink: r}, nil }

func (r *mailSink) path(to string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from[to]
}

type sinkSession struct {
	sink     *mailSink
	from, to string
}

func (s *sinkSession) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error   { s.to = to; return nil }
func (s *sinkSession) Reset()                                      {}
func (s *sinkSession) Logout() error                               { return nil }
func (s *sinkSession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.from[s.to] = s.from
	return err
}

func startSink(t *testing.T) (*mailSink, string) {
	t.Helper()
	on, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &mailSink{from: map[string]string{}}
	s := smtp.NewServer(r)
	go func() { _ = s.Serve(on) }() // until it is closed
	t.Cleanup(func() { s.Close() })
	return r, on.Addr().String()
}

const returnsConfig = `ledger: sqlite://ledger.db
serve: {shutdown_timeout: 5s}
bounces: {channel: mail, listen: "127.0.0.1:0"}
channels:
  - {id: mail, kind: email, host: %q, tls: none, from: "status@example.com", bounces: {address: bounces@example.com, key: 0123456789abcdef}}
customers:
  - id: abc
    name: Enterprise ABC
    lists: [{id: ops, audience: customer, to: [{mail: [ann@abc.example, {address: bob@abc.example, required: true}, cy@abc.example]}]}]
`

var returnsForm = regexp.MustCompile(`returned mail" address=(\S+)`)

// comeBack hands over a report of a failure.
func comeBack(address, path, to string) error {
	c, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.SendMail("", []string{path}, strings.NewReader("From: MAILER-DAEMON@mx.abc.example\r\nSubject: Undelivered Mail\r\n"+
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"+
		"Reporting-MTA: dns; mx.abc.example\r\n\r\nFinal-Recipient: rfc822; "+to+"\r\nAction: failed\r\nStatus: 5.1.1\r\n"+
		"Diagnostic-Code: smtp; 550 5.1.1 Nobody of that name\r\n\r\n--b--\r\n"))
}

// From the return path that the relay saw to the ledger, the report, the metrics and the log.
func TestServeReturnedMail(t *testing.T) {
	r, address := startSink(t)
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": fmt.Sprintf(returnsConfig, address), "update.md": serveUpdate})
	s := startServe(t, dir, nil)
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	if code, out, errOut := cli(t, append(own, "SITREP_SERVER=unix:"+filepath.Join(dir, "s.sock")), "send", filepath.Join(dir, "update.md")); code != 0 {
		t.Fatalf("%d %s %s", code, out, errOut)
	}
	m := returnsForm.FindStringSubmatch(s.log.String())
	if m == nil {
		t.Fatalf("it does not listen for returned mail:\n%s", s.log)
	}
	if err := comeBack(m[1], "ann@abc.example", "ann@abc.example"); err == nil || !strings.Contains(err.Error(), "passes nothing on") {
		t.Errorf("it relays: %v", err)
	}
	if err := comeBack(m[1], strings.Replace(r.path("cy@abc.example"), "-", "-2", 1), "cy@abc.example"); err == nil {
		t.Error("a forged return path is taken")
	}
	for _, to := range []string{"ann@abc.example", "bob@abc.example"} {
		if err := comeBack(m[1], r.path(to), to); err != nil {
			t.Fatal(err)
		}
	}
	_, out, _ := cli(t, own, "report", "--json")
	_, out, _ = cli(t, own, "report", "--json", regexp.MustCompile(`abc-\d+-1`).FindString(out))
	if strings.Count(out, `"bounced"`) < 2 || !strings.Contains(out, "Nobody of that name") {
		t.Errorf("the report: %s", out)
	}
	if _, out, _ := cli(t, own, "suppress", "list"); !strings.Contains(out, "ann@abc.example") || strings.Contains(out, "bob@abc.example") {
		t.Errorf("suppressed: %s", out)
	}
	_, body := s.get("/metrics")
	for _, line := range []string{
		`sitrep_bounces_total{channel="mail",kind="failure"} 2`, `sitrep_bounces_total{channel="mail",kind="forged"} 1`,
		`sitrep_deliveries_total{channel="mail",customer="abc",outcome="bounced"} 2`, `sitrep_required_bounces_total{channel="mail",customer="abc"} 1`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	if exit := s.stop(); exit != 0 {
		t.Errorf("it ended with %d", exit)
	}
	log := s.log.String()
	if !strings.Contains(log, "has to be told") || strings.Contains(log, "Nobody of that name") || strings.Contains(log, "@abc.example") {
		t.Errorf("the log:\n%s", log)
	}
	if err := comeBack(m[1], r.path("cy@abc.example"), "cy@abc.example"); err == nil {
		t.Error("it still listens")
	}
}

// What does not fit together is said with the line, before anything starts.
func TestReturnsMistakes(t *testing.T) {
	const channel = `channels: [{id: mail, kind: email, host: "127.0.0.1:1", tls: none, from: "status@example.com"%s}]`
	for name, c := range map[string]struct{ config, want string }{
		"no key":      {"bounces: {channel: mail, listen: ':0'}\n" + fmt.Sprintf(channel, ""), "sitrep.yaml:2:12: Channel mail: bounces: missing"},
		"trust":       {"bounces: {channel: mail, listen: ':0', trust: [127.0.0.1]}\n" + fmt.Sprintf(channel, ", bounces: {address: b@example.com, key: 0123456789abcdef}"), "remove `trust`"},
		"no mail":     {"bounces: {channel: page, listen: ':0'}\nchannels: [{id: page, kind: page}]", "no e-mail channel"},
		"trust alone": {"bounces: {channel: mail, listen: ':0', trust: [127.0.0.1]}\n" + fmt.Sprintf(channel, ""), ""},
	} {
		dir := t.TempDir()
		writeFiles(t, dir, map[string]string{"sitrep.yaml": c.config + "\n"})
		code, _, errOut := cli(t, []string{"HOME=" + dir}, "check", "--config", filepath.Join(dir, "sitrep.yaml"))
		if (code == 0) != (c.want == "") || !strings.Contains(strings.Join(strings.Fields(errOut), " "), c.want) {
			t.Errorf("%s: %d %s", name, code, errOut)
		}
	}
}
