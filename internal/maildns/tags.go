package maildns

import (
	"fmt"
	"strings"
)

// tag is one of a tag=value list.
type tag struct{ name, value string }

// tags is a list of RFC 6376 section 3.2, which DKIM and DMARC records are. Names are
// as written; white space around and, in the values, at both ends is gone.
type tags []tag

// mostRecord bounds what is read of a record, in bytes. A TXT record may have 64 KiB.
const mostRecord = 16 << 10

func parseTags(s string) (tags, error) {
	if len(s) > mostRecord {
		return nil, fmt.Errorf("it is longer than %d KiB", mostRecord>>10)
	}
	var all tags
	parts := strings.Split(s, ";")
	for i, part := range parts {
		part = strings.Trim(part, " \t\r\n")
		if part == "" {
			if i == len(parts)-1 {
				break
			}
			return nil, fmt.Errorf("a semicolon follows another")
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimRight(name, " \t\r\n")
		switch {
		case !ok:
			return nil, fmt.Errorf("%q is not tag=value", shorten(part))
		case !tagName(name):
			return nil, fmt.Errorf("%q is not the name of a tag", shorten(name))
		case all.has(name):
			return nil, fmt.Errorf("the tag %s is there twice", name)
		}
		all = append(all, tag{name, strings.TrimLeft(value, " \t\r\n")})
	}
	return all, nil
}

func tagName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || (r < '0' || r > '9') && r != '_') {
			return false
		}
	}
	return s != ""
}

func (t tags) has(name string) bool {
	for _, x := range t {
		if x.name == name {
			return true
		}
	}
	return false
}

func (t tags) get(name, preset string) string {
	for _, x := range t {
		if x.name == name {
			return x.value
		}
	}
	return preset
}

// words are the parts of a value that colons separate.
func words(value string) []string {
	var all []string
	for w := range strings.SplitSeq(value, ":") {
		all = append(all, strings.ToLower(strings.TrimSpace(w)))
	}
	return all
}

// shorten bounds foreign text in a sentence.
func shorten(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
