package acceptance_test

import (
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mailHome is the folder of somebody who sends through p. The relay's certificate is
// to be vouched for by ca.
func mailHome(t *testing.T, p *postfix, ca authority) home {
	t.Helper()
	h := newHome(t, `
ledger: sqlite://ledger.db
channels:
  - id: mail
    kind: email
    host: 127.0.0.1:`+p.port+`
    server_name: `+relayName+`
    ca_file: ca.pem
    from: Status <status@status.example>
    reply_to: support@status.example
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    zone: America/New_York
    lists:
      - {id: war-room, audience: internal, to: [{mail: [ops@abc.example]}]}
      - id: contacts
        audience: customer
        to:
          - mail:
            - alice@abc.example
            - {address: zoe@abc.example, name: "Zoë, Ångström", locale: en-GB, zone: Europe/London}
            - nobody@abc.example
            - full@abc.example
            - slow@abc.example
`)
	h.write(t, "ca.pem", ca.pem)
	h.write(t, "identified.md", identified)
	h.write(t, "monitoring.md", monitoring)
	return h
}

// One relay, and what happens to mail there: most of it arrives, one mailbox does not
// exist, one is full, one is greylisted.
func TestPostfix(t *testing.T) {
	t.Parallel()
	p := startPostfix(t)
	h := mailHome(t, p, p.ca)

	first := h.send(t, 5, "identified.md")
	if first.Delivered != 4 || first.Failed != 2 || first.Pending != 0 {
		t.Errorf("the first update: %+v, want 4 delivered and 2 failed", first)
	}
	checkOutcomes(t, p, h.report(t, first.Update))

	second := h.send(t, 5, "monitoring.md")
	if second.Delivered != 4 || second.Failed != 1 || second.NotSent != 1 || second.Seq != 2 {
		t.Errorf("the second update: %+v, want 4 delivered, 1 failed and, for the address that does not exist, 1 not sent", second)
	}
	if n := p.greylist.asked("nobody@abc.example"); n != 0 {
		t.Errorf("the policy server was asked %d times about a mailbox that does not exist; is it asked before the mailboxes are looked up?", n)
	}

	again := h.send(t, 5, "monitoring.md")
	if again.Update != second.Update || again.Delivered != 4 {
		t.Errorf("the second update, sent again: %+v, want the account of the first time, %+v", again, second)
	}
	checkMailboxes(t, p)
	t.Run("the same Message-IDs from elsewhere", func(t *testing.T) { checkElsewhere(t, p) })
}

// checkOutcomes holds the report to what Postfix is configured to do.
func checkOutcomes(t *testing.T, p *postfix, got map[string]recipient) {
	t.Helper()
	for _, want := range []struct {
		address, outcome, fault, said string
		attempts                      int
	}{
		{"ops@abc.example", "delivered", "", "", 1},
		{"alice@abc.example", "delivered", "", "", 1},
		{"zoe@abc.example", "delivered", "", "", 1},
		{"nobody@abc.example", "failed", "no_recipient", "550 5.1.1 <nobody@abc.example>: Recipient address rejected: User unknown in virtual mailbox table", 1},
		{"full@abc.example", "failed", "rejected", "552 5.2.2 <full@abc.example>: Recipient address rejected: The mailbox is full", 1},
		{"slow@abc.example", "delivered", "", "", 2},
	} {
		r := got["mail "+want.address]
		if r.Outcome != want.outcome || r.Attempts != want.attempts || !strings.Contains(r.Reason, want.said) {
			t.Errorf("%s: %+v, want %s after %d attempts with %q", want.address, r, want.outcome, want.attempts, want.said)
		}
		if want.outcome == "failed" && r.Fault != want.fault {
			t.Errorf("%s: fault %q, want %q", want.address, r.Fault, want.fault)
		}
		if want.outcome == "delivered" {
			checkQueueID(t, p, r)
		}
	}
	if len(got) != 6 {
		t.Errorf("the report has %d recipients, want 6", len(got))
	}
}

var queueIDForm = regexp.MustCompile(`^[0-9A-Za-z]{6,}$`)

// checkQueueID finds the delivery in Postfix's log by the name the report has for it.
func checkQueueID(t *testing.T, p *postfix, r recipient) {
	t.Helper()
	if !queueIDForm.MatchString(r.RemoteID) {
		t.Errorf("%s: remote id %q, want Postfix's queue id", r.Address, r.RemoteID)
		return
	}
	sent := regexp.MustCompile(r.RemoteID + `: to=<` + regexp.QuoteMeta(r.Address) + `>,.* status=sent`)
	eventually(t, "a line in Postfix's log about "+r.RemoteID+" for "+r.Address, func() bool {
		return sent.MatchString(p.log(t))
	})
}

// checkMailboxes reads what arrived after two updates, as its readers would.
func checkMailboxes(t *testing.T, p *postfix) {
	t.Helper()
	for box, to := range map[string]mail.Address{
		"alice": {Address: "alice@abc.example"},
		"zoe":   {Name: "Zoë, Ångström", Address: "zoe@abc.example"},
		"slow":  {Address: "slow@abc.example"},
		"ops":   {Address: "ops@abc.example"},
	} {
		mails := p.mail(t, box, 2)
		first, second := open(t, mails[0]), open(t, mails[1])
		for _, l := range []letter{first, second} {
			checkHeader(t, l, to)
			checkBody(t, l)
			checkFirewall(t, l, box == "ops")
		}
		checkThread(t, box, first, second)
	}
	if mails := p.mail(t, "full", 0); len(mails) != 0 {
		t.Errorf("the full mailbox got %d messages", len(mails))
	}
}

// checkHeader holds a message to what RFC 5322 and RFC 3834 want of it.
func checkHeader(t *testing.T, l letter, to mail.Address) {
	t.Helper()
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Auto-Submitted", "Reply-To", "Content-Type"} {
		if n := len(l.header[name]); n != 1 {
			t.Errorf("to %s: %s is there %d times, want once", to.Address, name, n)
		}
	}
	for _, name := range []string{"Cc", "Bcc", "Sender"} {
		if _, there := l.header[name]; there {
			t.Errorf("to %s: there is a %s", to.Address, name)
		}
	}
	list, err := l.header.AddressList("To")
	if err != nil || len(list) != 1 || *list[0] != to {
		t.Errorf("To is %v (%v), want only %v", list, err, to)
	}
	if l.deliveredTo() != to.Address {
		t.Errorf("Postfix delivered the message to %q, want %q", l.deliveredTo(), to.Address)
	}
	if got := l.header.Get("Auto-Submitted"); got != "auto-generated" {
		t.Errorf("to %s: Auto-Submitted is %q, want auto-generated", to.Address, got)
	}
	if at, err := l.header.Date(); err != nil || time.Since(at).Abs() > 10*time.Minute {
		t.Errorf("to %s: Date is %v (%v), want now", to.Address, at, err)
	}
	if got := l.header.Get("Return-Path"); got != "<status@status.example>" {
		t.Errorf("to %s: the envelope's sender is %s, want <status@status.example>", to.Address, got)
	}
	if !strings.Contains(l.subject, "Enterprise ABC") {
		t.Errorf("to %s: the subject %q does not say whom it concerns", to.Address, l.subject)
	}
	l.id(t, "Message-Id")
}

