package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sitrep/internal/secret"
)

// Bounces is how `sitrep serve` receives returned mail. Its zero value: not at all. It
// is read once, at the start.
type Bounces struct {
	Channel string // id of the channel whose mail comes back; empty: none

	Listen            string // host:port, or "unix:" and an absolute path; empty: nowhere
	LMTP              bool   // instead of SMTP
	CertFile, KeyFile string // absolute; both or none. For STARTTLS
	Trust             []netip.Prefix

	IMAP Mailbox
}

// Mailbox is one that returned mail lands in. Its zero value is none.
type Mailbox struct {
	Address  string // host:port; empty: there is none
	TLS      string // implicit, starttls or none
	CAFile   string // absolute; empty: the system's authorities
	User     string
	Password secret.String
	Mailbox  string
	Done     string // where messages are moved that were read; empty: nowhere
	Delete   bool   // they are deleted
	Poll     time.Duration
	Trusted  bool
}

type rawBounces struct {
	Channel  text        `yaml:"channel" doc:"The e-mail channel whose messages come back: its bounces.address and key are used."`
	Listen   text        `yaml:"listen" doc:"Where your mail server hands over what is for the bounce address: host:port, or unix:PATH. It takes nothing else and passes nothing on. Default: nowhere."`
	Protocol protocol    `yaml:"protocol" doc:"How your mail server speaks to it. Default: smtp."`
	CertFile string      `yaml:"tls_cert_file" doc:"Certificate chain (PEM), for STARTTLS. It is read again when it changes. Default: no TLS."`
	KeyFile  string      `yaml:"tls_key_file" doc:"The certificate's private key (PEM)."`
	Trust    []text      `yaml:"trust" doc:"Networks whose reports are believed though the channel has no bounces.key, and so nothing proves them. A socket is 127.0.0.1. Default: none."`
	IMAP     *rawMailbox `yaml:"imap" doc:"A mailbox to read returned mail from, instead or as well. Default: none."`
}

type rawMailbox struct {
	Address  text          `yaml:"address" doc:"The server, host:port. Default port: 993, or 143 without implicit TLS."`
	TLS      mailTLS       `yaml:"tls" doc:"implicit, starttls (required, never optional), or none for a server on this machine. Default: implicit."`
	CAFile   string        `yaml:"ca_file" doc:"Certificates (PEM) to trust instead of the system's."`
	User     string        `yaml:"user" doc:"Who logs in."`
	Password secret.String `yaml:"password" doc:"With which password."`
	Mailbox  string        `yaml:"mailbox" doc:"Which mailbox is read. Default: INBOX."`
	Done     string        `yaml:"done" doc:"A mailbox to move messages to that were read. Default: they stay, marked as seen."`
	Delete   bool          `yaml:"delete" doc:"Delete messages that were read, instead. Default: false."`
	Poll     time.Duration `yaml:"poll" doc:"How often to look where the server does not tell by itself. Default: 1m."`
	Trusted  bool          `yaml:"trusted" doc:"Believe what lands in the mailbox though the channel has no bounces.key. Anybody can write to it. Default: false."`
}

type protocol struct{ text }

func (protocol) words() []string { return []string{"smtp", "lmtp"} }

type mailTLS struct{ text }

func (mailTLS) words() []string { return []string{"implicit", "starttls", "none"} }

func (rawBounces) required() []string { return []string{"channel"} }
func (rawMailbox) required() []string { return []string{"address", "user"} }

// placer finds where a key of a stanza stands.
type placer func(keys ...string) position

func (d *decoder) placer(root *yaml.Node, stanza ...string) placer {
	return func(keys ...string) position {
		for all := slices.Concat(stanza, keys); len(all) > 0; all = all[:len(all)-1] {
			if n := d.lookup(root, all); n != nil {
				return at(n)
			}
		}
		return position{Line: 1}
	}
}

// bounces comes after the channels.
func (c *Config) bounces(d *decoder, r *rawBounces, root *yaml.Node) {
	if r == nil {
		return
	}
	place := d.placer(root, "bounces")
	c.Bounces = Bounces{
		Channel: r.Channel.Value, Listen: r.Listen.Value, LMTP: r.Protocol.Value == "lmtp", CertFile: r.CertFile, KeyFile: r.KeyFile,
	}
	c.bounceChannel(d, r, place)
	c.bounceListen(d, r, place)
	if r.IMAP != nil {
		c.Bounces.IMAP = d.mailbox(r.IMAP, d.placer(root, "bounces", "imap"))
	} else if r.Listen.At == (position{}) {
		d.problem(place(), "In `bounces` there is neither `listen` nor `imap`, so nothing can come back.",
			"Write `listen: 127.0.0.1:2525`, or `imap` with address, user and password_file.")
	}
}

