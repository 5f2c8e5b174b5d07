package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"sitrep/channels/email"
	"sitrep/internal/maildns"
)

// dnsOptions are the flags of check that are about the DNS.
type dnsOptions struct {
	on        bool
	resolver  string
	sendsFrom []string
}

// dnsChecked is what the DNS says about one e-mail channel.
type dnsChecked struct {
	Channel  string            `json:"channel"`
	From     string            `json:"from"`
	Findings []maildns.Finding `json:"findings"`
}

// checkDNS asks the DNS about the sender of every e-mail channel.
func checkDNS(ctx context.Context, read *loaded, o dnsOptions) ([]dnsChecked, error) {
	var addresses []netip.Addr
	for _, s := range o.sendsFrom {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return nil, &coded{exitUsage, fmt.Errorf("--sends-from: %q is not an IP address", oneLine(s))}
		}
		addresses = append(addresses, ip)
	}
	var resolver maildns.Resolver = net.DefaultResolver
	if o.resolver != "" {
		address, err := resolverAddress(o.resolver)
		if err != nil {
			return nil, &coded{exitUsage, err}
		}
		resolver = maildns.At(address)
	}
	all := []dnsChecked{}
	for _, ch := range read.cfg.Channels {
		c, ok := read.channels[ch.ID].(*email.Channel)
		if !ok {
			continue
		}
		s := c.Sender()
		m := maildns.Mail{From: s.From, ReturnPath: s.ReturnPath, Relays: s.Relays, SendsFrom: addresses}
		for _, x := range s.Signatures {
			m.Keys = append(m.Keys, maildns.Key(x))
		}
		all = append(all, dnsChecked{Channel: ch.ID, From: s.From, Findings: maildns.Check(ctx, resolver, m)})
	}
	return all, ctx.Err()
}

// resolverAddress is a name server's host:port; the port is 53 where none is given.
func resolverAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), "53"
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
		return "", errors.New("--resolver: write the address of a name server, such as 192.0.2.53 or 127.0.0.1:5353")
	}
	return net.JoinHostPort(host, cmp.Or(port, "53")), nil
}

// dnsCode is the exit code that the findings deserve.
func dnsCode(all []dnsChecked) int {
	code := exitOK
	for _, d := range all {
		for _, f := range d.Findings {
			switch f.Level {
			case maildns.Wrong:
				return exitFailed
			case maildns.Trouble:
				code = exitPending
			case maildns.OK, maildns.Note, maildns.Unknown:
			}
		}
	}
	return code
}

func (a *app) printDNS(all []dnsChecked) {
	s := a.style(a.out)
	if len(all) == 0 {
		fmt.Fprintln(a.out, "There is no e-mail channel, so there is nothing to ask the DNS.")
	}
	marks := map[maildns.Level]string{
		maildns.OK: s.green("ok     "), maildns.Note: s.yellow("note   "), maildns.Unknown: s.dim("unknown"),
		maildns.Wrong: s.red("WRONG  "), maildns.Trouble: s.yellow("TROUBLE"),
	}
	for _, d := range all {
		fmt.Fprintf(a.out, "\n%s  mail from %s\n", s.bold(oneLine(d.Channel)), oneLine(d.From))
		for _, f := range d.Findings {
			fmt.Fprintf(a.out, "  %s  %-5s  %s  %s\n", marks[f.Level], f.Subject, oneLine(f.What), s.dim(oneLine(f.Name)))
			if f.Remedy != "" {
				fmt.Fprintf(a.out, "                  %s\n", oneLine(f.Remedy))
			}
			a.printRecords(f)
		}
	}
}

func (a *app) printRecords(f maildns.Finding) {
	if f.Level == maildns.Wrong && f.Record != "" {
		for r := range strings.SplitSeq(f.Record, "\n") {
			fmt.Fprintf(a.out, "                  now:     %s\n", oneLine(r))
		}
	}
	if f.Publish != "" {
		fmt.Fprintf(a.out, "                  publish: %s\n", oneLine(f.Publish))
	}
}
