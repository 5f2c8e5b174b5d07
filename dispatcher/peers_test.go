package dispatcher_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"sitrep/channels"
	"sitrep/channels/mattermost"
	"sitrep/channels/notify"
	"sitrep/dispatcher"
	"sitrep/internal/secret"
	"sitrep/ledger"
)

// peer is a server that does one connection wrong and all others right.
type peer struct {
	wrong func(p *peer, c net.Conn, r *bufio.Reader)

	mu    sync.Mutex
	conns int
	taken map[string]int // bodies that were read whole
	open  sync.WaitGroup
}

func (p *peer) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns++
	first := p.conns == 1
	p.open.Go(func() {
		defer theirs.Close()
		r := bufio.NewReader(theirs)
		if first {
			p.wrong(p, theirs, r)
			return
		}
		for p.take(r) == nil {
			if _, err := io.WriteString(theirs, answerOK); err != nil {
				return
			}
		}
	})
	return ours, nil
}

const answerOK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// take reads one request.
func (p *peer) take(r *bufio.Reader) error {
	q, err := http.ReadRequest(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[string(body)]++
	return nil
}

// copies are how often each message was read, the most often read one first.
func (p *peer) copies() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []int
	for _, n := range p.taken {
		all = append(all, n)
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all
}

// says takes the request and answers with the pieces, some time between them.
func says(between time.Duration, pieces ...string) func(*peer, net.Conn, *bufio.Reader) {
	return func(p *peer, c net.Conn, r *bufio.Reader) {
		if p.take(r) != nil {
			return
		}
		for i, s := range pieces {
			if i > 0 {
				time.Sleep(between)
			}
			if _, err := io.WriteString(c, s); err != nil {
				return
			}
		}
	}
}

// forever takes the request and says something without end, as long as anybody listens.
func forever(head, more string) func(*peer, net.Conn, *bufio.Reader) {
	return func(p *peer, c net.Conn, r *bufio.Reader) {
		if p.take(r) != nil {
			return
		}
		for _, err := io.WriteString(c, head); err == nil; _, err = io.WriteString(c, more) {
		}
	}
}

// unread leaves the connection alone until the other side has enough.
func unread(time.Duration) func(*peer, net.Conn, *bufio.Reader) {
	return func(_ *peer, c net.Conn, _ *bufio.Reader) {
		time.Sleep(time.Minute)
		_ = c.Close()
	}
}

func drips(_ *peer, c net.Conn, _ *bufio.Reader) {
	for b := make([]byte, 1); ; time.Sleep(time.Second) {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

func limited(status, after string) string {
	return "HTTP/1.1 " + status + "\r\nRetry-After: " + after + "\r\nContent-Length: 0\r\n\r\n"
}

// inDoubt is unavailable or ambiguous: nothing was read, which our side may not know.
const inDoubt channels.Fault = "unavailable or ambiguous"

// peerFaults is what a server over HTTP can do wrong, and what is to come of it: the
// fault of the one attempt by each adapter (empty: none, it is delivered), how often the
// message can have been read, and how long until everybody has it.
type peerFault struct {
	name        string
	wrong       func(*peer, net.Conn, *bufio.Reader)
	hook, chat  channels.Fault
	copies      int
	within      time.Duration
	chatsWithin time.Duration // where it differs
}

func peerFaults() []peerFault {
	const (
		unavailable, limits, unauthorized = channels.Unavailable, channels.RateLimited, channels.Unauthorized
		ambiguous, rejected               = channels.Ambiguous, channels.Rejected
		soon                              = 5 * time.Second
		timeout                           = 40 * time.Second
		anHour                            = time.Hour + time.Minute
	)
	return []peerFault{
		{"answers a byte a second", says(time.Second, strings.Split(answerOK, "")...), ambiguous, ambiguous, 2, timeout, 0},
		{"reads a byte a second", drips, inDoubt, inDoubt, 1, timeout, 0},
		{"hangs before reading", unread(time.Minute), inDoubt, inDoubt, 1, timeout, 0},
		{"hangs after reading", says(time.Minute, "", answerOK), ambiguous, ambiguous, 2, timeout, 0},
		{"hangs in the body", says(time.Minute, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", "k"), ambiguous, ambiguous, 2, timeout, 0},
		{"resets at once", func(*peer, net.Conn, *bufio.Reader) {}, inDoubt, inDoubt, 1, soon, 0},
		{"resets in the request", func(_ *peer, _ net.Conn, r *bufio.Reader) { _, _ = r.ReadByte() }, inDoubt, inDoubt, 1, soon, 0},
		{"resets after the request", says(0), ambiguous, ambiguous, 2, soon, 0},
		{"resets in the head", says(0, "HTTP/1.1 200 OK\r\nContent-Le"), ambiguous, ambiguous, 2, soon, 0},
		{"resets in the body", says(0, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok"), ambiguous, ambiguous, 2, soon, 0},
		{"resets in a chunk", says(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\no"), ambiguous, ambiguous, 2, soon, 0},
		{"an error page", says(0, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<h1>Oh</h1>\n"), "", unauthorized, 2, soon, 2 * time.Minute},
		{"no content", says(0, "HTTP/1.1 204 No Content\r\n\r\n"), "", unauthorized, 2, soon, 2 * time.Minute},
		{"a redirection", says(0, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://elsewhere.test/\r\nContent-Length: 0\r\n\r\n"), rejected, rejected, 1, soon, 0},
		{"an endless body", forever("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "400\r\n"+strings.Repeat("x", 1024)+"\r\n"), ambiguous, ambiguous, 2, soon, 0},
		{"an endless head", forever("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("x", 1000)+"\r\n"), ambiguous, ambiguous, 2, soon, 0},
		{"endless promises", forever("", "HTTP/1.1 102 Processing\r\n\r\n"), ambiguous, ambiguous, 2, soon, 0},
		{"more than it says", says(0, answerOK+" and more"), "", "", 1, soon, 0},
		{"less than nothing", says(0, "HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\nok"), ambiguous, ambiguous, 2, soon, 0},
		{"two lengths", says(0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"), ambiguous, ambiguous, 2, soon, 0},
		{"not HTTP", says(0, "SSH-2.0-OpenSSH_9.2\r\n"), ambiguous, ambiguous, 2, soon, 0},
		{"wait ten years", says(0, limited("429 Too Many Requests", "315360000")), limits, limits, 2, anHour, 0},
		{"wait since ten years", says(0, limited("429 Too Many Requests", "-315360000")), limits, limits, 2, soon, 0},
		{"wait until 1999", says(0, limited("429 Too Many Requests", "Fri, 31 Dec 1999 23:59:59 GMT")), limits, limits, 2, soon, 0},
		{"wait a word", says(0, limited("429 Too Many Requests", "soon")), limits, limits, 2, soon, 0},
		{"busy for ten years", says(0, limited("503 Service Unavailable", "315360000")), unavailable, unavailable, 2, anHour, 0},
	}
}

// recorder notes faults.
type faultRecorder struct {
	dispatcher.Recorder
	mu     sync.Mutex
	faults []channels.Fault
}

func (f *faultRecorder) Attempt(_, _ string, fault channels.Fault, _ time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault != "" {
		f.faults = append(f.faults, fault)
	}
}

func (*faultRecorder) Settled(string, string, string, string, string, time.Duration) {}
func (*faultRecorder) Up(string, bool)                                               {}
func (*faultRecorder) Trouble(string, string)                                        {}
func (*faultRecorder) Untold(string, string)                                         {}

func webhookTo(t *testing.T, p *peer) (channels.Channel, channels.Message) {
	t.Helper()
	var stanza strings.Builder
	stanza.WriteString("allow_http: true\nwebhooks:\n")
	for i := range peerRecipients {
		fmt.Fprintf(&stanza, "- {id: r%d, url: 'http://hooks.test/%d'}\n", i, i)
	}
	c, err := notify.Kinds()["notify/http"].New(func(v any) error { return yaml.Unmarshal([]byte(stanza.String()), v) }, p.env())
	if err != nil {
		t.Fatal(err)
	}
	return c, channels.Message{Format: channels.FormatChat, Subject: "SEV1 outage", Text: "It is down."}
}

func chatTo(t *testing.T, p *peer) (channels.Channel, channels.Message) {
	t.Helper()
	c, err := mattermost.New(func(v any) error {
		v.(*mattermost.Config).Webhook = secret.New("http://127.0.0.1/hooks/abc")
		return nil
	}, p.env())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(channels.Posts{Posts: []channels.Post{{Text: "It is down."}}})
	if err != nil {
		t.Fatal(err)
	}
	return c, channels.Message{Format: channels.FormatMattermost, Text: "It is down.", Payload: raw}
}

func (p *peer) env() channels.Env {
	return channels.Env{ID: "far", HTTP: &http.Client{Transport: &http.Transport{DialContext: p.dial}}}
}

const peerRecipients = 5

// A server does the first request wrong, in one way or another. The attempt has the
// fault that the channel's contract says, everybody has the message in the end, nobody
// twice but where the server may have had it before, and the others wait for it no longer
// than they must.
func TestPeers(t *testing.T) {
	adapters := map[string]func(*testing.T, *peer) (channels.Channel, channels.Message){"webhook": webhookTo, "chat": chatTo}
	for _, tc := range peerFaults() {
		for name, open := range adapters {
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := &peer{wrong: tc.wrong, taken: map[string]int{}}
					c, m := open(t, p)
					want, within := tc.hook, tc.within
					if name == "chat" {
						want = tc.chat
						within = max(within, tc.chatsWithin)
					}
					f := workPeer(t, c, m, within)
					if c, ok := c.(channels.Closer); ok {
						_ = c.Close()
					}
					p.open.Wait()
					switch got := slices.Clone(f.faults); {
					case want == "" && len(got) == 0:
					case len(got) == 1 && (got[0] == want || strings.Contains(string(want), string(got[0])+" or") || strings.HasSuffix(string(want), "or "+string(got[0]))):
					default:
						t.Errorf("the faults are %v, want %q", got, want)
					}
					first := tc.copies
					if want == "" {
						first = 1
					}
					if sum := fmt.Sprint(p.copies()); sum != fmt.Sprint(append([]int{first}, slices.Repeat([]int{1}, peerRecipients-1)...)) {
						t.Errorf("the messages were read %s times, want the first %d times", sum, first)
					}
				})
			})
		}
	}
}

// workPeer sends an update to everybody and checks that all have it in time.
func workPeer(t *testing.T, c channels.Channel, m channels.Message, within time.Duration) *faultRecorder {
	t.Helper()
	f := &faultRecorder{}
	r := newRig(t, dispatcher.Lane{ID: "far", Kind: "test", Channel: c, Workers: 1, Timeout: 30 * time.Second})
	r.open(func(o *dispatcher.Options) { o.Record = f })
	var to []string
	for i := range peerRecipients {
		to = append(to, fmt.Sprintf("far:r%d", i))
	}
	a := acceptance("INC-1", 1, time.Now(), 4*time.Hour, to...)
	a.Renderings = []channels.Message{m}
	if _, err := r.l.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.work()
	if took := time.Since(began); took > within {
		t.Errorf("it took %s, want %s at most", took, within)
	}
	failed := 0
	for _, fault := range f.faults {
		if fault.Final() {
			failed++
		}
	}
	r.tally(a.Update.Key, ledger.Failed, failed)
	r.tally(a.Update.Key, ledger.Delivered, peerRecipients-failed)
	return f
}