// checkBody holds both parts to the update: all of it is in each of them.
func checkBody(t *testing.T, l letter) {
	t.Helper()
	if l.params["format"] != "flowed" || !strings.EqualFold(l.params["charset"], "utf-8") {
		t.Errorf("the text part is %v, want format=flowed and charset=utf-8", l.params)
	}
	text := l.flowed()
	for _, want := range append([]string{summaryMark, impactMark, "No data has been lost."}, awkward...) {
		if !strings.Contains(text, want) {
			t.Errorf("the text to %s lacks %q:\n%s", l.deliveredTo(), want, text)
		}
		if !strings.Contains(unwrapped(l.html), want) {
			t.Errorf("the HTML to %s lacks %q:\n%s", l.deliveredTo(), want, l.html)
		}
	}
	if end := strings.TrimSpace(l.html); !strings.HasSuffix(end, "</html>") {
		t.Errorf("the HTML to %s does not end in </html>", l.deliveredTo())
	}
	for line := range strings.Lines(l.text) {
		if n := len([]rune(strings.TrimRight(line, "\r\n"))); n > 78 && strings.Contains(strings.TrimSpace(line), " ") {
			t.Errorf("the text to %s has a line of %d columns: %q", l.deliveredTo(), n, line)
		}
	}
}

// unwrapped is HTML with every run of white space as one space, as browsers see it.
func unwrapped(html string) string { return strings.Join(strings.Fields(html), " ") }