func (c *Config) bounceChannel(d *decoder, r *rawBounces, place placer) {
	if r.Channel.At == (position{}) {
		d.problem(place(), "`bounces` has no `channel`.", "Write the id of the e-mail channel whose messages come back.")
		return
	}
	var mail []string
	for _, ch := range c.Channels {
		if ch.Kind == "email" {
			mail = append(mail, ch.ID)
		}
	}
	if !slices.Contains(mail, r.Channel.Value) {
		d.problem(r.Channel.At, "There is no e-mail channel "+r.Channel.Shown+", and only mail comes back.", didYouMean(r.Channel.Value, mail))
	}
}

func (c *Config) bounceListen(d *decoder, r *rawBounces, place placer) {
	given := r.Listen.At != (position{})
	path, isUnix := strings.CutPrefix(r.Listen.Value, unixPrefix)
	switch _, _, err := net.SplitHostPort(r.Listen.Value); {
	case !given && (r.Protocol.At != (position{}) || r.CertFile+r.KeyFile != "" || len(r.Trust) > 0):
		d.problem(place(), "In `bounces`, `protocol`, `trust` and `tls_cert_file` are of no use without `listen`.", "Write `listen: 127.0.0.1:2525`, or remove them.")
	case !given:
	case isUnix && strings.TrimSpace(path) == "":
		d.problem(r.Listen.At, "`listen` names a socket without a path.", "Write it like unix:/run/sitrep/bounces.sock.")
	case isUnix:
		c.Bounces.Listen = unixPrefix + d.abs(path)
	case err != nil:
		d.problem(r.Listen.At, "`listen` must be host:port or unix:PATH, not "+r.Listen.Shown+".", "Write it like 127.0.0.1:2525.")
	}
	if p := r.Protocol; p.At != (position{}) && !slices.Contains(p.words(), p.Value) {
		d.problem(p.At, "`protocol` must be smtp or lmtp, not "+p.Shown+".", didYouMean(p.Value, p.words()))
	}
	if (r.CertFile == "") != (r.KeyFile == "") {
		d.problem(place("tls_cert_file"), "`tls_cert_file` and `tls_key_file` need each other.", "Give both, or none for no TLS.")
	}
	for _, t := range r.Trust {
		c.trust(d, t)
	}
}

// trust takes a network, or a single address.
func (c *Config) trust(d *decoder, t text) {
	p, err := netip.ParsePrefix(t.Value)
	if a, single := netip.ParseAddr(t.Value); single == nil {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil {
		d.problem(t.At, "`trust` must hold networks, and "+t.Shown+" is none.", "Write it like 192.0.2.0/24.")
		return
	}
	c.Bounces.Trust = append(c.Bounces.Trust, p.Masked())
}

func (d *decoder) mailbox(r *rawMailbox, place placer) Mailbox {
	m := Mailbox{
		TLS: r.TLS.Value, CAFile: r.CAFile, User: r.User, Password: r.Password, Mailbox: r.Mailbox,
		Done: r.Done, Delete: r.Delete, Poll: r.Poll, Trusted: r.Trusted,
	}
	if m.TLS == "" {
		m.TLS = "implicit"
	}
	host, port, err := net.SplitHostPort(r.Address.Value)
	if err != nil {
		host, port = strings.Trim(r.Address.Value, "[]"), "993"
		if m.TLS != "implicit" {
			port = "143"
		}
	}
	if host != "" {
		m.Address = net.JoinHostPort(host, port)
	}
	for _, x := range []struct {
		wrong        bool
		key          string
		what, remedy string
	}{
		{host == "", "address", "has no `address`", "Write the server, such as imap.example.com:993."},
		{m.User == "", "user", "has no `user`", "Write who logs in."},
		{m.Password.Empty(), "password_file", "has no `password`", "Name a file that holds it with `password_file`."},
		{!slices.Contains(r.TLS.words(), m.TLS), "tls", "has a `tls` that is none of implicit, starttls and none", didYouMean(m.TLS, r.TLS.words())},
		{m.TLS == "none" && !loopback(host), "tls", "would send the password over the network for everybody to read", "Leave `tls` out, or write `tls: starttls`."},
		{m.Done != "" && m.Delete, "delete", "has both `done` and `delete`", "Keep one of them."},
		{r.Poll < 0 || r.Poll > 0 && r.Poll < time.Second, "poll", "has a `poll` of less than a second", "Leave it out for 1m."},
	} {
		if x.wrong {
			d.problem(place(x.key), fmt.Sprintf("In `bounces`, `imap` %s.", x.what), x.remedy)
		}
	}
	if r.CAFile != "" {
		if _, _, err := readSmall(r.CAFile, maxSecret); err != nil {
			d.problem(place("ca_file"), "`ca_file` cannot be used: "+reason(d.display(r.CAFile), err)+".", fileRemedy(err))
		}
	}
	return m
}
