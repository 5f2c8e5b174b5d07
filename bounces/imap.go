package bounces

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"sitrep/internal/secret"
	"sitrep/ledger"
)

// Security is how a connection to an IMAP server is protected.
type Security string

// The ways. The zero value is Implicit.
const (
	Implicit Security = "implicit" // TLS from the first byte (RFC 8314)
	StartTLS Security = "starttls" // TLS before the login, or no login
	Plain    Security = "none"     // for this machine only: its configuration says so
)

// FetchOptions is what a [Fetcher] needs.
type FetchOptions struct {
	Receiver *Receiver
	Address  string // host:port
	Security Security
	TLS      *tls.Config // nil: the system's authorities, TLS 1.2 or later
	User     string
	Password secret.String

	Mailbox string        // "" is INBOX
	Done    string        // where messages go that were read; "": they stay, marked as seen
	Delete  bool          // messages that were read are deleted, instead
	Poll    time.Duration // between two looks, where the server does not say that there is mail; 0: a minute

	// Trusted: what lands in the mailbox is believed where return paths carry no MAC.
	Trusted bool

	Duty ledger.Duty // by which one of several processes reads the mailbox; nil: there is one
	Log  *slog.Logger
}

// The limits of a fetcher.
const (
	dialing   = 30 * time.Second
	round     = 10 * time.Minute // to work off what is there
	shortest  = time.Second      // the first pause after a failure; it doubles
	longest   = 5 * time.Minute
	dutyFetch = "bounces"
)

// Fetcher reads a mailbox by IMAP: what is unseen in it is received, and then marked as
// seen, moved or deleted. What could not be recorded stays unseen and is read again at
// the next look. Nothing is remembered between two looks but the flags.
type Fetcher struct{ o FetchOptions }

// NewFetcher makes a fetcher. It does no I/O.
func NewFetcher(o FetchOptions) *Fetcher {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Mailbox == "" {
		o.Mailbox = "INBOX"
	}
	if o.Poll <= 0 {
		o.Poll = time.Minute
	}
	return &Fetcher{o}
}

// Run reads the mailbox until ctx is done. It connects again when a connection breaks,
// with pauses that grow.
func (f *Fetcher) Run(ctx context.Context) {
	pause := shortest
	for ctx.Err() == nil {
		worked, err := f.session(ctx)
		if worked {
			pause = shortest
		}
		if err == nil { // somebody else has the duty
			wait(ctx, f.o.Poll, nil)
			continue
		}
		if ctx.Err() != nil {
			return
		}
		f.o.Log.Warn("the mailbox with returned mail cannot be read; trying again", "server", f.o.Address, "in", pause.String(), "error", err)
		wait(ctx, pause, nil)
		pause = min(2*pause, longest)
	}
}

// Once reads what is unseen now and returns how many messages were received.
func (f *Fetcher) Once(ctx context.Context) (int, error) {
	m, err := f.open(ctx)
	if err != nil {
		return 0, err
	}
	defer m.close()
	return m.round(ctx)
}

// session works on one connection. It reports whether a round of it succeeded. Without an
// error the duty is another process's.
func (f *Fetcher) session(ctx context.Context) (worked bool, err error) {
	release, err := f.hold(ctx)
	if err != nil || release == nil {
		return false, err
	}
	defer release()
	m, err := f.open(ctx)
	if err != nil {
		return false, err
	}
	defer m.close()
	for {
		if _, err := m.round(ctx); err != nil {
			return worked, err
		}
		worked = true
		if err := m.idle(ctx, f.o.Poll); err != nil {
			return worked, err
		}
		if r, err := f.hold(ctx); err != nil || r == nil {
			return worked, err
		}
	}
}

// hold takes the duty, or finds out whether it is still ours. A nil release: it is not.
func (f *Fetcher) hold(ctx context.Context) (release func(), err error) {
	if f.o.Duty == nil {
		return func() {}, nil
	}
	held, release, err := f.o.Duty.Hold(ctx, dutyFetch)
	if err != nil || !held {
		return nil, err
	}
	return release, nil
}

