package maildns

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// resolve looks up the addresses that an a or mx mechanism stands for.
func (t *spfTree) resolve(c *check, kind, domain string) {
	key := kind + " " + domain
	if _, known := t.hosts[key]; known || strings.Contains(domain, "%") {
		return
	}
	hosts := []string{domain}
	if kind == "mx" {
		all, err := c.dns.LookupMX(c.ctx, domain+".")
		if err != nil && !absent(err) {
			t.err = err
			return
		}
		if len(all) > mostMX {
			t.broken = fmt.Sprintf("%s has %d MX, and receivers look at no more than %d", domain, len(all), mostMX)
			return
		}
		hosts = nil
		for _, x := range all {
			hosts = append(hosts, fold(x.Host))
		}
	}
	t.hosts[key] = nil
	for _, host := range hosts {
		all, err := c.addresses(host)
		if err != nil {
			t.err = err
			return
		}
		t.hosts[key] = append(t.hosts[key], all...)
	}
	if len(t.hosts[key]) == 0 {
		t.void = append(t.void, domain)
	}
}

// addresses are those of a host; none if there is no such name.
func (c *check) addresses(host string) ([]netip.Addr, error) {
	all, err := c.dns.LookupNetIP(c.ctx, "ip", host+".")
	if absent(err) {
		return nil, nil
	}
	for i := range all {
		all[i] = all[i].Unmap()
	}
	return all, err
}

// The results of section 2.6 of RFC 7208 that can come out here. Unsure is ours: a
// mechanism could not be followed, and it decides.
const (
	pass     = "pass"
	fail     = "fail"
	softfail = "softfail"
	neutral  = "neutral"
	unsure   = "unsure"
)

// eval is what the record of a domain says of an address.
func (t *spfTree) eval(domain string, ip netip.Addr, depth int) string {
	r, known := t.records[domain]
	if !known || depth > mostLookups {
		return unsure
	}
	result, open := neutral, false
	if r.redirect != "" {
		result = t.eval(fold(r.redirect), ip, depth+1)
	}
	for _, m := range r.terms {
		hit, told := t.matches(m, domain, ip, depth)
		open = open || !told
		if hit {
			result = map[byte]string{'+': pass, '-': fail, '~': softfail, '?': neutral}[m.qualifier]
			break
		}
	}
	if open && result != pass {
		return unsure
	}
	return result
}

// matches reports whether a mechanism means an address, and whether that can be told.
func (t *spfTree) matches(m term, domain string, ip netip.Addr, depth int) (hit, told bool) {
	switch m.kind {
	case "all":
		return true, true
	case "ip4", "ip6":
		return m.prefix.Contains(ip), true
	case "include":
		inner := t.eval(fold(m.domain), ip, depth+1)
		return inner == pass, inner != unsure
	case "a", "mx":
		bits := m.six
		if ip.Is4() {
			bits = m.four
		}
		all, known := t.hosts[m.kind+" "+cmp.Or(fold(m.domain), domain)]
		return slices.ContainsFunc(all, func(a netip.Addr) bool {
			p, err := a.Prefix(min(bits, a.BitLen()))
			return err == nil && p.Contains(ip)
		}), known
	}
	return false, false // ptr and exists depend on more than the address
}

// senders judges the addresses that the mail comes from, as far as they are known.
func (c *check) senders(t *spfTree, txt string) {
	domain := c.mail.ReturnPath
	for _, ip := range c.mail.SendsFrom {
		c.add(c.sender(t, txt, ip.Unmap()))
	}
	if len(c.mail.SendsFrom) > 0 {
		return
	}
	for _, host := range c.mail.Relays {
		f := Finding{Subject: "SPF", Name: domain, Level: Unknown}
		all, err := c.hostAddresses(host)
		if err != nil {
			c.trouble("SPF", host, err)
			continue
		}
		var outside, failing []string
		for _, ip := range all {
			if public(ip) {
				outside = append(outside, ip.String())
				if t.eval(domain, ip, 0) != pass {
					failing = append(failing, ip.String())
				}
			}
		}
		switch {
		case len(outside) == 0:
			f.What = "From which address " + host + " passes mail on cannot be told from here: none that receivers can see is known of it."
		case len(failing) == 0:
			f.Level, f.What = OK, "The relay "+host+" passes ("+strings.Join(outside, ", ")+")."
		default:
			f.What = "The record does not let the relay " + host + " pass at " + strings.Join(failing, ", ") + ". That is well only if it passes mail on from other addresses."
		}
		if f.Level == Unknown {
			f.Remedy = "Find the address in the Received lines of a mail that arrived, and check it: --sends-from ADDRESS."
		}
		c.add(f)
	}
}

func (c *check) hostAddresses(host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	return c.addresses(fold(host))
}

// sender judges an address that the mail is known to come from.
func (c *check) sender(t *spfTree, txt string, ip netip.Addr) Finding {
	f := Finding{Subject: "SPF", Name: c.mail.ReturnPath}
	switch result := t.eval(c.mail.ReturnPath, ip, 0); result {
	case pass:
		f.Level, f.What = OK, "Mail from "+ip.String()+" passes."
	case unsure:
		f.Level, f.What = Unknown, "Whether mail from "+ip.String()+" passes depends on more than the address (exists, ptr or a macro in the record)."
	default:
		f.Level, f.What = Wrong, "Mail from "+ip.String()+" does not pass: the record says "+result+"."
		f.Remedy, f.Publish = "Let it pass, if the address is yours.", zoneLine(c.mail.ReturnPath, spfVersion+" "+mechanism(ip)+txt[len(spfVersion):])
	}
	return f
}
