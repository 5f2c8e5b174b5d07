package acceptance_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// course is what is sent about two incidents of one customer, in this order: which of
// them, the status, the severity. The first goes through all statuses.
var course = []struct{ incident, status, severity string }{
	{"abc-7", "Investigating", "SEV3"},
	{"abc-7", "Identified", "SEV1"},
	{"abc-8", "Investigating", "SEV1"},
	{"abc-7", "Monitoring", "SEV2"},
	{"abc-8", "Resolved", "SEV4"},
	{"abc-7", "Resolved", "SEV4"},
}

// An IMAP server, which is not ours, makes one thread of each incident, whichever of its
// ways it is asked for, although every subject says another status and severity. Where
// somebody has lost the references, the subjects do it.
func TestDovecotThreads(t *testing.T) {
	t.Parallel()
	p := startPostfix(t)
	letters := sendCourse(t, p, "alice", "zoe")
	c := dialDovecot(t, startDovecot(t, filepath.Join(p.dir, "mail", "threads"), p.ca), p.ca)
	const one, two, both = "1,2,4,6", "3,5", "1,2,3,4,5,6"

	c.fill(t, "customer", letters["alice"])
	for _, algorithm := range []string{"REFERENCES", "REFS", "ORDEREDSUBJECT"} {
		c.wantThreads(t, algorithm, one, two)
	}
	c.fill(t, "customer-bare", bare(letters["alice"]))
	c.wantThreads(t, "ORDEREDSUBJECT", one, two)
	c.wantThreads(t, "REFERENCES", one, two)

	// To the public both incidents have one name: what goes by the subject cannot tell
	// them apart, as docs/email.md says, but takes no incident to pieces.
	c.fill(t, "public", letters["zoe"])
	c.wantThreads(t, "REFS", one, two)
	c.wantThreads(t, "REFERENCES", both) // puts threads of one subject together, RFC 5256 section 3
	c.wantThreads(t, "ORDEREDSUBJECT", both)
	checkExchange(t, letters)
}

// sendCourse sends the updates and returns the mails of a customer and of the public.
func sendCourse(t *testing.T, p *postfix, customer, public string) map[string][]string {
	t.Helper()
	h := newHome(t, `
ledger: sqlite://ledger.db
channels:
  - {id: mail, kind: email, host: 127.0.0.1:`+p.plain+`, tls: none, from: status@status.example}
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    zone: America/New_York
    lists:
      - {id: contacts, audience: customer, to: [{mail: [`+customer+`@abc.example]}]}
      - {id: public, audience: public, to: [{mail: [`+public+`@abc.example]}]}
`)
	letters := map[string][]string{}
	for i, u := range course {
		source := brief(u.status, fmt.Sprintf("This is update %d.", i+1), "None.", "None.")
		if u.status == "Resolved" {
			source = strings.Replace(source, "Next update will be shared at 8:30pm ET.", "It is over.", 1)
		}
		h.write(t, "update.md", strings.Replace(source, "SEV1", u.severity, 1))
		h.send(t, 0, "--incident", u.incident, "--only", "customer,public", "update.md")
		for _, box := range []string{customer, public} { // before the next is sent, for the order
			letters[box] = p.mail(t, box, i+1)
		}
	}
	for i, u := range course {
		want := fmt.Sprintf("[%s %s] Enterprise ABC outage (%s)", u.status, u.severity, u.incident)
		if got := open(t, letters[customer][i]).subject; got != want {
			t.Errorf("update %d: subject %q, want %q", i+1, got, want)
		}
		want = fmt.Sprintf("[%s %s] Service outage", u.status, u.severity)
		if got := open(t, letters[public][i]).subject; got != want {
			t.Errorf("update %d to the public: subject %q, want %q", i+1, got, want)
		}
	}
	return letters
}

var (
	references = regexp.MustCompile(`(?m)^(?:References|In-Reply-To|Thread-Index|Thread-Topic): .*\n(?:[ \t].*\n)*`)
	lineEnd    = regexp.MustCompile(`\r?\n`)
)

// bare is mails without anything that says which conversation they are of, but the
// subject.
func bare(mails []string) []string {
	all := make([]string, len(mails))
	for i, m := range mails {
		head, body, _ := strings.Cut(lineEnd.ReplaceAllString(m, "\n"), "\n\n")
		all[i] = references.ReplaceAllString(head+"\n", "") + "\n" + body
	}
	return all
}