// mailbox is an open one.
type mailbox struct {
	f      *Fetcher
	client *imapclient.Client
	news   chan struct{} // the server says that there is mail
}

func (f *Fetcher) open(ctx context.Context) (*mailbox, error) {
	ctx, cancel := context.WithTimeout(ctx, dialing)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", f.o.Address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the library knows no contexts
	defer stop()
	m := &mailbox{f: f, news: make(chan struct{}, 1)}
	if err := m.greet(ctx, conn); err != nil {
		return nil, errors.Join(err, ignoreClosed(conn.Close()))
	}
	if err := m.login(); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// greet makes the client on a connection, with TLS before anything is said.
func (m *mailbox) greet(ctx context.Context, conn net.Conn) error {
	o := &imapclient.Options{TLSConfig: m.f.tls(), UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				m.ring()
			}
		},
	}}
	switch m.f.o.Security {
	case Plain:
		m.client = imapclient.New(conn, o)
	case StartTLS:
		c, err := imapclient.NewStartTLS(conn, o)
		if err != nil {
			return fmt.Errorf("begin TLS (starttls): %w", err)
		}
		m.client = c
	default:
		c := tls.Client(conn, o.TLSConfig)
		if err := c.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("begin TLS: %w", err)
		}
		m.client = imapclient.New(c, o)
	}
	if err := m.client.WaitGreeting(); err != nil {
		m.close()
		return fmt.Errorf("the server's greeting: %w", err)
	}
	return nil
}

func (m *mailbox) ring() {
	select {
	case m.news <- struct{}{}:
	default:
	}
}

func (f *Fetcher) tls() *tls.Config {
	c := &tls.Config{}
	if f.o.TLS != nil {
		c = f.o.TLS.Clone()
	}
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(f.o.Address)
	}
	return c
}

func (m *mailbox) login() error {
	o := m.f.o
	if err := m.client.Login(o.User, o.Password.Reveal()).Wait(); err != nil {
		return fmt.Errorf("the login was refused; check user and password: %s", m.hide(err))
	}
	if _, err := m.client.Select(o.Mailbox, nil).Wait(); err != nil {
		return fmt.Errorf("open the mailbox %q: %w", o.Mailbox, err)
	}
	return nil
}

// hide takes the password out of what a server says, which may repeat it.
func (m *mailbox) hide(err error) string {
	if p := m.f.o.Password; !p.Empty() {
		return clean(strings.ReplaceAll(err.Error(), p.Reveal(), p.String()))
	}
	return clean(err.Error())
}

func (m *mailbox) close() { _ = m.client.Close() } // nothing is unsaved

// idle returns when there may be mail: the server says so (IDLE, RFC 2177), or it is time
// to look.
func (m *mailbox) idle(ctx context.Context, most time.Duration) error {
	if !m.client.Caps().Has(imap.CapIdle) {
		wait(ctx, most, m.client.Closed())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return m.within(ctx, dialing, func() error { return m.client.Noop().Wait() })
	}
	return m.within(ctx, most+dialing, func() error {
		listening, err := m.client.Idle()
		if err != nil {
			return fmt.Errorf("wait for mail: %w", err)
		}
		timer := time.NewTimer(most)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-m.news:
		case <-m.client.Closed():
		}
		return errors.Join(listening.Close(), listening.Wait())
	})
}

// within closes the connection if do takes longer, or ctx is done: nothing else ends a
// command that the server does not answer.
func (m *mailbox) within(ctx context.Context, most time.Duration, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	stop := context.AfterFunc(ctx, m.close)
	defer stop()
	err := do()
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", err, ctx.Err())
	}
	return err
}

// wait returns when the time is over, or sooner if ctx is done or the channel closed.
func wait(ctx context.Context, d time.Duration, over <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-over:
	case <-t.C:
	}
}
