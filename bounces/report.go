package bounces

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"sitrep/channels"
)

// Kind is what a message is, or what it says of one recipient.
type Kind string

// The kinds. The set is closed.
const (
	Failure   Kind = "failure"    // it was returned: nobody tries any more
	Delay     Kind = "delay"      // it did not arrive yet, and is still being tried
	AutoReply Kind = "auto_reply" // a machine answered: absence, read receipt, challenge
	Other     Kind = "other"      // anything else, success and complaints included
)

// Report is what a message that came back says.
type Report struct {
	Kind Kind
	Form string // how it was recognised, for people: "rfc3464", "exim", "absence"

	// To is whom the message says it was delivered to or written to, most reliable
	// first: for where the envelope is not known.
	To []string `json:",omitempty"`

	EnvelopeID string      `json:",omitempty"` // ENVID of the returned message
	MessageID  string      `json:",omitempty"` // of the returned message, with its angle brackets
	Recipients []Recipient `json:",omitempty"` // what it says of each; of some forms none
}

// Recipient is what a report says of one recipient.
type Recipient struct {
	Kind     Kind
	Address  string         `json:",omitempty"` // the one that failed in the end
	Original string         `json:",omitempty"` // the one that was written to, if they differ or it is said
	Status   string         `json:",omitempty"` // RFC 3463, "5.1.1"
	Fault    channels.Fault // NoRecipient, Rejected or Unavailable; empty for success
	Gone     bool           `json:",omitempty"` // there is no such address, so it can be suppressed
	Detail   string         `json:",omitempty"` // why, for people, in the remote side's words
}

// The most that is looked at.
const (
	maxRead       = 1 << 20 // bytes of a message
	maxRecipients = 100
	maxReason     = 400 // bytes of a remote side's words
	maxAddress    = 320
)

// Read reads a message. It reads no more than a megabyte of r; what is cut off there
// was the returned message's. The error is r's.
func Read(r io.Reader) (Report, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxRead))
	if err != nil {
		return Report{}, fmt.Errorf("read a returned message: %w", err)
	}
	return read(raw), nil
}

func read(raw []byte) Report {
	budget := maxParts
	m := parse(raw, 0, &budget)
	var rep Report
	switch {
	case m.isReport("disposition-notification"):
		rep = Report{Kind: AutoReply, Form: "receipt"}
	case m.isReport("feedback-report"):
		rep = Report{Kind: Other, Form: "complaint"}
	default:
		rep = readBounce(m)
	}
	rep.To = m.header.recipients()
	if rep.MessageID == "" && (rep.Kind == Failure || rep.Kind == Delay) {
		rep.MessageID = returnedID(m)
	}
	return rep
}

// readBounce tries the standard first, for reports say that they are automatic too.
func readBounce(m entity) Report {
	if status := m.find("message/delivery-status", "message/global-delivery-status"); status != nil {
		return readStatus(status.body)
	}
	if rep, ok := readText(m); ok {
		return rep
	}
	if form := autoReply(m); form != "" {
		return Report{Kind: AutoReply, Form: form}
	}
	return Report{Kind: Other, Form: "mail"}
}

// worst is the kind of a whole report.
func worst(all []Recipient) Kind {
	kind := Other
	for _, r := range all {
		if r.Kind == Failure {
			return Failure
		}
		if r.Kind == Delay {
			kind = Delay
		}
	}
	return kind
}

// recipients are the addresses in the fields by which mail servers say where they
// delivered a message, and then those it was written to.
func (h header) recipients() []string {
	var all []string
	for _, key := range []string{"delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to", "to"} {
		for _, value := range h[key] {
			for _, a := range anyAddress.FindAllString(value, maxRecipients) {
				if len(a) <= maxAddress && len(all) < maxRecipients {
					all = append(all, a)
				}
			}
		}
	}
	return all
}

// anyAddress finds what looks like an address in a text.
var anyAddress = regexp.MustCompile(addressPattern)

var messageID = regexp.MustCompile(`<[^\s<>@]+@[^\s<>@]+>`)

// returnedID is the Message-ID of the message that a report returns: in a part of its
// own, or at the end of the text.
func returnedID(m entity) string {
	if inner := m.find("message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers"); inner != nil && len(inner.parts) > 0 {
		return cut(messageID.FindString(inner.parts[0].header.get("message-id")), maxAddress)
	}
	for line := range strings.Lines(m.text()) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(key), "message-id") {
			return cut(messageID.FindString(clean(value)), maxAddress)
		}
	}
	return ""
}

// cut drops what is too long to be true.
func cut(s string, most int) string {
	if len(s) > most {
		return ""
	}
	return s
}
