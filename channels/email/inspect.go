package email

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"sitrep/channels"
)

// The steps of an inspection, in order.
const (
	stepConnection = "connection" // by name and port
	stepEncryption = "encryption" // TLS, and the certificate
	stepGreeting   = "greeting"   // EHLO, and what the relay offers
	stepLogin      = "login"      // AUTH
	stepSender     = "sender"     // MAIL with our own address
)

// Inspect implements channels.Inspector. It opens a session of its own with every
// relay, those that rest or are only for the worst included, one after the other.
func (c *Channel) Inspect(ctx context.Context) ([]channels.Finding, error) {
	var all []channels.Finding
	var errs []error
	for _, r := range c.pool.relays {
		found := c.inspect(ctx, r)
		all = append(all, found...)
		errs = append(errs, found[len(found)-1].Err) // Join leaves out nil
	}
	return all, errors.Join(errs...)
}

func (c *Channel) inspect(ctx context.Context, r *relay) []channels.Finding {
	s, err := r.dial(ctx)
	found := s.proven(err)
	m := c.envelope(c.settings.from.addr, probeKey) // the relay is not asked about the recipient
	last := channels.Finding{Step: s.failedAt(err)}
	if err == nil {
		last = channels.Finding{Step: stepSender}
		last.Detail, err = s.inspectSender(ctx, newJob(m))
		s.quit()
	}
	if err != nil {
		last.Detail, last.Err = "", r.explain(err, m)
	}
	found = append(found, last)
	for i := range found {
		found[i].Remote = r.address
	}
	return found
}

// proven is the steps that went well in opening the session, which ended with err.
func (s *session) proven(err error) (found []channels.Finding) {
	if s.wire == nil {
		return nil
	}
	found = append(found, channels.Finding{Step: stepConnection, Detail: "reached " + s.wire.RemoteAddr().String()})
	if s.client == nil {
		return found
	}
	found = append(found, s.encryption())
	if err == nil || stageOf(err) == loggingIn {
		found = append(found, channels.Finding{Step: stepGreeting, Detail: s.offer()})
	}
	if err == nil {
		found = append(found, channels.Finding{Step: stepLogin, Detail: s.login()})
	}
	return found
}

// failedAt is the step in which opening the session failed.
func (s *session) failedAt(err error) string {
	switch {
	case s.wire == nil:
		return stepConnection
	case s.client == nil:
		return stepEncryption
	case stageOf(err) == loggingIn:
		return stepLogin
	default:
		return stepGreeting
	}
}

// encryption is what TLS proved.
func (s *session) encryption() channels.Finding {
	f := channels.Finding{Step: stepEncryption, Detail: "none, as configured (tls: none)"}
	g, ok := s.conn.(*greeted)
	if !ok {
		return f
	}
	t, ok := g.Conn.(*tls.Conn)
	if !ok {
		return f
	}
	state := t.ConnectionState()
	leaf := state.PeerCertificates[0] // a server that shows none is not believed
	name := leaf.Subject.CommonName
	if len(leaf.DNSNames) > 0 {
		name = strings.Join(leaf.DNSNames, ", ")
	}
	f.Until = leaf.NotAfter
	f.Detail = fmt.Sprintf("%s, certificate of %s from %s, valid until %s", tls.VersionName(state.Version),
		clip(clean(name)), clip(clean(leaf.Issuer.String())), leaf.NotAfter.UTC().Format("2006-01-02"))
	return f
}

// offer is what is made of what the relay offers.
func (s *session) offer() string {
	reports := "delivery reports (DSN) not offered"
	switch {
	case s.dsn:
		reports = "delivery reports (DSN) asked for"
	case s.has("DSN"):
		reports = "delivery reports (DSN) offered, not asked for (dsn: never)"
	}
	return "messages go " + map[mode]string{
		single: "one by one (window: 1)", plain: "one by one (it offers no PIPELINING)", piped: "by PIPELINING", chunked: "by CHUNKING",
	}[s.mode] + "; " + reports
}

func (s *session) login() string {
	if s.auth == "" {
		return "none, as configured (no username)"
	}
	return "by " + s.auth
}

// inspectSender asks the relay about our own address and says how it was taken.
func (s *session) inspectSender(ctx context.Context, j *job) (string, error) {
	defer context.AfterFunc(ctx, s.abort)()
	detail := "<" + j.from + "> is accepted"
	j.dsn = s.dsn
	err := s.trySender(j)
	if j.fallsBack(err) {
		j.dsn = false
		detail += ", but not with a request for delivery reports, though DSN is offered; mend the relay, or set dsn: never"
		err = s.trySender(j)
	}
	return detail, withCause(ctx, err)
}

// trySender says MAIL and takes it back.
func (s *session) trySender(j *job) error {
	if j.utf8 && !s.utf8 {
		return at(sender, errNoUTF8)
	}
	j.refusal = nil
	r, err := s.ask(s.appendSender(s.out[:0], j))
	if err == nil {
		err = j.judge(sender, r)
	}
	if err == nil && j.refusal == nil {
		err = s.reset()
	}
	return cmp.Or(at(sender, err), j.refusal)
}
