package main

import (
	"fmt"
	"net/mail"
	"net/url"
	"strings"

	"sitrep/channels/email"
	"sitrep/config"
	"sitrep/server"
)

// exits are where the recipients of a configuration's mail sign off by themselves.
func exits(cfg *config.Config) ([]server.Exit, error) {
	var all []server.Exit
	for _, ch := range cfg.Channels {
		some, err := exitsOf(ch, cfg.Page.BaseURL)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// mailStanza is the stanza of an e-mail channel; of others it is false.
func mailStanza(ch config.Channel) (email.Config, bool, error) {
	var c email.Config
	if ch.Kind != mailKind {
		return c, false, nil
	}
	err := ch.Decode(&c)
	return c, err == nil, err
}

// mailKind is the kind of e-mail channels.
const mailKind = "email"

// exitsOf are one channel's: none, or one, or one beside that is reached through a proxy
// which takes the path of the pages' address away.
func exitsOf(ch config.Channel, pages string) ([]server.Exit, error) {
	c, ok, err := mailStanza(ch)
	if !ok || c.Unsubscribe.URL == "" {
		return nil, err
	}
	u, err := url.Parse(c.Unsubscribe.URL)
	if err != nil {
		return nil, fmt.Errorf("unsubscribe: url: %w", err)
	}
	e := server.Exit{Path: u.Path, Contact: contact(c), Read: func(token string) (channel, address string, ok bool) {
		channel, address, ok = email.ReadUnsubscribeToken(c.Unsubscribe.Key, token)
		return channel, address, ok && channel == ch.ID
	}}
	if query, last := u.RawQuery, strings.LastIndexByte(u.RawQuery, '&'); query != "" {
		e.Param = strings.TrimSuffix(query[last+1:], "=")
	}
	if err := e.Check(); err != nil {
		return nil, fmt.Errorf("unsubscribe: url: %w", err)
	}
	all := []server.Exit{e}
	if base, err := url.Parse(pages); err == nil && len(base.Path) > 1 {
		if rest, below := strings.CutPrefix(e.Path, strings.TrimSuffix(base.Path, "/")+"/"); below {
			e.Path = "/" + rest
			all = append(all, e)
		}
	}
	return all, all[len(all)-1].Check()
}

// contact is whom recipients may write to.
func contact(c email.Config) string {
	for _, s := range []string{c.ReplyTo, c.From} {
		if a, err := mail.ParseAddress(s); err == nil {
			return a.Address
		}
	}
	return ""
}

// warnOfExit says that nobody may be listening where recipients are sent to sign off.
func warnOfExit(ch config.Channel, pages string) error {
	c, ok, err := mailStanza(ch)
	if !ok || c.Unsubscribe.URL == "" {
		return err
	}
	here, err := url.Parse(c.Unsubscribe.URL)
	if err != nil {
		return err
	}
	there, err := url.Parse(pages)
	if err == nil && there.Host != "" && strings.EqualFold(here.Host, there.Host) {
		return nil
	}
	return fmt.Errorf("unsubscribe: recipients sign off at %s://%s, and page.base_url is not there: see to it that requests for %s reach `sitrep serve`",
		here.Scheme, here.Host, here.Path)
}
