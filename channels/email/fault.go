package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"regexp"
	"strings"
	"time"

	"sitrep/channels"
)

// greylistWait is how long to wait where a relay puts a first-time sender off and
// does not say how long: what the common greylisting programs are set to.
const greylistWait = 5 * time.Minute

var (
	tooMuch  = regexp.MustCompile(`(?i)too (?:many|much)|rate.?limit|throttl|connections? limit|sending rate|(?:rate|quota|limit)[\w ]{0,20} exceeded|exceeded[\w ,]{0,40} (?:limit|quota|rate)|unusual rate`)
	tooBad   = regexp.MustCompile(`(?i)too many (?:errors|invalid|hops|bad|unknown|recipients)`)
	greylist = regexp.MustCompile(`(?i)gr[ae]y.?list`)
)

// classify decides what a relay's answer means for the delivery and the channel, and
// how long to wait.
//
//	said                                       means
//	530, 534, 535, 538; 5xx while logging in   Unauthorized
//	5xx before any transaction (blocked)       Unauthorized
//	MAIL refused: 5.1.7, 5.1.8, 5.7.x,
//	  or 550, 551, 553, 554 without a reason   Unauthorized: our own address is the trouble
//	5.4.5 (sending quota)                      RateLimited
//	421 4.7.x, or 4xx that speaks of too much  RateLimited, unless about one mailbox
//	other 4xx                                  Unavailable
//	450 or 451 with 4.7.x, or "greylist"       Unavailable, in five minutes or as asked
//	5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10;
//	  550, 551 or 553 at RCPT without a reason NoRecipient
//	any other 5xx (5.2.2 full, 5.3.4 too big,
//	  5.7.x policy, …)                         Rejected
//	anything else (a 3xx where none belongs)   Ambiguous after the message, else Unavailable
func classify(at stage, r reply) (channels.Fault, time.Duration) {
	switch r.class() {
	case 4:
		return temporary(at, r)
	case 5:
		return permanent(at, r)
	}
	if at == answering {
		return channels.Ambiguous, 0
	}
	return channels.Unavailable, 0
}

func temporary(at stage, r reply) (channels.Fault, time.Duration) {
	ofMailbox := r.enhanced[1] == 1 || r.enhanced[1] == 2
	switch {
	case !ofMailbox && isTooMuch(r):
		return channels.RateLimited, r.asked()
	case at >= recipient && isGreylisting(r):
		if wait := r.asked(); wait > 0 {
			return channels.Unavailable, wait
		}
		return channels.Unavailable, greylistWait
	}
	return channels.Unavailable, r.asked()
}

// isTooMuch reports whether the relay objects to how much we send, and not to what,
// or to whom: those are about one session or one message.
func isTooMuch(r reply) bool {
	if r.is(5, 3) || tooBad.MatchString(r.text) && !r.is(7, 1) {
		return false
	}
	return r.code == 421 && r.enhanced[1] == 7 || tooMuch.MatchString(r.text)
}

func isGreylisting(r reply) bool {
	return (r.code == 450 || r.code == 451) && (r.enhanced[1] == 7 || greylist.MatchString(r.text))
}

func permanent(at stage, r reply) (channels.Fault, time.Duration) {
	switch {
	case r.code == 530 || r.code == 534 || r.code == 535 || r.code == 538, at < sender:
		return channels.Unauthorized, 0
	case r.is(4, 5):
		return channels.RateLimited, r.asked()
	case at == sender && refusesSender(r):
		return channels.Unauthorized, 0
	case at >= recipient && refusesRecipient(at, r):
		return channels.NoRecipient, 0
	}
	return channels.Rejected, 0
}

func refusesSender(r reply) bool {
	if r.unspecific() {
		return r.code == 550 || r.code == 551 || r.code == 553 || r.code == 554
	}
	return r.is(1, 7) || r.is(1, 8) || r.enhanced[1] == 7
}

func refusesRecipient(at stage, r reply) bool {
	if r.unspecific() {
		return at == recipient && (r.code == 550 || r.code == 551 || r.code == 553)
	}
	return r.is(1, 1) || r.is(1, 2) || r.is(1, 3) || r.is(1, 6) || r.is(1, 10)
}

