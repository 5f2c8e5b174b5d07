package email_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What an answer function can return besides a reply. An empty string means the
// relay's usual answer.
const (
	hangUp  = "\x00hang up"
	silence = "\x00silence"
)

// call is one thing a client said.
type call struct {
	conn   int    // from 1
	verb   string // GREETING, EHLO, ..., "AUTH+" for a line of a login, "." for the end of a message
	line   string
	nth    int // of this verb, over all connections, from 1
	secure bool
}

// relay is a scripted SMTP server on loopback: what a real one would never do on
// request, this one does.
type relay struct {
	answer   func(call) string
	ext      []string    // announced by EHLO; nil: the usual ones
	tls      *tls.Config // for STARTTLS; nil: not offered
	implicit bool        // TLS from the first byte
	bytewise bool        // one octet a packet
	forget   bool        // record nothing (for benchmarks)

	ln    net.Listener
	mu    sync.Mutex
	calls []call
	count map[string]int
	mail  []string // messages as they crossed the wire, dots undone
	conns int
	open  map[net.Conn]bool
	most  int
	done  chan struct{}
	wg    sync.WaitGroup
}

func (r *relay) start(t testing.TB) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.ln, r.count, r.open, r.done = ln, map[string]int{}, map[net.Conn]bool{}, make(chan struct{})
	r.wg.Go(r.accept)
	t.Cleanup(func() {
		close(r.done)
		_ = ln.Close()
		r.mu.Lock()
		for c := range r.open {
			_ = c.Close()
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

func (r *relay) addr() string { return r.ln.Addr().String() }

func (r *relay) accept() {
	for {
		c, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.conns++
		n := r.conns
		r.open[c] = true
		r.most = max(r.most, r.staying())
		r.mu.Unlock()
		r.wg.Go(func() {
			r.serve(n, c)
			_ = c.Close()
			r.mu.Lock()
			delete(r.open, c)
			r.mu.Unlock()
		})
	}
}

// staying is how many connections are open that have not said QUIT: whoever has may come
// again as soon as it has heard the answer. The caller holds the lock.
func (r *relay) staying() int {
	n := 0
	for _, stays := range r.open {
		if stays {
			n++
		}
	}
	return n
}

func (r *relay) leaves(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[c] = false
}

// peer is one connection to the relay.
type peer struct {
	*relay
	n      int
	conn   net.Conn
	r      *bufio.Reader
	secure bool
	reply  string // the last one

	begun, taken bool // MAIL was accepted; and RCPT
}

func (r *relay) serve(n int, c net.Conn) {
	p := &peer{relay: r, n: n, conn: c}
	if r.implicit {
		p.conn, p.secure = tls.Server(c, r.tls), true
	}
	p.r = bufio.NewReaderSize(p.conn, 16<<10)
	if !p.say("GREETING", "", "220 relay.test ESMTP") {
		return
	}
	for login := false; ; {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		if login {
			verb = "AUTH+"
		}
		if verb == "BDAT" {
			if !p.chunk(line) {
				return
			}
			continue
		}
		if verb == "QUIT" {
			r.leaves(c)
		}
		reply := p.usual(verb, line)
		if login = p.say(verb, line, reply); !login {
			return
		}
		login = strings.HasPrefix(p.reply, "334")
		if verb == "STARTTLS" && strings.HasPrefix(p.reply, "220") {
			p.conn, p.secure = tls.Server(p.conn, r.tls), true
			p.r = bufio.NewReaderSize(p.conn, 16<<10)
		}
		p.note(verb)
		if verb == "DATA" && strings.HasPrefix(p.reply, "354") && !p.message() {
			return
		}
		if verb == "QUIT" {
			return
		}
	}
}

func (p *peer) usual(verb, line string) string {
	switch verb {
	case "EHLO":
		ext := p.ext
		if ext == nil {
			ext = []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN XOAUTH2"}
		}
		if p.tls != nil && !p.secure {
			ext = append([]string{"STARTTLS"}, ext...)
		}
		return multi("250", append([]string{"relay.test at your service"}, ext...))
	case "STARTTLS":
		return "220 2.0.0 go ahead"
	case "AUTH":
		if strings.HasPrefix(strings.ToUpper(line), "AUTH LOGIN") {
			return "334 UGFzc3dvcmQ6"
		}
		return "235 2.7.0 welcome"
	case "AUTH+":
		return "235 2.7.0 welcome"
	case "*":
		return "501 5.7.0 aborted"
	case "MAIL":
		if p.begun {
			return "503 5.5.1 nested MAIL command"
		}
	case "RCPT":
		if !p.begun {
			return "503 5.5.1 need MAIL command"
		}
	case "DATA":
		if !p.taken {
			return "554 5.5.1 no valid recipients"
		}
		return "354 go on"
	case "QUIT":
		return "221 2.0.0 bye"
	}
	return "250 2.1.0 Ok"
}

// note keeps track of the transaction as RFC 5321 has it.
func (p *peer) note(verb string) {
	yes := strings.HasPrefix(p.reply, "2")
	switch verb {
	case "MAIL":
		p.begun = p.begun || yes
	case "RCPT":
		p.taken = p.taken || yes
	case "RSET", "EHLO":
		p.begun, p.taken = false, false
	}
}

// chunk reads a BDAT that is the last of its message.
func (p *peer) chunk(line string) bool {
	var n int
	if _, err := fmt.Sscanf(line, "BDAT %d LAST", &n); err != nil {
		return p.write("501 5.5.4 only whole messages\r\n")
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return false
	}
	if !p.taken {
		return p.write("554 5.5.1 no valid recipients\r\n")
	}
	return p.end(string(b))
}

// end answers a whole message, after which the transaction is over.
func (p *peer) end(message string) bool {
	p.begun, p.taken = false, false
	if !p.forget {
		p.mu.Lock()
		p.mail = append(p.mail, message)
		p.mu.Unlock()
	}
	return p.say(".", "", "250 2.0.0 Ok: queued as 4XyZ12")
}

// multi makes a reply of several lines.
func multi(code string, lines []string) string {
	for i := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		lines[i] = code + sep + lines[i]
	}
	return strings.Join(lines, "\r\n")
}

// message reads up to the final dot.
func (p *peer) message() bool {
	var b strings.Builder
	for {
		line, err := p.r.ReadSlice('\n')
		if err != nil {
			return false
		}
		if string(line) == ".\r\n" {
			break
		}
		if line[0] == '.' {
			line = line[1:]
		}
		if !p.forget {
			b.Write(line)
		}
	}
	return p.end(b.String())
}

// say records the call and answers it.
func (p *peer) say(verb, line, usual string) bool {
	reply := usual
	if !p.forget || p.answer != nil {
		p.mu.Lock()
		p.count[verb]++
		c := call{p.n, verb, line, p.count[verb], p.secure}
		p.calls = append(p.calls, c)
		p.mu.Unlock()
		if p.answer != nil {
			if a := p.answer(c); a != "" {
				reply = a
			}
		}
	}
	p.reply = reply
	switch reply {
	case hangUp:
		return false
	case silence:
		<-p.done
		return false
	}
	return p.write(reply + "\r\n")
}

func (p *peer) write(s string) bool {
	if !p.bytewise {
		_, err := p.conn.Write([]byte(s))
		return err == nil
	}
	for i := range len(s) {
		if _, err := p.conn.Write([]byte{s[i]}); err != nil {
			return false
		}
	}
	return true
}

// seen is how often a verb was said.
func (r *relay) seen(verb string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[verb]
}

// said is every line of a verb.
func (r *relay) said(verb string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, c := range r.calls {
		if c.verb == verb {
			lines = append(lines, c.line)
		}
	}
	return lines
}

// heardInClear reports whether a verb came without TLS.
func (r *relay) heardInClear(verb string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.calls, func(c call) bool { return strings.HasPrefix(c.verb, verb) && !c.secure })
}

func (r *relay) messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.mail...)
}

// connections is how many were ever made, how many are open, and the most at a time.
func (r *relay) connections() (made, open, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns, len(r.open), r.most
}

// eventually polls, because the other side is a real socket.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 5 s: %s", what)
}
