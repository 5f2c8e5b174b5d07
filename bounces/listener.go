package bounces

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// The limits of a listener.
const (
	maxConnections = 20               // at a time
	maxRefused     = 20               // recipients in one connection, then it is closed
	maxMessage     = 32 << 20         // bytes of a message; returned ones come with all that was in them
	maxTo          = 20               // recipients of a message
	maxSession     = 10 * time.Minute // of one connection
	silence        = time.Minute      // between two commands, and for a message's content
	recording      = 30 * time.Second // for the ledger
)

// ListenOptions is what a [Listener] needs.
type ListenOptions struct {
	Receiver *Receiver
	Name     string         // the host's, for the greeting; "localhost" if it is empty
	LMTP     bool           // instead of SMTP
	TLS      *tls.Config    // offered by STARTTLS; nil: not offered
	Trust    []netip.Prefix // whose reports are believed where return paths carry no MAC; a socket is 127.0.0.1
	Log      *slog.Logger

	// Silence is how long a client may say nothing; 0: a minute.
	Silence time.Duration
}

// Listener takes mail for the bounce address and its return paths, from whomever it
// comes, and no other mail. It says 250 when the ledger has recorded what a message says,
// or when nothing is to be recorded; 451 when it is to come again; and 550 to any
// other recipient. It passes nothing on.
type Listener struct {
	o      ListenOptions
	server *smtp.Server

	ctx    context.Context // ends what is under way
	cancel context.CancelFunc

	mu       sync.Mutex
	draining bool
	open     map[*conn]bool // whether a message is under way
}

// NewListener makes a listener that serves nobody yet.
func NewListener(o ListenOptions) *Listener {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Name == "" {
		o.Name = "localhost"
	}
	if o.Silence <= 0 {
		o.Silence = silence
	}
	l := &Listener{o: o, open: map[*conn]bool{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{l: l, smtp: c, conn: inner(c.Conn())}, nil
	}))
	s.Domain, s.LMTP, s.TLSConfig, s.EnableSMTPUTF8 = o.Name, o.LMTP, o.TLS, true
	s.MaxMessageBytes, s.MaxRecipients = maxMessage, maxTo
	s.ReadTimeout, s.WriteTimeout = o.Silence, o.Silence
	s.ErrorLog = quiet{o.Log}
	l.server = s
	return l
}

// Serve serves a TCP listener or a socket until Shutdown, which makes it return nil.
// Several can be served.
func (l *Listener) Serve(on net.Listener) error {
	if err := l.server.Serve(&door{Listener: on, l: l}); err != nil {
		return fmt.Errorf("receive returned mail on %s: %w", on.Addr(), err)
	}
	return nil
}

// Shutdown takes no new connections, closes those that are idle at once and the others
// after their message, and ends them all when ctx is done, which is its error then.
func (l *Listener) Shutdown(ctx context.Context) error {
	defer l.cancel()
	l.each(func(c *conn, busy bool) bool { return !busy }, true)
	err := l.server.Shutdown(ctx)
	if ctx.Err() != nil {
		l.cancel()
		l.each(func(*conn, bool) bool { return true }, true)
	}
	return err
}

// each closes the connections that which wants closed.
func (l *Listener) each(which func(c *conn, busy bool) bool, draining bool) {
	l.mu.Lock()
	l.draining = l.draining || draining
	var gone []*conn
	for c, busy := range l.open {
		if which(c, busy) {
			gone = append(gone, c)
		}
	}
	l.mu.Unlock()
	for _, c := range gone {
		_ = c.Close() // nobody is there any more
	}
}

// busy says whether a message is under way in a connection. One that is done is closed
// while the listener is shut down.
func (l *Listener) busy(c *conn, now bool) {
	if c == nil {
		return
	}
	l.mu.Lock()
	_, isOpen := l.open[c]
	if isOpen {
		l.open[c] = now
	}
	end := isOpen && !now && l.draining
	l.mu.Unlock()
	if end {
		_ = c.Close() // as above
	}
}

// enter takes a connection, unless there are too many.
func (l *Listener) enter(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining || len(l.open) >= maxConnections {
		return false
	}
	l.open[c] = false
	return true
}

func (l *Listener) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// trusts reports whether reports from an address are believed.
func (l *Listener) trusts(remote net.Addr) bool {
	from := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if tcp, ok := remote.(*net.TCPAddr); ok {
		from = tcp.AddrPort().Addr().Unmap()
	}
	for _, p := range l.o.Trust {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

// door counts connections in.
type door struct {
	net.Listener
	l *Listener
}

func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		in := &conn{Conn: c, l: d.l, end: time.Now().Add(maxSession)}
		if d.l.enter(in) {
			return in, nil
		}
		_ = c.SetDeadline(time.Now().Add(time.Second)) // for who does not read, and then it does not matter
		_, _ = c.Write([]byte("421 4.3.2 Too many connections; come again later\r\n"))
		_ = c.Close()
	}
}

// conn is a connection that has an end.
type conn struct {
	net.Conn
	l   *Listener
	end time.Time
}

func (c *conn) SetReadDeadline(t time.Time) error {
	if t.IsZero() || t.After(c.end) {
		t = c.end
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) Close() error {
	c.l.leave(c)
	return c.Conn.Close()
}

// inner is our connection inside of a TLS one.
func inner(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	ours, _ := c.(*conn)
	return ours
}

// quiet logs what the library has to say, which is of broken connections mostly.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("returned mail: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (q quiet) Println(args ...any) { q.Printf("%s", fmt.Sprintln(args...)) }