// checkExchange holds the headers that Exchange goes by to the same: one conversation an
// incident, and the subject ends in its topic.
func checkExchange(t *testing.T, letters map[string][]string) {
	t.Helper()
	for box, mails := range letters {
		of := map[string][]string{}
		for i, raw := range mails {
			l, incident := open(t, raw), course[i].incident
			index, topic := l.header.Get("Thread-Index"), l.header.Get("Thread-Topic")
			if _, rest, _ := strings.Cut(l.subject, "] "); topic == "" || topic != rest {
				t.Errorf("%s: the topic of %q is %q", box, l.subject, topic)
			}
			if !slices.Contains(of[incident], index) {
				of[incident] = append(of[incident], index)
			}
		}
		if len(of["abc-7"]) != 1 || len(of["abc-8"]) != 1 || of["abc-7"][0] == of["abc-8"][0] {
			t.Errorf("%s: the conversations of the two incidents are %q", box, of)
		}
	}
}

// imapLine is a connection to an IMAP server on which commands are written by hand: the
// library reads no answer to THREAD that has more than one thread.
type imapLine struct {
	conn io.Writer
	in   *bufio.Reader
	tag  int
}

func dialDovecot(t *testing.T, d dovecot, ca authority) *imapLine {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "localhost"}}).DialContext(t.Context(), "tcp", "127.0.0.1:"+d.port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	c := &imapLine{conn: conn, in: bufio.NewReader(conn)}
	if _, err := c.in.ReadString('\n'); err != nil {
		t.Fatalf("the greeting: %v", err)
	}
	c.do(t, "LOGIN "+d.user+" "+d.password)
	return c
}

// do says a command and returns the untagged answers to it. Everything but OK ends the
// test.
func (c *imapLine) do(t *testing.T, command string) []string {
	t.Helper()
	c.tag++
	tag := fmt.Sprintf("t%d ", c.tag)
	if _, err := io.WriteString(c.conn, tag+command+"\r\n"); err != nil {
		t.Fatal(err)
	}
	var answers []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			t.Fatalf("%.60q: %v", command, err)
		}
		line = strings.TrimRight(line, "\r\n")
		if end, ok := strings.CutPrefix(line, tag); ok {
			if !strings.HasPrefix(end, "OK ") {
				t.Fatalf("%.60q: %s", command, end)
			}
			return answers
		}
		answers = append(answers, line)
	}
}

// fill makes a mailbox of mails, in order, and selects it.
func (c *imapLine) fill(t *testing.T, name string, mails []string) {
	t.Helper()
	c.do(t, "CREATE "+name)
	for _, m := range mails {
		m = lineEnd.ReplaceAllString(m, "\r\n")
		c.do(t, fmt.Sprintf("APPEND %s {%d+}\r\n%s", name, len(m), m))
	}
	c.do(t, "SELECT "+name)
}

var threadNumber = regexp.MustCompile(`\d+`)

// wantThreads asks for the threads of the mailbox and compares them, each as the numbers
// of its messages.
func (c *imapLine) wantThreads(t *testing.T, algorithm string, want ...string) {
	t.Helper()
	var got []string
	for _, answer := range c.do(t, "THREAD "+algorithm+" UTF-8 ALL") {
		if list, ok := strings.CutPrefix(answer, "* THREAD "); ok {
			got = append(got, topThreads(list)...)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("THREAD %s: %q, want %q", algorithm, got, want)
	}
}

// topThreads are the threads of an answer, in which brackets stand within brackets.
func topThreads(list string) []string {
	var all []string
	depth, begin := 0, 0
	for i, r := range list {
		switch r {
		case '(':
			if depth == 0 {
				begin = i
			}
			depth++
		case ')':
			if depth--; depth == 0 {
				all = append(all, inOrder(list[begin:i]))
			}
		}
	}
	slices.Sort(all)
	return all
}

func inOrder(thread string) string {
	numbers := threadNumber.FindAllString(thread, -1) // of one digit each
	slices.Sort(numbers)
	return strings.Join(numbers, ",")
}
