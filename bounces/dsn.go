package bounces

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"sitrep/channels"
	"sitrep/ledger"
)

// readStatus reads the body of a message/delivery-status (RFC 3464) or
// message/global-delivery-status (RFC 6533): groups of fields, the first of the whole
// message, one for each recipient after it. Some programs write only one group.
func readStatus(body []byte) Report {
	rep := Report{Form: "rfc3464"}
	var whole header
	for len(body) > 0 && len(rep.Recipients) < maxRecipients {
		var group header
		group, body = readHeader(body)
		if len(group) == 0 {
			continue
		}
		if whole == nil {
			whole = group
			rep.EnvelopeID = cut(group.get("original-envelope-id"), maxAddress)
		}
		if ofRecipient(group) {
			rep.Recipients = append(rep.Recipients, readGroup(group, whole))
		}
	}
	rep.Kind = worst(rep.Recipients)
	return rep
}

func ofRecipient(group header) bool {
	return group.get("final-recipient")+group.get("original-recipient")+group.get("action") != ""
}

func readGroup(g, whole header) Recipient {
	words := diagnosis(g)
	r := Recipient{
		Address: typedAddress(g.get("final-recipient")), Original: typedAddress(g.get("original-recipient")),
		Status: readStatusField(g.get("status")),
	}
	r.Kind = action(g.get("action"), r.Status)
	switch r.Kind {
	case Failure:
		c := classify(r.Status, words)
		r.Status, r.Fault, r.Gone = string(c.status), c.fault, c.gone
	case Delay:
		r.Fault = channels.Unavailable
	case AutoReply, Other:
		return r
	}
	r.Detail = inWords(r, words, by(g, whole), g.get("will-retry-until"))
	return r
}

// action is what became of a recipient (RFC 3464 section 2.3.3). Without the field, which
// has to be there, the status says it.
func action(field, status string) Kind {
	word, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(field)), " ")
	switch {
	case word == "failed":
		return Failure
	case word == "delayed":
		return Delay
	case word == "" && strings.HasPrefix(status, "5"):
		return Failure
	case word == "" && strings.HasPrefix(status, "4"):
		return Delay
	}
	return Other // delivered, relayed, expanded
}

// diagnosis is the words of the server that refused, without their type ("smtp;").
func diagnosis(g header) string {
	s := g.get("diagnostic-code")
	if _, said, ok := strings.Cut(s, ";"); ok && !strings.Contains(s[:len(s)-len(said)], " ") {
		s = said
	}
	return brief(s)
}

// by is the name of the server that said it, as far as it is known.
func by(g, whole header) string {
	for _, field := range []string{g.get("remote-mta"), whole.get("reporting-mta")} {
		if _, name, ok := strings.Cut(field, ";"); ok && strings.TrimSpace(name) != "" {
			return brief(name)
		}
	}
	return ""
}

// inWords is the reason, for people.
func inWords(r Recipient, words, by, until string) string {
	said := words
	switch {
	case said == "" && r.Status != "":
		said = "status " + r.Status
	case said == "":
		said = "no reason was given"
	}
	if by != "" {
		said = by + ": " + said
	}
	if r.Kind == Failure {
		return "returned: " + said
	}
	if until != "" {
		return fmt.Sprintf(ledger.NotYet+", tried until %s: %s", brief(until), said)
	}
	return ledger.NotYet + ": " + said
}

var unicodeEscape = regexp.MustCompile(`\\x\{([0-9A-Fa-f]{1,6})\}`)

// typedAddress is the address of "rfc822; alice@example.com", or of a utf-8 one with its
// escapes (RFC 6533 section 3) undone.
func typedAddress(field string) string {
	kind, address, ok := strings.Cut(field, ";")
	if !ok {
		kind, address = "", field
	}
	address = strings.Trim(strings.TrimSpace(address), "<>")
	if strings.EqualFold(strings.TrimSpace(kind), "utf-8") {
		address = unicodeEscape.ReplaceAllStringFunc(address, func(s string) string {
			n, err := strconv.ParseUint(s[3:len(s)-1], 16, 32)
			if err != nil || !utf8.ValidRune(rune(n)) {
				return "\uFFFD"
			}
			return string(rune(n))
		})
	}
	return cut(clean(address), maxAddress)
}

var xtext = regexp.MustCompile(`\+[0-9A-F]{2}`)

// same reports whether a reported address is one that we wrote to. Some programs leave
// the original recipient in xtext (RFC 3461 section 4), as it was in ORCPT; most fold
// case, and domains come as Unicode or punycode.
func same(reported, address string) bool {
	if reported == "" || address == "" {
		return false
	}
	decoded := xtext.ReplaceAllStringFunc(reported, func(s string) string {
		n, _ := strconv.ParseUint(s[1:], 16, 8) // two hexadecimal digits
		return string([]byte{byte(n)})
	})
	want := folded(address)
	return folded(reported) == want || folded(decoded) == want
}

func folded(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return strings.ToLower(address)
	}
	domain, err := idna.Lookup.ToASCII(address[at+1:])
	if err != nil {
		domain = address[at+1:]
	}
	return strings.ToLower(address[:at] + "@" + domain)
}
