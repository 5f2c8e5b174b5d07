package acceptance_test

import (
	"encoding/json"
	"fmt"
	"net/smtp"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// bouncing is Postfix between us and a customer's server, far.example, that takes
// nobody: Postfix takes the message, is refused, and returns it.
type bouncing struct {
	*postfix
	back string // the port where returned mail is handed over
}

// bouncingMain are the lines of main.cf for it.
const bouncingMain = `disable_dns_lookups = yes
smtp_tls_security_level = none
relay_domains = far.example
relay_recipient_maps =
fast_flush_domains =
recipient_delimiter = +
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 4s
delay_warning_time = 1s
`

const bouncingMaster = `smtp  unix - - n - - smtp
relay unix - - n - - smtp
lmtp  unix - - n - - lmtp
`

// What the customer's server says of every recipient, as arguments of smtp-sink.
var (
	refusal = []string{"-f", "RCPT", "-B", "550 5.1.1 No such user in the far office"}
	closed  = []string{"-r", "RCPT", "-b", "451 4.2.0 The far office is closed"}
)

// startBouncing starts it. By says how mail for status.example is handed over: smtp,
// lmtp, address (only what is for the bounce address, as deploy/README.md has it), or
// virtual, which is into a Maildir; far is what far.example says.
func startBouncing(t *testing.T, by string, far []string) bouncing {
	t.Helper()
	there := startSink(t, far...)
	back := freePort(t)
	next := map[string]string{
		"smtp": "status.example=smtp:[127.0.0.1]:" + back, "lmtp": "status.example=lmtp:inet:127.0.0.1:" + back,
		"address": "bounces@status.example=smtp:[127.0.0.1]:" + back, "virtual": "status.example=virtual:",
	}[by]
	transports := "transport_maps = inline:{far.example=smtp:[127.0.0.1]:" + there.port + ", " + next + "}\n"
	return bouncing{startPostfixWith(t, bouncingMain+transports, bouncingMaster), back}
}

// maildir is where Postfix puts what is for the bounce address.
func (b bouncing) maildir() string { return filepath.Join(b.dir, "mail", "status.example", "bounces") }

// bounceHome is the folder of somebody who hears of returned mail as the stanza says.
func bounceHome(t *testing.T, b bouncing, stanza string) home {
	t.Helper()
	h := newHome(t, `
ledger: sqlite://ledger.db
channels:
  - id: mail
    kind: email
    host: 127.0.0.1:`+b.plain+`
    tls: none
    from: Status <status@status.example>
    bounces: {address: bounces@status.example, key_file: bounces.key}
`+stanza+`
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    lists:
      - {id: contacts, audience: customer, to: [{mail: [alice@abc.example, zoe@far.example]}]}
`)
	h.write(t, "bounces.key", "a key for the return paths of this test")
	h.write(t, "imap.password", "not-a-secret-at-all")
	h.write(t, "ca.pem", b.ca.pem)
	h.write(t, "identified.md", identified)
	h.write(t, "monitoring.md", monitoring)
	return h
}

// A message is taken by the relay, refused by the customer's server and returned by the
// relay: the report says so, and the address is not written to again.
func TestPostfixReturnsMail(t *testing.T) {
	t.Parallel()
	for by, protocol := range map[string]string{"smtp": "smtp", "lmtp": "lmtp", "address": "smtp"} {
		t.Run("by "+by, func(t *testing.T) {
			t.Parallel()
			b := startBouncing(t, by, refusal)
			h := bounceHome(t, b, "bounces: {channel: mail, listen: \"127.0.0.1:"+b.back+"\", protocol: "+protocol+"}")
			checkReturned(t, b, h.daemon(t, nil))
		})
	}
}

// The same, but the relay puts what comes back into a mailbox, and we fetch it there.
func TestPostfixReturnsMailToMailbox(t *testing.T) {
	t.Parallel()
	b := startBouncing(t, "virtual", refusal)
	d := startDovecot(t, b.maildir(), b.ca)
	h := bounceHome(t, b, `bounces:
  channel: mail
  imap: {address: "localhost:`+d.port+`", ca_file: ca.pem, user: `+d.user+`, password_file: imap.password, poll: 1s}`)
	checkReturned(t, b, h.daemon(t, nil))
	eventually(t, "every report being marked as seen", func() bool {
		return len(b.files(t, "new")) == 0 && len(b.files(t, "cur")) > 0 && len(b.unseen(t)) == 0
	})
}

// A server that is closed for today is no reason not to write to somebody again: the
// relay's notice is heard, and changes nothing.
func TestPostfixDelaysMail(t *testing.T) {
	t.Parallel()
	b := startBouncing(t, "smtp", closed)
	s := bounceHome(t, b, "bounces: {channel: mail, listen: \"127.0.0.1:"+b.back+"\"}").daemon(t, nil)
	first := s.send(t, "identified.md")
	eventually(t, "the notice that a message is delayed, in the server's log", func() bool {
		return strings.Contains(s.log.String(), "a message is delayed")
	})
	second := s.send(t, "monitoring.md")
	for _, update := range []string{first, second} {
		if r := s.outcome(t, update, "zoe@far.example"); r.Outcome != "delivered" {
			t.Errorf("a message that is delayed: %+v, want it delivered to the relay", r)
		}
	}
}

// files are the messages in a part of the Maildir.
func (b bouncing) files(t *testing.T, part string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.maildir(), part, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// unseen are the messages without the flag S.
func (b bouncing) unseen(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, f := range b.files(t, "cur") {
		if _, flags, _ := strings.Cut(filepath.Base(f), ":2,"); !strings.Contains(flags, "S") {
			all = append(all, f)
		}
	}
	return all
}

// checkReturned sends two updates, of which one recipient's come back.
func checkReturned(t *testing.T, b bouncing, s served) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server said:\n%s", s.log)
		}
	})
	first := s.send(t, "identified.md")
	var r recipient
	eventually(t, "the report of the returned message", func() bool {
		r = s.outcome(t, first, "zoe@far.example")
		return r.Outcome == "bounced"
	})
	if !strings.Contains(r.Reason, "No such user in the far office") || !strings.Contains(r.Reason, "5.1.1") {
		t.Errorf("the report says %q of the returned message, and not what the far server said", r.Reason)
	}
	if alice := s.outcome(t, first, "alice@abc.example"); alice.Outcome != "delivered" {
		t.Errorf("alice: %+v, want delivered", alice)
	}
	checkForgery(t, b, s, first)

	second := s.send(t, "monitoring.md")
	if r := s.outcome(t, second, "zoe@far.example"); r.Outcome != "suppressed" {
		t.Errorf("the second update to an address that does not exist: %+v, want it suppressed", r)
	}
	b.mail(t, "alice", 2)
	if r := s.sitrep(t, "suppress", "list"); r.code != 0 || !strings.Contains(r.out, "zoe@far.example") || strings.Contains(r.out, "alice@") {
		t.Errorf("sitrep suppress list: %v, want zoe's address and not alice's", r)
	}
}