// checkFirewall looks for the technical notes: with our own people, and nowhere else.
func checkFirewall(t *testing.T, l letter, internal bool) {
	t.Helper()
	for _, secret := range []string{notesMark, "http_requests_total", "Technical Notes"} {
		if there := strings.Contains(l.everything(), secret); there != internal {
			t.Errorf("%q in the mail to %s: %v, want %v", secret, l.deliveredTo(), there, internal)
		}
	}
}

// checkThread holds the second message to the first: a mail program shows them as one
// conversation, and knows them apart.
func checkThread(t *testing.T, box string, first, second letter) {
	t.Helper()
	one := first.id(t, "Message-Id")
	if first.header.Get("In-Reply-To") != "" || first.header.Get("References") != "" {
		t.Errorf("%s: the first message answers %q", box, first.header.Get("In-Reply-To"))
	}
	if got := second.header.Get("In-Reply-To"); got != one {
		t.Errorf("%s: the second message answers %q, want %q", box, got, one)
	}
	if got := second.header.Get("References"); got != one {
		t.Errorf("%s: the second message refers to %q, want %q", box, got, one)
	}
	if second.id(t, "Message-Id") == one {
		t.Errorf("%s: both messages are %s", box, one)
	}
	of := strings.TrimPrefix(first.subject, "[Identified SEV1] ")
	if !strings.HasPrefix(of, "Enterprise ABC outage (") || second.subject != "[Monitoring SEV1] "+of {
		t.Errorf("%s: the subjects %q and %q do not say the status and, after it, the same", box, first.subject, second.subject)
	}
}

// checkElsewhere sends the first update with another ledger: a copy of a message must
// be recognisable as one.
func checkElsewhere(t *testing.T, p *postfix) {
	before := open(t, p.mail(t, "alice", 2)[0])
	h := mailHome(t, p, p.ca)
	h.send(t, 5, "identified.md", "--only", "contacts")
	after := open(t, p.mail(t, "alice", 3)[2])
	if x, y := before.id(t, "Message-Id"), after.id(t, "Message-Id"); x != y {
		t.Errorf("the same update to the same recipient has the Message-IDs %s and %s", x, y)
	}
}

// A relay whose certificate nobody vouches for gets nothing; the operator is told what
// to do, and after that the mail goes out.
func TestPostfixUntrusted(t *testing.T) {
	t.Parallel()
	p := startPostfix(t)
	h := mailHome(t, p, newAuthority(t))
	acc := h.send(t, 6, "identified.md", "--only", "internal", "--timeout", "3s")
	for _, r := range acc.Recipients {
		if r.Outcome != "pending" || r.Fault != "" && r.Fault != "unauthorized" {
			t.Errorf("with a certificate of nobody we know: %+v, want it pending as unauthorized", r)
		}
		if r.Fault != "" && !strings.Contains(r.Reason, "ca_file") {
			t.Errorf("the reason does not say what to mend: %s", r.Reason)
		}
	}
	if strings.Contains(p.log(t), "from=<") {
		t.Errorf("Postfix was given mail over a connection that could be anybody's:\n%s", p.log(t))
	}
	h.write(t, "ca.pem", p.ca.pem)
	if r := h.sitrep(t, "send", "--resume", "--timeout", "30s"); r.code != 0 {
		t.Errorf("after the certificate was named: %v", r)
	}
	p.mail(t, "ops", 1)
}
