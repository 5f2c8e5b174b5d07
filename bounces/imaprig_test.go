package bounces_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"sitrep/bounces"
	"sitrep/internal/secret"
)

// post is an IMAP server on loopback with one user.
type post struct {
	t       *testing.T
	user    *imapmemserver.User
	address string
	listen  net.Listener
	roots   *x509.CertPool
}

// caps of servers: a common one, and one that can do next to nothing.
func able() imap.CapSet {
	return imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIdle: {}, imap.CapMove: {}, imap.CapUIDPlus: {}}
}
func plain() imap.CapSet { return imap.CapSet{imap.CapIMAP4rev1: {}} }

func newPost(t *testing.T, caps imap.CapSet, implicit bool) *post {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	p := &post{t: t, user: imapmemserver.NewUser("bounces", "the password"), roots: x509.NewCertPool()}
	p.roots.AddCert(web.Certificate())
	for _, name := range []string{"INBOX", "Done"} {
		if err := p.user.Create(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	mem := imapmemserver.New()
	mem.AddUser(p.user)
	certs := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: web.TLS.Certificates}
	s := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return mem.NewSession(), nil, nil
		},
		Caps: caps, TLSConfig: certs, Logger: log.New(io.Discard, "", 0),
	})
	on, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address, p.listen = on.Addr().String(), &tracked{Listener: on}
	served := p.listen
	if implicit {
		served = tls.NewListener(p.listen, certs)
	}
	go func() { _ = s.Serve(served) }() // it ends with an error when it is closed
	t.Cleanup(func() { s.Close() })
	return p
}

// tracked can cut all connections.
type tracked struct {
	net.Listener
	mu  sync.Mutex
	all []net.Conn
}

func (l *tracked) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.all = append(l.all, c)
	}
	return c, err
}

func (p *post) cut() int {
	l := p.listen.(*tracked)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		c.Close()
	}
	return len(l.all)
}

type literal struct{ *strings.Reader }

func (p *post) put(content string) {
	p.t.Helper()
	if _, err := p.user.Append("INBOX", literal{strings.NewReader(content)}, &imap.AppendOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

func (l literal) Size() int64 { return l.Reader.Size() }

// count is how many messages a mailbox has, and how many of them are unseen.
func (p *post) count(name string) (all, unseen uint32) {
	p.t.Helper()
	s, err := p.user.Status(name, &imap.StatusOptions{NumMessages: true, NumUnseen: true})
	if err != nil {
		p.t.Fatal(err)
	}
	return *s.NumMessages, *s.NumUnseen
}

func (p *post) options(r *rig) bounces.FetchOptions {
	return bounces.FetchOptions{
		Receiver: r.Receiver, Address: p.address, TLS: &tls.Config{RootCAs: p.roots, ServerName: "example.com"},
		User: "bounces", Password: secret.New("the password"), Log: slog.New(slog.NewTextHandler(r.log, nil)),
	}
}

func once(t *testing.T, o bounces.FetchOptions, want int) {
	t.Helper()
	if n, err := bounces.NewFetcher(o).Once(t.Context()); err != nil || n != want {
		t.Fatalf("%d received (%v), want %d", n, err, want)
	}
}

func returned(key, final string) string {
	return dsn{to: verp(key), final: final}.String()
}
