package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"os"
	"slices"
	"strings"

	"sitrep/bounces"
	"sitrep/channels"
	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

// returner is a channel whose messages can come back.
type returner interface {
	BounceAddress() string // empty: they come back to whom they are from
	ReadReturnPath(address string) (delivery string, ok bool)
	ReadMessageID(id string) (delivery string, ok bool)
}

// checkReturns says what of a channel's stanza does not fit to `bounces`.
func checkReturns(b config.Bounces, ch config.Channel, c channels.Channel) error {
	if b.Channel != ch.ID {
		return nil
	}
	r, ok := c.(returner)
	if !ok {
		return errors.New("it is named in `bounces`, and nothing can come back on it")
	}
	proven, trusted := r.BounceAddress() != "", len(b.Trust) > 0 || b.IMAP.Trusted
	switch {
	case !proven && !trusted:
		return errors.New("bounces: missing, though `bounces` at the top receives what comes back: without a key nothing proves a report. " +
			"Write `bounces: {address: bounces@example.com, key_file: …}` here")
	case proven && trusted:
		return errors.New("bounces: a report to a return path proves itself by the key, and no other is believed: remove `trust` and `trusted` from `bounces` at the top")
	}
	return nil
}

// returning is the channel whose mail comes back, as it is now.
func (d *daemon) returning() returner {
	x, _ := d.now.Load().channel(d.started.Bounces.Channel)
	r, _ := x.channel.(returner)
	return r
}

// newReceiver is nil if nothing is to be received. d.now is set.
func (d *daemon) newReceiver(cfg *config.Config) (*bounces.Receiver, error) {
	if cfg.Bounces.Channel == "" {
		return nil, nil
	}
	book, ok := d.ledger.(ledger.Bouncer)
	if !ok {
		return nil, &coded{exitConfig, fmt.Errorf("ledger %s: this kind cannot record what comes back", cfg.Ledger)}
	}
	o := bounces.Options{
		Ledger: book, Channel: cfg.Bounces.Channel, Address: d.returning().BounceAddress(),
		ReadMessageID: func(id string) (string, bool) {
			r := d.returning()
			if r == nil {
				return "", false
			}
			return r.ReadMessageID(id)
		},
		Required: d.isRequired, OnBounce: d.cameBack, Now: d.a.now, Log: d.log,
	}
	if o.Address != "" {
		o.ReadReturnPath = func(address string) (string, bool) {
			r := d.returning()
			if r == nil {
				return "", false
			}
			return r.ReadReturnPath(address)
		}
		return bounces.New(o)
	}
	var err error
	if o.Address, err = senderOf(cfg); err != nil {
		return nil, err
	}
	return bounces.New(o)
}

// senderOf is the address that the channel's mail is from.
func senderOf(cfg *config.Config) (string, error) {
	ch, _ := cfg.Channel(cfg.Bounces.Channel)
	c, _, err := mailStanza(ch)
	if err != nil {
		return "", err
	}
	a, err := mail.ParseAddress(c.From)
	if err != nil {
		return "", fmt.Errorf("from: %w", err)
	}
	return a.Address, nil
}

// isRequired reports whether a delivery's recipient is to be told by contract, as the
// configuration is now.
func (d *daemon) isRequired(x ledger.Delivery) bool {
	of := func(r incident.Recipient) bool {
		return r.Required && r.Channel == x.Channel && strings.EqualFold(r.Address, x.To.Address)
	}
	for _, p := range d.now.Load().cfg.Customers {
		if p.ID == x.Customer && slices.ContainsFunc(p.Lists, func(l incident.List) bool { return slices.ContainsFunc(l.To, of) }) {
			return true
		}
	}
	return false
}

// cameBack counts what was heard, and tells the readers of events of what has changed.
func (d *daemon) cameBack(h bounces.Heard) {
	d.metrics.CameBack(h.Channel, string(h.Verdict))
	if h.Verdict != bounces.HeardFailure || !h.Changed {
		return
	}
	x := h.Delivery
	d.metrics.Bounced(x.Customer, x.Channel, h.Was == ledger.Delivered, h.Required)
	d.server.Event(dispatcher.Event{
		Kind: dispatcher.EventSettled, At: x.Settled, Update: x.Update, Incident: x.Incident, Customer: x.Customer,
		Channel: x.Channel, Key: x.Key, To: x.To, Attempt: x.Attempts, Outcome: x.Outcome, Fault: x.Fault, Detail: x.Detail,
	})
}

// listenForMail opens the address for returned mail. It is nil if there is none.
func (d *daemon) listenForMail(ctx context.Context) (*listener, error) {
	b := d.started.Bounces
	if d.receiver == nil || b.Listen == "" {
		return nil, nil
	}
	o := bounces.ListenOptions{Receiver: d.receiver, Name: hostname(), LMTP: b.LMTP, Trust: b.Trust, Log: d.log}
	if b.CertFile != "" {
		certs, err := loadCertificate("bounces", b.CertFile, b.KeyFile, d.log)
		if err != nil {
			return nil, &coded{exitConfig, err}
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.get}
	}
	var l *listener
	var err error
	if path, ok := strings.CutPrefix(b.Listen, "unix:"); ok {
		l, err = openSocket(ctx, path)
	} else {
		l = &listener{}
		l.Listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", b.Listen)
	}
	if err != nil {
		return nil, fmt.Errorf("bounces: cannot listen on %s: %w. Choose another address in bounces.listen", b.Listen, err)
	}
	l.mail = bounces.NewListener(o)
	d.log.Info("listening for returned mail", "address", l.Addr().String(), "network", l.Addr().Network(), "lmtp", b.LMTP, "tls", o.TLS != nil)
	return l, nil
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// fetchMail reads the mailbox until ctx is done.
func (d *daemon) fetchMail(ctx context.Context) {
	m := d.started.Bounces.IMAP
	if d.receiver == nil || m.Address == "" {
		return
	}
	o := bounces.FetchOptions{
		Receiver: d.receiver, Address: m.Address, Security: bounces.Security(m.TLS), User: m.User, Password: m.Password,
		Mailbox: m.Mailbox, Done: m.Done, Delete: m.Delete, Poll: m.Poll, Trusted: m.Trusted, Log: d.log,
	}
	o.Duty, _ = d.ledger.(ledger.Duty)
	if m.CAFile != "" {
		pem, err := os.ReadFile(m.CAFile)
		roots := x509.NewCertPool()
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			d.log.Error("bounces.imap.ca_file holds no certificates: returned mail is not read; correct it and restart", "file", m.CAFile, "error", err)
			return
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	d.log.Info("reading returned mail", "server", m.Address)
	bounces.NewFetcher(o).Run(ctx)
}

// returnKinds are what the metrics count of mail that comes back.
func returnKinds() []string {
	var all []string
	for _, v := range bounces.Verdicts() {
		all = append(all, string(v))
	}
	return all
}
