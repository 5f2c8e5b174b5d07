package maildns

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// What section 4.6.4 of RFC 7208 allows a receiver's check of one message.
const (
	mostLookups = 10
	mostVoid    = 2
	mostMX      = 10 // names of one mx mechanism
)

// mostAsked bounds what we ask ourselves, for records that include each other.
const mostAsked = 40

// spfTree is a record and, by their domains, all that it includes or redirects to.
type spfTree struct {
	records map[string]record
	hosts   map[string][]netip.Addr // of a and mx, by kind and domain
	lookups int                     // at most, for any sending address
	void    []string                // names of a and mx without an address
	deep    bool                    // it is longer than we follow it
	err     error                   // the DNS did not answer
	broken  string                  // why receivers ignore it all
}

// spf judges the return path's record.
func (c *check) spf() {
	domain := c.mail.ReturnPath
	name := Finding{Subject: "SPF", Name: domain}
	all, err := c.txt(domain)
	if err != nil {
		c.trouble("SPF", domain, err)
		return
	}
	all = slices.DeleteFunc(all, func(s string) bool { return !isSPF(s) })
	c.noSPF = len(all) != 1
	switch len(all) {
	case 0:
		name.Level, name.What = Wrong, "There is no SPF record, so nobody can tell which servers may send mail for "+domain+"."
		name.Remedy = "Publish one. If a provider carries the mail, they say which include: to name instead."
		name.Publish = zoneLine(domain, spfVersion+" "+c.mechanisms()+" ~all")
		c.add(name)
	case 1:
		c.spfRecord(all[0])
	default:
		name.Level, name.Record = Wrong, strings.Join(all, "\n")
		name.What = fmt.Sprintf("There are %d SPF records, so receivers use none of them (RFC 7208 section 4.5).", len(all))
		name.Remedy, name.Publish = "Make one of them.", zoneLine(domain, merged(all))
		c.add(name)
	}
}