// checkForgery hands a report over for alice's message, with a return path that we did
// not make.
func checkForgery(t *testing.T, b bouncing, s served, update string) {
	t.Helper()
	queued := s.outcome(t, update, "alice@abc.example").RemoteID
	path := regexp.MustCompile(queued + `: from=<(bounces\+[^>]+)([a-z2-7])@`).FindStringSubmatch(b.log(t))
	if path == nil {
		t.Fatal("alice's message did not leave with a return path of its own")
	}
	other := map[bool]string{true: "b", false: "a"}[path[2] == "a"]
	wrong := path[1] + other + "@status.example"
	report := fmt.Sprintf(forged, wrong)
	if err := smtp.SendMail("127.0.0.1:"+b.plain, nil, "", []string{wrong}, []byte(strings.ReplaceAll(report, "\n", "\r\n"))); err != nil {
		t.Fatalf("hand a forged report over: %v", err)
	}
	eventually(t, "what became of the forged report, in Postfix's log", func() bool {
		return regexp.MustCompile(`to=<` + regexp.QuoteMeta(wrong) + `>.* status=`).MatchString(b.log(t))
	})
	if r := s.outcome(t, update, "alice@abc.example"); r.Outcome != "delivered" {
		t.Errorf("after a forged report: %+v, want it delivered as before", r)
	}
}

// forged is a report as Postfix writes them.
const forged = `From: MAILER-DAEMON@elsewhere.example
To: %s
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

No.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; elsewhere.example

Final-Recipient: rfc822; alice@abc.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 gone

--b--
`

// send sends an update through the server and returns its id.
func (s served) send(t *testing.T, file string) string {
	t.Helper()
	r := s.sitrep(t, "send", "--json", file)
	m := regexp.MustCompile(`"update": "([^"]+)"`).FindStringSubmatch(r.out)
	if m == nil {
		t.Fatalf("sitrep send %s: %v\n%s", file, r, s.log)
	}
	return m[1]
}

// outcome is what the server knows of one recipient of an update.
func (s served) outcome(t *testing.T, update, address string) recipient {
	t.Helper()
	r := s.sitrep(t, "report", "--json", "--all", update)
	var said struct{ Updates []account }
	if err := json.Unmarshal([]byte(r.out), &said); err != nil || len(said.Updates) != 1 {
		t.Fatalf("sitrep report --json %s: %v in %v\n%s", update, err, r, s.log)
	}
	for _, rcpt := range said.Updates[0].Recipients {
		if rcpt.Address == address {
			return rcpt
		}
	}
	t.Fatalf("%s is not in the report: %v", address, r)
	return recipient{}
}

// groupOf is the number of a user's group.
func groupOf(t *testing.T, name string) string {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return u.Gid
}
