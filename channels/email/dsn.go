package email

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// The values of Config.DSN.
const (
	dsnOffered = "offered"
	dsnNever   = "never"
)

const (
	// maxORCPT is the longest original recipient, in octets as it is written (RFC 3461
	// section 4.2). One that would be longer is left out; the report names the final
	// recipient in any case.
	maxORCPT = 500

	// withoutDSN is how long a relay is not asked for reports once it has shown that
	// it offers them and does not know how to be asked.
	withoutDSN = time.Hour
)

func (s *settings) checkDSN() error {
	switch s.DSN {
	case "":
		s.DSN = dsnOffered
	case dsnOffered, dsnNever:
	default:
		return fmt.Errorf("dsn: %q is not one of %s, %s", clip(clean(s.DSN)), dsnOffered, dsnNever)
	}
	return nil
}

// appendReturn appends what MAIL says about reports: they need the headers only, and
// name the delivery by its key (RFC 3461 sections 4.3 and 4.4), which is [a-z0-9] and
// so is its own xtext.
func appendReturn(dst []byte, key string) []byte {
	return append(append(dst, " RET=HDRS ENVID="...), key...)
}

// appendNotify appends what RCPT says about them: whatever goes wrong or takes long,
// and for which recipient as we know it (RFC 3461 sections 4.1 and 4.2).
func appendNotify(dst []byte, to string) []byte {
	dst = append(dst, " NOTIFY=FAILURE,DELAY"...)
	before := len(dst)
	if dst = append(dst, " ORCPT="...); isASCII(to) {
		dst = appendXtext(append(dst, "rfc822;"...), to)
	} else {
		dst = appendUnitext(append(dst, "utf-8;"...), to)
	}
	if len(dst)-before > len(" ORCPT=")+maxORCPT {
		return dst[:before]
	}
	return dst
}

const upperHex = "0123456789ABCDEF"

// appendXtext is RFC 3461 section 4. s is ASCII.
func appendXtext(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c > ' ' && c <= '~' && c != '+' && c != '=' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '+', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// appendUnitext is utf-8-addr-unitext (RFC 6533 section 3): only for a relay with
// SMTPUTF8, as every one is that is asked to write to such an address.
func appendUnitext(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c > ' ' && c != 0x7f && c != '+' && c != '=' && c != '\\' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '\\', 'x', '{', upperHex[c>>4], upperHex[c&15], '}')
		}
	}
	return dst
}

// ask puts the same into the library's options.
func (j *job) ask(mail *smtp.MailOptions) *smtp.RcptOptions {
	if !j.dsn {
		return nil
	}
	mail.Return, mail.EnvelopeID = smtp.DSNReturnHeaders, j.key
	opts := &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyFailure, smtp.DSNNotifyDelayed}}
	if !strings.Contains(string(appendNotify(nil, j.to)), "ORCPT") {
		return opts
	}
	opts.OriginalRecipientType, opts.OriginalRecipient = smtp.DSNAddressTypeRFC822, j.to
	if !isASCII(j.to) {
		opts.OriginalRecipientType = smtp.DSNAddressTypeUTF8
	}
	return opts
}

// refusesDSN reports whether a relay seems not to understand the parameters, though it
// offers the extension. It may mean something else, and then says so again without them.
func refusesDSN(err error) bool {
	where, ok := errors.AsType[*stageError](err)
	r, answered := replyOf(err)
	if !ok || !answered || where.at != sender && where.at != recipient {
		return false
	}
	switch r.code {
	case 500, 501, 502, 504, 555: // RFC 5321 section 4.2.2 and 4.1.1.11
		return r.unspecific() || r.enhanced[1] == 5
	}
	return false
}

// fallsBack reports whether the message is to be offered once more, without asking for
// reports.
func (j *job) fallsBack(err error) bool {
	if !j.dsn || !refusesDSN(err) {
		return false
	}
	j.bare = true
	return true
}

// asksFor reports whether s asks for reports on the message. The caller holds the
// pool's lock.
func (s *session) asksFor(j *job, now time.Time) bool {
	return s.dsn && !j.bare && !now.Before(s.relay.bareUntil)
}

// noteBare learns from a message that went through without asking for reports, after
// it had not with. The caller holds the pool's lock.
func (p *pool) noteBare(r *relay, j *job, now time.Time) {
	if !j.bare || now.Before(r.bareUntil) {
		return
	}
	r.bareUntil = now.Add(withoutDSN)
	p.log.Warn("a mail relay offers delivery reports (DSN) and refuses to be asked for them; it is not asked for a while. "+
		"Mend the relay, or set dsn: never", "relay", r.address, "for", withoutDSN)
}