// mechanisms are what a record needs for what is known of the way the mail takes.
func (c *check) mechanisms() string {
	var all []string
	for _, a := range c.mail.SendsFrom {
		all = append(all, mechanism(a))
	}
	for _, host := range c.mail.Relays {
		a, err := netip.ParseAddr(host)
		switch {
		case len(c.mail.SendsFrom) > 0:
		case err != nil:
			all = append(all, "a:"+host)
		case public(a):
			all = append(all, mechanism(a))
		}
	}
	if len(all) == 0 {
		return "mx"
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

func mechanism(a netip.Addr) string {
	if a = a.Unmap(); a.Is4() {
		return "ip4:" + a.String()
	}
	return "ip6:" + a.String()
}

// public reports whether receivers can see mail come from an address.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

// merged is one record of several: every mechanism once, and the first "all" or redirect.
func merged(all []string) string {
	var terms []string
	end := ""
	for _, txt := range all {
		for word := range strings.FieldsSeq(txt[len(spfVersion):]) {
			bare := strings.ToLower(strings.TrimLeft(word, "+-~?"))
			switch {
			case bare == "all" || strings.HasPrefix(bare, "redirect="):
				if end == "" {
					end = word
				}
			case !slices.Contains(terms, word):
				terms = append(terms, word)
			}
		}
	}
	return strings.TrimSpace(spfVersion + " " + strings.Join(append(terms, end), " "))
}

// spfRecord judges the one record that there is.
func (c *check) spfRecord(txt string) {
	domain := c.mail.ReturnPath
	tree := &spfTree{records: map[string]record{}, hosts: map[string][]netip.Addr{}}
	tree.walk(c, domain, txt, 0)
	f := Finding{Subject: "SPF", Name: domain, Record: txt, Level: OK}
	switch {
	case tree.broken != "":
		f.Level, f.What = Wrong, "Receivers cannot use the record: "+tree.broken+"."
		f.Remedy = "Mend it: one mistake makes receivers ignore all of it (RFC 7208 section 4.6)."
	case tree.err != nil:
		c.trouble("SPF", domain, tree.err)
		return
	case tree.lookups > mostLookups || tree.deep:
		f.Level, f.What = Wrong, fmt.Sprintf("The record takes %s of receivers, and they stop after %d (RFC 7208 section 4.6.4).", number(tree.lookups, "lookup"), mostLookups)
		f.Remedy = "Take out includes that nobody sends by any more, or name their networks with ip4: and ip6:."
	case len(tree.void) > mostVoid:
		f.Level, f.What = Wrong, fmt.Sprintf("The record names %s that have no address, and receivers stop after %d (RFC 7208 section 4.6.4).", strings.Join(tree.void, ", "), mostVoid)
		f.Remedy = "Take them out."
	default:
		f.What = fmt.Sprintf("There is one record, and it takes %s of at most %d.", number(tree.lookups, "lookup"), mostLookups)
		c.ending(tree.records[domain], &f)
		if len(tree.void) > 0 && f.Level == OK {
			f.Level, f.What = Note, f.What+" It names "+strings.Join(tree.void, ", ")+", without an address."
			f.Remedy = "Take it out."
		}
	}
	c.add(f)
	if c.noSPF = f.Level == Wrong; !c.noSPF {
		c.senders(tree, txt)
	}
}

// ending judges what the record says of everybody else.
func (c *check) ending(r record, f *Finding) {
	for _, t := range r.terms {
		if t.kind != "all" {
			continue
		}
		if t.qualifier == '+' {
			f.Level, f.What = Wrong, "The record ends in +all: it lets everybody in the world send mail for this domain."
			f.Remedy = "Write -all or ~all."
		}
		if t.qualifier == '?' {
			f.Level, f.What = Note, f.What+" It ends in ?all, which says nothing about forgeries."
			f.Remedy = "Write ~all or -all once every sender is named."
		}
		return
	}
	if r.redirect == "" {
		f.Level, f.What = Note, f.What+" It has no all at its end, which says nothing about forgeries."
		f.Remedy = "Write ~all or -all at its end once every sender is named."
	}
}

// walk reads the record of a domain and of all that it refers to.
func (t *spfTree) walk(c *check, domain, txt string, depth int) {
	r, err := parseSPF(txt)
	if err != nil {
		t.broken = fmt.Sprintf("in the record of %s, %s", domain, err)
		return
	}
	t.records[domain] = r
	for _, m := range r.terms {
		if !m.looksUp() {
			continue
		}
		t.lookups++
		switch m.kind {
		case "include":
			t.follow(c, fold(m.domain), depth)
		case "a", "mx":
			t.resolve(c, m.kind, cmp.Or(fold(m.domain), domain))
		}
		if t.broken != "" || t.err != nil || t.deep {
			return
		}
	}
	if r.redirect != "" && !r.all() {
		t.lookups++
		t.follow(c, fold(r.redirect), depth)
	}
}

// follow reads the record of another domain.
func (t *spfTree) follow(c *check, domain string, depth int) {
	switch _, known := t.records[domain]; {
	case strings.Contains(domain, "%"): // it depends on the message
		return
	case known:
		// It is asked for again all the same, each time that it is named.
		t.lookups += t.inner(domain, 0)
		return
	case depth > mostLookups || t.lookups > mostAsked:
		t.deep = true
		return
	}
	all, err := c.txt(domain)
	if err != nil {
		t.err = err
		return
	}
	all = slices.DeleteFunc(all, func(s string) bool { return !isSPF(s) })
	if len(all) != 1 {
		t.broken = fmt.Sprintf("it refers to %s, which has %s", domain, number(len(all), "SPF record"))
		return
	}
	t.walk(c, domain, all[0], depth+1)
}

// inner is how many lookups a record that is known takes.
func (t *spfTree) inner(domain string, depth int) int {
	if depth > mostLookups {
		t.deep = true
		return 0
	}
	n, r := 0, t.records[domain]
	for _, m := range r.terms {
		if m.looksUp() {
			n++
		}
		if m.kind == "include" {
			n += t.inner(fold(m.domain), depth+1)
		}
		if n > mostAsked || t.deep {
			t.deep = true
			return n
		}
	}
	if r.redirect != "" && !r.all() {
		n += 1 + t.inner(fold(r.redirect), depth+1)
	}
	return n
}
