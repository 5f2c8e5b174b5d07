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
	_ channels.Channel   = (*Channel)(nil)
	_ channels.Prober    = (*Channel)(nil)
	_ channels.Inspector = (*Channel)(nil)
	_ channels.Closer    = (*Channel)(nil)
)

// Channel sends mail through its relays. It is safe for concurrent use.
type Channel struct {
	settings settings
	now      func() time.Time
	log      *slog.Logger
	builder  builder
	returns  *stamp // of return paths
	leaves   *stamp // of unsubscribe tokens
	pool     *pool
	id       string // the channel's
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
		settings: s, now: env.Now, log: env.Log, id: env.ID,
		returns: returnStamp(s.Bounces.Key), leaves: leaveStamp(s.Unsubscribe.Key),
		builder: builder{from: s.from, replyTo: s.replyTo, replyTos: s.replyTos, domain: s.MessageIDDomain, signed: len(s.signers) > 0},
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.pool = newPool(s, c.log, c.dial)
	return c, nil
}

// Spec implements channels.Channel. An ambiguous delivery is sent again: the second
// copy has the same Message-ID, so most mail programs and many servers show one.
//
// Timeout follows from the stanza's own time-outs, 20m30s by default: a message waits for
// a session for at most connect_timeout + command_timeout, so that from then on the
// relay has command_timeout for the recipient and submission_timeout for its last
// word, however many wait (RFC 5321 section 4.5.3.2).
func (c *Channel) Spec() channels.Spec {
	return channels.Spec{
		Format:    channels.FormatEmail,
		Limits:    channels.Limits{HTMLBytes: gmailClip},
		Threads:   true,
		Ambiguous: channels.ResendAmbiguous,
		Workers:   c.settings.workers(),
		Timeout:   c.settings.timeout(),
	}
}

// Send implements channels.Channel. Success means that the relay has taken the
// message; a later bounce is another matter.
func (c *Channel) Send(ctx context.Context, e channels.Envelope) (channels.Receipt, error) {
	m, err := c.compose(e)
	if err != nil {
		return channels.Receipt{}, err
	}
	r := c.pool.do(ctx, m)
	if r.err != nil {
		return channels.Receipt{}, r.relay.explain(r.err, m)
	}
	return channels.Receipt{RemoteID: queueID(r.relay.show(r.answer)), Thread: m.thread.with(m.id)}, nil
}

// Probe implements channels.Prober: everything up to the relay's word on the
// recipient (connection, TLS, login, MAIL, RCPT), then RSET. Nothing is sent. Many
// relays take any recipient of a domain that is not theirs and bounce later. It uses the
// sessions that Send uses.
func (c *Channel) Probe(ctx context.Context, r channels.Recipient) error {
	addr, err := parseAddress(r.Address)
	if err != nil {
		return &channels.Error{Fault: channels.NoRecipient, Err: err}
	}
	m := c.envelope(addr, probeKey)
	if done := c.pool.do(ctx, m); done.err != nil {
		return done.relay.explain(done.err, m)
	}
	return nil
}

// Close implements channels.Closer: it says goodbye on all sessions, for at most two
// seconds.
func (c *Channel) Close() error {
	c.pool.close()
	return nil
}

func (c *Channel) dial(ctx context.Context, r *relay) (*session, error) {
	start := time.Now()
	s, err := r.dial(ctx)
	if err == nil {
		c.log.DebugContext(ctx, "mail session opened", "relay", r.address, "mode", s.mode.String(), "took", time.Since(start))
	}
	return s, err
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
	m := c.envelope(addr, e.Key)
	m.id = "<" + e.Key + "@" + c.settings.MessageIDDomain + ">"
	m.tail = c.builder.tail(e.Message, e.List)
	date := e.Accepted
	if date.IsZero() {
		date = c.now()
	}
	m.thread = parseThread(e.Thread, m.id, date)
	h := head{date: c.builder.date(date), id: m.id, to: party{clean(e.To.Name), addr}, leave: c.leave(e), thread: m.thread}
	if m.head, err = sign(c.settings.signers, h.append(make([]byte, 0, headRoom)), m.tail.signable, date.Unix()); err != nil {
		return letter{}, &channels.Error{Fault: channels.Unauthorized, Err: err}
	}
	return m, nil
}

// headRoom is enough for the headers of one recipient in a short thread, unsigned.
const headRoom = 512

// leave is the URL with which the recipient unsubscribes, or empty: our own people
// are told in any case, and so is who is to be told by contract.
func (c *Channel) leave(e channels.Envelope) string {
	u := c.settings.Unsubscribe
	if u.URL == "" || e.Required || e.Audience == "" || e.Audience == "internal" {
		return ""
	}
	return string(c.leaves.appendToken([]byte(u.URL), c.id, e.To.Address))
}

// probeKey is what a probe has instead of a delivery's key: no delivery's, and of the
// same form.
const probeKey = "probe"

// envelope is the part of a letter that MAIL and RCPT are about.
func (c *Channel) envelope(to address, key string) letter {
	return letter{from: c.returnPath(key).spec, to: to.spec, key: key, utf8: c.settings.from.addr.utf8 || to.utf8}
}

// checkEnvelope refuses what the dispatcher never sends: a message of another
// format, one without its text, a key that is none.
func checkEnvelope(e channels.Envelope) error {
	switch {
	case e.Message.Format != channels.FormatEmail:
		return fmt.Errorf("the message is made for %q, not for mail", e.Message.Format)
	case strings.TrimSpace(e.Message.Text) == "":
		return errors.New("the message has no text part; check the template for mail")
	case !isKey(e.Key):
		return fmt.Errorf("the delivery's key %q cannot be a Message-ID", e.Key)
	}
	return nil
}

func notKey(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }
