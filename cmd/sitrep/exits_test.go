package main

import (
	"bytes"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"sitrep/channels/email"
	"sitrep/internal/secret"
)

const exitConfigText = `ledger: sqlite://ledger.db
serve: {shutdown_timeout: 5s, log_level: debug}
page: {base_url: "https://status.example.com/sitrep"}
channels:
  - id: mail
    kind: email
    host: "127.0.0.1:1"
    tls: none
    from: "Status <status@example.com>"
    reply_to: "Support <support@example.com>"
    unsubscribe: {url: "https://status.example.com/sitrep/u/", key: 0123456789abcdef}
  - {id: other, kind: email, host: "127.0.0.1:1", tls: none, from: "o@example.com", unsubscribe: {url: "https://status.example.com/leave?x=1&t=", key: fedcba9876543210}}
customers:
  - id: abc
    name: Enterprise ABC
    lists: [{id: l, audience: customer, to: [{mail: [ann@abc.example, {address: bob@abc.example, required: true}], other: [ann@abc.example]}]}]
`

// From the link in a message to the ledger: what the channel writes is what the server
// reads, wherever a proxy has it.
func TestServeUnsubscribes(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": exitConfigText})
	s := startServe(t, dir, nil)
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	click := func(path string) (int, string) {
		t.Helper()
		resp, err := s.http.PostForm(s.url+path, url.Values{"List-Unsubscribe": {"One-Click"}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b := new(bytes.Buffer)
		if _, err := b.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b.String()
	}
	key, otherKey := secret.New("0123456789abcdef"), secret.New("fedcba9876543210")
	token := email.UnsubscribeToken(key, "mail", "ann@abc.example")
	if status, body := s.get("/sitrep/u/" + token); status != http.StatusOK || !strings.Contains(body, "ann@abc.example") {
		t.Errorf("%d %s", status, body)
	}
	for _, forged := range []string{
		"/sitrep/u/" + email.UnsubscribeToken(otherKey, "mail", "ann@abc.example"), "/sitrep/u/" + email.UnsubscribeToken(key, "other", "ann@abc.example"),
		"/leave?t=" + token, "/u/" + token + "A", "/u/", "/leave?t=" + email.UnsubscribeToken(otherKey, "mail", "ann@abc.example"),
	} {
		if status, _ := click(forged); status != http.StatusNotFound {
			t.Errorf("%s: %d", forged, status)
		}
	}
	if _, out, _ := cli(t, own, "suppress", "list"); !strings.Contains(out, "none is suppressed") {
		t.Errorf("something is suppressed: %s", out)
	}
	for path, want := range map[string]int{
		"/u/" + token: http.StatusOK, "/leave?x=1&t=" + email.UnsubscribeToken(otherKey, "other", "ann@abc.example"): http.StatusOK,
		"/sitrep/u/" + email.UnsubscribeToken(key, "mail", "bob@abc.example"): http.StatusForbidden,
	} {
		if status, body := click(path); status != want || !strings.Contains(body, "@example.com") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	_, out, _ := cli(t, own, "suppress", "list")
	if strings.Count(out, "the recipient unsubscribed by the link in a message") != 2 || strings.Contains(out, "bob@") {
		t.Errorf("suppressed: %s", out)
	}
	s.stop()
	if log := s.log.String(); strings.Contains(log, token) || strings.Contains(log, "ann@abc") || !strings.Contains(log, "a recipient has unsubscribed") {
		t.Errorf("the log:\n%s", log)
	}
}

// A report says who is to be told by contract.
func TestReportMarksRequired(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": exitConfigText, "update.md": serveUpdate})
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	if code, _, errOut := cli(t, own, "send", filepath.Join(dir, "update.md"), "--timeout", "1ns"); code != exitPending {
		t.Fatalf("%d %s", code, errOut)
	}
	_, incidents, _ := cli(t, own, "report")
	id, _, _ := strings.Cut(incidents, " ")
	_, out, _ := cli(t, own, "report", id)
	if !strings.Contains(out, "bob@abc.example (l, required by contract): pending") || !strings.Contains(out, "ann@abc.example (l): pending") {
		t.Errorf("%s", out)
	}
	if _, out, _ = cli(t, own, "report", id, "--json"); strings.Count(out, `"required": true`) != 1 {
		t.Errorf("%s", out)
	}
}

// answerDNS serves some records.
func answerDNS(t *testing.T, lines ...string) string {
	t.Helper()
	l, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	srv := &dns.Server{PacketConn: l, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		for _, line := range lines {
			if rr, err := dns.NewRR(line); err == nil && strings.EqualFold(rr.Header().Name, q.Question[0].Name) && rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m) // whoever asked may have gone
	})}
	go func() { _ = srv.ActivateAndServe() }() // until Shutdown
	<-started
	t.Cleanup(func() { _ = srv.Shutdown() })
	return l.LocalAddr().String()
}

func TestCheckDNS(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": serveConfig, "mail.yaml": "ledger: sqlite://ledger.db\nchannels: [{id: mail, kind: email, host: 192.0.2.9, from: s@example.com}]\n" +
		"customers: [{id: abc, lists: [{id: l, audience: internal, to: [{mail: [ann@abc.example]}]}]}]\n"})
	mail := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "mail.yaml"), "NO_COLOR=1"}
	good := answerDNS(t, `example.com. IN TXT "v=spf1 ip4:192.0.2.0/24 -all"`, "example.com. IN MX 1 mx.example.com.", "mx.example.com. IN A 192.0.2.1",
		`_dmarc.example.com. IN TXT "v=DMARC1; p=reject; rua=mailto:a@example.com"`)
	code, out, errOut := cli(t, mail, "check", "--dns", "--resolver", good, "--sends-from", "192.0.2.77")
	if code != exitOK || !strings.Contains(out, "mail  mail from example.com") || !strings.Contains(out, "Mail from 192.0.2.77 passes.") || !strings.Contains(out, "unknown  DKIM") {
		t.Errorf("%d %s %s", code, out, errOut)
	}
	bad := answerDNS(t, `example.com. IN TXT "v=spf1 -all"`, `example.com. IN TXT "v=spf1 ~all"`)
	code, out, _ = cli(t, mail, "check", "--dns", "--resolver", bad)
	if code != exitFailed || !strings.Contains(out, "WRONG    SPF") || !strings.Contains(out, "now:     v=spf1 ~all") || !strings.Contains(out, `publish: example.com. IN TXT "v=spf1 -all"`) {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ = cli(t, mail, "check", "--dns", "--resolver", bad, "--json"); code != exitFailed || !strings.Contains(out, `"level": "wrong"`) || !strings.Contains(out, `"ok": false`) {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ = cli(t, mail, "check", "--dns", "--resolver", "127.0.0.1:1"); code != exitPending || !strings.Contains(out, "TROUBLE") {
		t.Errorf("%d %s", code, out)
	}
	pages := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	if code, out, _ = cli(t, pages, "check", "--dns"); code != exitOK || !strings.Contains(out, "There is no e-mail channel") {
		t.Errorf("%d %s", code, out)
	}
}
