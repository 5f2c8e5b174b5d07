package email

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// The limits of RFC 5321 section 4.5.3.1, in octets.
const (
	maxLocal = 64
	maxAddr  = 254 // a path of 256 without its angle brackets
)

// address is a mail address that is safe in a header and in a command.
type address struct {
	spec   string // local@domain, the domain in ASCII
	domain string
	utf8   bool // the local part is not ASCII: SMTPUTF8 is needed
}

// CheckAddress says what is wrong with an address in a distribution list, or nil.
// It takes a bare addr-spec of RFC 5321 with the extensions of RFC 6531: a local
// part of letters, digits and atext characters (of any script) or in quotes, and a
// fully qualified domain (internationalised ones included), localhost, or an IP
// address in brackets. It does no I/O: whether the address exists only the relay
// can say.
func CheckAddress(s string) error {
	_, err := parseAddress(s)
	return err
}

func parseAddress(s string) (address, error) {
	at := strings.LastIndexByte(s, '@')
	switch {
	case s == "":
		return address{}, errors.New("the address is empty; write one like alice@example.com")
	case !utf8.ValidString(s):
		return address{}, fmt.Errorf("the address %q is not valid UTF-8", s)
	case at <= 0 || at == len(s)-1:
		return address{}, fmt.Errorf("%q is not a mail address; write one like alice@example.com", s)
	}
	local, domain := s[:at], s[at+1:]
	if err := checkLocal(local); err != nil {
		return address{}, fmt.Errorf("%q is not a mail address: %w", s, err)
	}
	ascii, err := mailDomain(domain)
	if err != nil {
		return address{}, fmt.Errorf("%q is not a mail address: %w", s, err)
	}
	spec := s
	if ascii != domain {
		spec = local + "@" + ascii
	}
	if len(spec) > maxAddr {
		return address{}, fmt.Errorf("the address is %d octets long, mail allows %d", len(spec), maxAddr)
	}
	return address{spec: spec, domain: ascii, utf8: !isASCII(local)}, nil
}

// checkLocal checks a Local-part: a Dot-string or a Quoted-string.
func checkLocal(s string) error {
	if len(s) > maxLocal {
		return fmt.Errorf("the part before the @ is %d octets long, mail allows %d", len(s), maxLocal)
	}
	if s[0] == '"' {
		return checkQuoted(s)
	}
	dot := true // as if after one
	for _, r := range s {
		switch {
		case r == '.' && dot:
			return errors.New("a dot begins the part before the @, or follows another")
		case r != '.' && !isAtext(r):
			return fmt.Errorf("%q cannot be in the part before the @", r)
		}
		dot = r == '.'
	}
	if dot {
		return errors.New("a dot ends the part before the @")
	}
	return nil
}

func checkQuoted(s string) error {
	bad := errors.New("the quotes in the part before the @ are not right")
	if len(s) < 3 || s[len(s)-1] != '"' { // an empty one is nobody's, and not everybody reads it
		return bad
	}
	for inner := s[1 : len(s)-1]; inner != ""; inner = inner[1:] {
		if inner[0] == '\\' && len(inner) > 1 {
			inner = inner[1:]
		} else if inner[0] == '"' || inner[0] == '\\' {
			return bad
		}
		if inner[0] < ' ' || inner[0] > '~' {
			return errors.New("only plain ASCII can be in quotes before the @")
		}
	}
	return nil
}

// isAtext reports whether r is atext (RFC 5322 section 3.2.3) or, as RFC 6531 section
// 3.3 adds, a letter, mark, digit or symbol beyond ASCII.
func isAtext(r rune) bool {
	switch {
	case r >= utf8.RuneSelf:
		return r != utf8.RuneError && unicode.IsGraphic(r) && !unicode.IsSpace(r)
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return true
	}
	return strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// mailDomain checks the part after the @ and returns it in ASCII.
func mailDomain(s string) (string, error) {
	if isLiteral(s) {
		return s, nil
	}
	ascii, err := hostName(s)
	if err != nil {
		return "", err
	}
	if !strings.Contains(ascii, ".") && !strings.EqualFold(ascii, "localhost") {
		return "", fmt.Errorf("the domain %q has no dot; mail needs the full name, such as %s.example.com", s, s)
	}
	return ascii, nil
}

// isLiteral reports whether s is an address literal: [192.0.2.1] or [IPv6:2001:db8::1].
func isLiteral(s string) bool {
	if len(s) < 2 || s[0] != '[' || s[len(s)-1] != ']' {
		return false
	}
	inner, six := strings.CutPrefix(s[1:len(s)-1], "IPv6:")
	ip, err := netip.ParseAddr(inner)
	return err == nil && ip.Zone() == "" && ip.Is6() == six
}

// hostName checks a host or domain name and returns it in ASCII (punycode).
func hostName(s string) (string, error) {
	if isLDH(s) {
		return s, nil // nothing to convert: the case of nearly every address
	}
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))
	ascii, err := profile.ToASCII(s)
	if err != nil || !isLDH(strings.ReplaceAll(strings.ToLower(ascii), "xn--", "xx--")) {
		return "", fmt.Errorf("%q is not a domain name", s)
	}
	return ascii, nil
}

// isLDH reports whether s is a domain name of letters, digits and hyphens (RFC 1123
// section 2.1) with no punycode in it, which needs a closer look.
func isLDH(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if c := s[i] | 0x20; s[i] != '-' && (s[i] < '0' || s[i] > '9') && (c < 'a' || c > 'z') {
				return false
			}
			continue
		}
		label := s[start:i]
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if len(label) > 4 && strings.EqualFold(label[:4], "xn--") {
			return false
		}
		start = i + 1
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
