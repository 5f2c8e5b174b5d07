package email

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"sitrep/channels"
)

// gmailClip is where Gmail cuts an HTML mail off and hides the rest behind a link.
const gmailClip = 102_000

var (
	_ channels.Channel = (*Channel)(nil)
	_ channels.Prober  = (*Channel)(nil)
	_ channels.Closer  = (*Channel)(nil)
)

// Channel sends mail through one relay. It is safe for concurrent use.
type Channel struct {
	settings settings
	now      func() time.Time
	log      *slog.Logger
	builder  builder
	pool     *pool
	redact   *strings.Replacer
}

// Kind is the entry for the list of channels.
func Kind() channels.Kind {
	return channels.Kind{New: New, Config: Config{}, Address: CheckAddress}
}

// New makes a channel of its stanza, a [Config], and reports every mistake in it at
// once. It opens no connection.
func New(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var cfg Config
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	s, err := cfg.check()
	if err != nil {
		return nil, err
	}
	c := &Channel{
		settings: s, now: env.Now, log: env.Log, redact: s.redactor(),
		builder: builder{from: s.from, replyTo: s.replyTo},
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.pool = newPool(c.dial, s)
	return c, nil
}

// Spec implements channels.Channel. An ambiguous delivery is sent again: the second
// copy has the same Message-ID, so most mail programs and many servers show one.
func (c *Channel) Spec() channels.Spec {
	return channels.Spec{
		Format:    channels.FormatEmail,
		Limits:    channels.Limits{HTMLBytes: gmailClip},
		Threads:   true,
		Ambiguous: channels.ResendAmbiguous,
		Workers:   c.settings.MaxSessions,
	}
}

// Send implements channels.Channel. Success means that the relay has taken the
// message; a later bounce is another matter.
func (c *Channel) Send(ctx context.Context, e channels.Envelope) (channels.Receipt, error) {
	m, err := c.compose(e)
	if err != nil {
		return channels.Receipt{}, err
	}
	s, err := c.begin(ctx, m)
	if err != nil {
		return channels.Receipt{}, c.explain(err, m)
	}
	answer, err := s.finish(m)
	err = withCause(ctx, err)
	s.note(err)
	c.pool.put(s)
	if err != nil {
		return channels.Receipt{}, c.explain(err, m)
	}
	return channels.Receipt{RemoteID: queueID(c.show(answer)), Thread: m.head.thread.with(m.head.id)}, nil
}

// Probe implements channels.Prober: everything up to the relay's word on the
// recipient (connection, TLS, login, MAIL, RCPT), then RSET. Nothing is sent. Many
// relays take any recipient of a domain that is not theirs and bounce later.
func (c *Channel) Probe(ctx context.Context, r channels.Recipient) error {
	addr, err := parseAddress(r.Address)
	if err != nil {
		return &channels.Error{Fault: channels.NoRecipient, Err: err}
	}
	m := c.envelope(addr)
	s, err := c.begin(ctx, m)
	if err != nil {
		return c.explain(err, m)
	}
	s.note(withCause(ctx, s.reset()))
	c.pool.put(s)
	return nil
}

// Close implements channels.Closer: it says goodbye on all sessions, for at most two
// seconds.
func (c *Channel) Close() error {
	c.pool.close()
	return nil
}

func (c *Channel) dial(ctx context.Context) (*session, error) {
	start := time.Now()
	s, err := c.settings.dial(ctx)
	if err == nil {
		c.log.DebugContext(ctx, "mail session opened", "relay", c.settings.address, "took", time.Since(start))
	}
	return s, err
}

// begin gets a session to the point where the relay has accepted the recipient.
func (c *Channel) begin(ctx context.Context, m letter) (*session, error) {
	s, reused, err := c.pool.get(ctx)
	if err != nil {
		return nil, err
	}
	err = s.begin(m)
	if reused && isStale(err) && ctx.Err() == nil {
		// The relay closed the session while nobody used it. Nothing of this message
		// was sent, so a new session now is still the same attempt.
		if s, err = c.pool.replace(ctx, s); err != nil {
			return nil, err
		}
		err = s.begin(m)
	}
	if err = withCause(ctx, err); err != nil {
		s.note(err)
		c.pool.put(s)
		return nil, err
	}
	return s, nil
}

// isStale reports whether a used session turned out to be over at the first command:
// the connection is gone, or the relay's 421 for being idle was waiting in it.
func isStale(err error) bool {
	where, ok := errors.AsType[*stageError](err)
	if !ok || where.at != sender || errors.Is(err, errNoUTF8) {
		return false
	}
	r, answered := replyOf(err)
	return !answered || r.code == 421
}

// compose makes the message, or says why it cannot be one.
func (c *Channel) compose(e channels.Envelope) (letter, error) {
	if err := checkEnvelope(e); err != nil {
		return letter{}, &channels.Error{Fault: channels.Rejected, Err: err}
	}
	addr, err := parseAddress(e.To.Address)
	if err != nil {
		return letter{}, &channels.Error{Fault: channels.NoRecipient, Err: err}
	}
	m := c.envelope(addr)
	id := "<" + e.Key + "@" + c.settings.MessageIDDomain + ">"
	m.head = head{date: e.Accepted, id: id, to: party{clean(e.To.Name), addr}, thread: parseThread(e.Thread, id)}
	if m.head.date.IsZero() {
		m.head.date = c.now()
	}
	m.tail = c.builder.tail(e.Message)
	return m, nil
}

// envelope is the part of a letter that MAIL and RCPT are about.
func (c *Channel) envelope(to address) letter {
	from := c.settings.from.addr
	return letter{from: from.spec, to: to.spec, utf8: from.utf8 || to.utf8}
}

// checkEnvelope refuses what the dispatcher never sends: a message of another
// format, one without its text, a key that is none.
func checkEnvelope(e channels.Envelope) error {
	switch {
	case e.Message.Format != channels.FormatEmail:
		return fmt.Errorf("the message is made for %q, not for mail", e.Message.Format)
	case strings.TrimSpace(e.Message.Text) == "":
		return errors.New("the message has no text part; check the template for mail")
	case e.Key == "" || len(e.Key) > maxLocal || strings.ContainsFunc(e.Key, notKey):
		return fmt.Errorf("the delivery's key %q cannot be a Message-ID", e.Key)
	}
	return nil
}

func notKey(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }
