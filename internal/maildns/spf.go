package maildns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// term is a mechanism of an SPF record (RFC 7208 section 5).
type term struct {
	qualifier byte   // + - ~ ?
	kind      string // all, include, a, mx, ptr, ip4, ip6 or exists
	domain    string // or empty: the record's own
	prefix    netip.Prefix
	four, six int // prefix lengths of a and mx
}

// record is an SPF record.
type record struct {
	terms    []term
	redirect string
}

// all reports whether the record says something of everybody; a redirect is then of no
// use (section 6.1).
func (r record) all() bool {
	return slices.ContainsFunc(r.terms, func(t term) bool { return t.kind == "all" })
}

const spfVersion = "v=spf1"

// isSPF reports whether a TXT record is an SPF record (section 4.5).
func isSPF(txt string) bool {
	return strings.EqualFold(txt, spfVersion) || len(txt) > len(spfVersion) && strings.EqualFold(txt[:len(spfVersion)+1], spfVersion+" ")
}

// parseSPF reads a record. A mistake in it makes receivers ignore the whole record
// (section 4.6), so the first is enough.
func parseSPF(txt string) (record, error) {
	var r record
	if !isSPF(txt) {
		return r, errors.New("it does not begin with v=spf1")
	}
	if len(txt) > mostRecord {
		return r, fmt.Errorf("it is longer than %d KiB", mostRecord>>10)
	}
	seen := map[string]bool{}
	for word := range strings.FieldsSeq(txt[len(spfVersion):]) {
		if name, value, ok := modifier(word); ok {
			name = strings.ToLower(name)
			if (name == "redirect" || name == "exp") && seen[name] {
				return r, fmt.Errorf("%s= is there twice", name)
			}
			if seen[name] = true; name == "redirect" {
				r.redirect = value
			}
			if value == "" && (name == "redirect" || name == "exp") {
				return r, fmt.Errorf("%s= names no domain", name)
			}
			continue
		}
		t, err := parseTerm(word)
		if err != nil {
			return r, fmt.Errorf("%q: %w", shorten(word), err)
		}
		r.terms = append(r.terms, t)
	}
	return r, nil
}

// modifier splits name=value. A mechanism may have an = too, behind its colon.
func modifier(word string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(word, "=")
	return name, value, ok && tagName(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

func parseTerm(word string) (term, error) {
	t := term{qualifier: '+', four: 32, six: 128}
	if strings.ContainsRune("+-~?", rune(word[0])) {
		t.qualifier, word = word[0], word[1:]
	}
	end := strings.IndexAny(word, ":/")
	if end < 0 {
		end = len(word)
	}
	t.kind = strings.ToLower(word[:end])
	rest := word[end:]
	switch t.kind {
	case "all":
		if rest != "" {
			return t, errors.New("all takes nothing behind it")
		}
		return t, nil
	case "ip4", "ip6":
		return t, t.address(strings.TrimPrefix(rest, ":"))
	case "a", "mx":
		return t, t.cidr(rest)
	case "include", "exists", "ptr":
		t.domain = strings.TrimPrefix(rest, ":")
		if t.kind != "ptr" && t.domain == "" || strings.HasPrefix(rest, "/") || rest == ":" {
			return t, errors.New("it needs a domain behind a colon")
		}
		return t, macros(t.domain)
	}
	return t, errors.New("there is no such mechanism")
}

func (t *term) address(s string) error {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, notOne := netip.ParseAddr(s)
		if notOne != nil {
			return errors.New("it is not an address or a network")
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4() != (t.kind == "ip4") || p.Addr().Zone() != "" || p.Addr().Is4In6() {
		return errors.New("it is an address of another kind")
	}
	t.prefix = p.Masked()
	return nil
}

// cidr reads [:domain][/n][//m].
func (t *term) cidr(rest string) error {
	domain, lengths, some := rest, "", false
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		domain, lengths, some = rest[:i], rest[i:], true
	}
	if domain == ":" {
		return errors.New("it needs a domain behind the colon")
	}
	t.domain = strings.TrimPrefix(domain, ":")
	if some {
		four, six, both := strings.Cut(lengths, "//")
		if four != "" {
			if err := prefixLength(four[1:], 32, &t.four); err != nil {
				return err
			}
		}
		if both {
			if err := prefixLength(six, 128, &t.six); err != nil {
				return err
			}
		}
	}
	return macros(t.domain)
}

func prefixLength(s string, most int, into *int) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most || strconv.Itoa(n) != s {
		return fmt.Errorf("%q is not the length of a network's prefix", shorten(s))
	}
	*into = n
	return nil
}

// macros checks the form of macros (section 7.1): %% %_ %- and %{…}.
func macros(s string) error {
	for {
		_, rest, found := strings.Cut(s, "%")
		if !found {
			return nil
		}
		if strings.HasPrefix(rest, "%") || strings.HasPrefix(rest, "_") || strings.HasPrefix(rest, "-") {
			s = rest[1:]
			continue
		}
		body, after, closed := strings.Cut(rest, "}")
		if !closed || len(body) < 2 || body[0] != '{' || !strings.ContainsRune("slodiphcrtvSLODIPHCRTV", rune(body[1])) {
			return errors.New("a % does not begin a macro")
		}
		s = after
	}
}

// looksUp reports whether a receiver has to ask the DNS for a term (section 4.6.4).
func (t term) looksUp() bool { return t.kind != "all" && t.kind != "ip4" && t.kind != "ip6" }
