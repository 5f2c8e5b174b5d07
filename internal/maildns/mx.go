package maildns

import (
	"fmt"
	"strings"
)

// mx judges whether returned mail can come back to the return path's domain.
func (c *check) mx() {
	domain := c.mail.ReturnPath
	f := Finding{Subject: "MX", Name: domain, Level: OK}
	all, err := c.dns.LookupMX(c.ctx, domain+".")
	if err != nil && !absent(err) {
		c.trouble("MX", domain, err)
		return
	}
	var hosts []string
	for _, x := range all {
		if host := fold(x.Host); host != "" {
			hosts = append(hosts, host)
		}
	}
	switch {
	case len(hosts) > 0:
		f.Record = strings.Join(hosts, "\n")
		c.reachable(&f, hosts)
	case len(all) > 0:
		f.Level, f.What = Wrong, domain+" takes no mail (null MX, RFC 7505), so what is returned is lost, and many receivers refuse a sender like that."
		f.Remedy = "Have mail return to a domain that takes it, or publish the server that does."
	default:
		c.implicit(&f)
	}
	if f.Level == Wrong && len(hosts) == 0 {
		f.Publish = fmt.Sprintf("%s. IN MX 10 mail.%s.", domain, domain)
	}
	c.add(f)
}

// reachable judges the servers by their names: at least one must have an address.
func (c *check) reachable(f *Finding, hosts []string) {
	var without []string
	for _, host := range hosts[:min(len(hosts), mostMX)] {
		all, err := c.addresses(host)
		if err != nil {
			f.Level, f.What, f.Remedy = Trouble, "The DNS did not answer for "+host+".", "Try again."
			return
		}
		if len(all) == 0 {
			without = append(without, host)
		}
	}
	switch {
	case len(without) == len(hosts):
		f.Level, f.What = Wrong, "None of the servers for returned mail has an address: "+strings.Join(without, ", ")+"."
		f.Remedy = "Give them addresses, or publish others."
	case len(without) > 0:
		f.Level, f.What = Note, "Returned mail can come back, but not to "+strings.Join(without, ", ")+", without an address."
		f.Remedy = "Give it an address, or take it out."
	default:
		f.What = "Returned mail can come back, to " + strings.Join(hosts, ", ") + "."
	}
}

// implicit judges a domain without MX: its own address takes the mail (RFC 5321 section
// 5.1).
func (c *check) implicit(f *Finding) {
	all, err := c.addresses(f.Name)
	switch {
	case err != nil:
		f.Level, f.What, f.Remedy = Trouble, "The DNS did not answer for "+f.Name+".", "Try again."
	case len(all) == 0:
		f.Level, f.What = Wrong, f.Name+" has neither MX nor address, so what is returned is lost, and receivers refuse a sender like that."
		f.Remedy = "Publish the server that takes its mail, or have mail return to a domain that takes it."
	default:
		f.Level, f.What = Note, f.Name+" has no MX, so returned mail goes to its own address, "+all[0].String()+"."
		f.Remedy = "Publish the server that takes its mail."
	}
}