// explain makes the fault of whatever ended an attempt.
func (e *endpoint) explain(err error, m letter) error {
	where := opening
	if staged, ok := errors.AsType[*stageError](err); ok {
		where = staged.at
	}
	over, isOver := errors.AsType[*overError](err)
	if r, ok := replyOf(err); ok && !isOver {
		return e.explainReply(where, r, m)
	}
	relay := e.address
	if errors.Is(err, errBusy) {
		return channels.Errorf(channels.Unavailable, "%w (%s, max_sessions: %d), and the attempt ended before one was free: %w",
			errBusy, relay, e.maxSessions, over.cause)
	}
	if errors.Is(err, errCrowded) {
		return channels.Errorf(channels.Unavailable, "%w (%s, max_sessions: %d, within %s); it is slower than what it is given: raise max_sessions, or lower workers",
			errCrowded, relay, e.maxSessions, e.connectTimeout+e.commandTimeout)
	}
	err = e.harmless(err)
	if where == answering {
		return channels.Errorf(channels.Ambiguous,
			"%s was sent the whole message for <%s>, but its answer did not come, so it may have arrived: %w", relay, m.to, err)
	}
	if isOver {
		return channels.Errorf(channels.Unavailable, "%s while %s: %w", inWords(over.cause), doing(where, relay), e.harmless(over))
	}
	if errors.Is(err, errNoUTF8) {
		return channels.Errorf(channels.Rejected, "%s cannot be asked to write to <%s>: %w", relay, m.to, err)
	}
	if fault, advice := ofOperator(err); fault != "" {
		return channels.Errorf(fault, "%s cannot be used: %w%s", relay, err, advice)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return channels.Errorf(channels.Unavailable, "%s did not answer in time while %s: %w", relay, doing(where, relay), err)
	}
	return channels.Errorf(channels.Unavailable, "the connection failed while %s: %w", doing(where, relay), err)
}

func (e *endpoint) explainReply(at stage, r reply, m letter) error {
	fault, wait := classify(at, r)
	what, advice := inSentence(at, fault, r, m)
	r.text = e.show(r.text)
	return &channels.Error{
		Fault: fault, RetryAfter: wait,
		Err: fmt.Errorf("%s %s: %w%s", e.address, what, r, advice),
	}
}

// inSentence is the predicate of "the relay …" and what to do about it.
func inSentence(at stage, f channels.Fault, r reply, m letter) (what, advice string) {
	switch {
	case f == channels.RateLimited:
		return "asks us to send less at a time", ""
	case f == channels.Ambiguous:
		return "answered the message for <" + m.to + "> in a way that says neither yes nor no", ""
	case f == channels.Unauthorized && at == loggingIn:
		return "refused the login", "; check username, password or token, and auth"
	case f == channels.Unauthorized && r.code == 530:
		return "wants a login or encryption first", "; check username and tls"
	case f == channels.Unauthorized && at == sender:
		return "refused our own address <" + m.from + ">", "; check from (and bounces, if that is what it says), and whether this login may send as it"
	case f == channels.Unauthorized:
		return "refuses to take mail from here", "; ask its operator whether this machine may use it"
	}
	verb := "refused"
	if f == channels.Unavailable {
		verb = "put off"
	}
	switch at {
	case opening, loggingIn:
		return verb + " the session", ""
	case sender:
		return verb + " a message from <" + m.from + ">", ""
	case recipient:
		if r.enhanced[1] == 7 && strings.Contains(strings.ToLower(r.text), "relay") {
			advice = "; it passes nothing on for us: check username and password, or host"
		}
		return verb + " the recipient <" + m.to + ">", advice
	default:
		return verb + " the message for <" + m.to + ">", ""
	}
}

// doing is what was under way.
func doing(at stage, relay string) string {
	switch at {
	case opening:
		return "opening a session with " + relay
	case loggingIn:
		return "logging in to " + relay
	case sender, recipient:
		return "asking " + relay + " to take the message"
	default:
		return "sending the message to " + relay
	}
}

func inWords(cause error) string {
	switch {
	case errors.Is(cause, errConnectTimeout):
		return "connect_timeout was over"
	case errors.Is(cause, context.DeadlineExceeded):
		return "the attempt's time was over"
	default:
		return "the attempt was called off"
	}
}

// harmless replaces what could carry a relay's words, and so an echoed credential,
// into the error's chain.
func (e *endpoint) harmless(err error) error {
	if over, ok := errors.AsType[*overError](err); ok {
		return over.cause
	}
	if p, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return errors.New(e.show(p.Error()))
	}
	return err
}

// ofOperator recognises what stays wrong until the operator mends it, and says how.
func ofOperator(err error) (channels.Fault, string) {
	_, ofCA := errors.AsType[*caError](err)
	_, ofAuth := errors.AsType[*authError](err)
	_, ofCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	alert, hasOp := errors.AsType[*net.OpError](err)
	lookup, ofName := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, errNoSTARTTLS), ofCA, ofAuth:
		return channels.Unauthorized, ""
	case ofCertificate:
		return channels.Unauthorized, "; name its authority in ca_file, or the name it is made out to in server_name"
	case noTLS:
		return channels.Unauthorized, "; this port does not begin with TLS: correct it (usually 465), or set tls: starttls"
	case hasOp && (alert.Op == "remote error" || alert.Op == "local error"), isTLSText(err):
		return channels.Unauthorized, "; TLS 1.2 or later is needed, with a common cipher"
	case ofName && lookup.IsNotFound:
		return channels.Unavailable, "; check the name in host"
	}
	return "", ""
}

// isTLSText recognises crypto/tls's errors that have no type, such as the one for an old
// version.
func isTLSText(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.HasPrefix(err.Error(), "tls: ") {
			return true
		}
	}
	return false
}
