package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/config"
)

const mailChannel = "channels: [{id: mail, kind: email}]\n"

func TestBounces(t *testing.T) {
	if c := load(t, small); c.Bounces.Channel != "" || c.Bounces.IMAP.Address != "" {
		t.Errorf("by default: %+v", c.Bounces)
	}
	word := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(word, []byte("secret-word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := load(t, mailChannel+"bounces: {channel: mail, listen: 'unix:/run/s', protocol: lmtp, trust: [192.0.2.7/24, '::1'],"+
		" imap: {address: imap.example.com, tls: starttls, user: bounces, password_file: "+word+", poll: 2m, done: Done}}\n")
	b := c.Bounces
	if b.Channel != "mail" || b.Listen != "unix:/run/s" || !b.LMTP ||
		!slices.Equal(b.Trust, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::1/128")}) {
		t.Errorf("got %+v", b)
	}
	if m := b.IMAP; m.Address != "imap.example.com:143" || m.Password.Reveal() != "secret-word" || m.Poll != 2*time.Minute || m.Done != "Done" || m.TLS != "starttls" {
		t.Errorf("got %+v", m)
	}
	c = load(t, mailChannel+"bounces: {channel: mail, imap: {address: '[::1]', tls: none, user: bounces, password: p}}\n")
	if m := c.Bounces.IMAP; m.Address != "[::1]:143" || m.TLS != "none" || c.Bounces.Listen != "" {
		t.Errorf("got %+v", m)
	}
	c = load(t, mailChannel+"bounces: {channel: mail, imap: {address: imap.example.com, user: bounces, password: p}}\n")
	if m := c.Bounces.IMAP; m.Address != "imap.example.com:993" || m.TLS != "implicit" {
		t.Errorf("got %+v", m)
	}
}

func TestBouncesMistakes(t *testing.T) {
	imap := func(change string) string {
		return "{channel: mail, imap: {address: imap.example.com, user: u, password: secret-word, " + change + "}}"
	}
	for text, want := range map[string]string{
		"{listen: ':2525'}":                                                                 "`bounces` has no `channel`",
		"{channel: chat, listen: ':2525'}":                                                  "There is no e-mail channel `chat`",
		"{channel: mial, listen: ':2525'}":                                                  "Did you mean `mail`?",
		"{channel: mail}":                                                                   "neither `listen` nor `imap`",
		"{channel: mail, listen: '127.0.0.1'}":                                              "must be host:port or unix:PATH",
		"{channel: mail, listen: 'unix:'}":                                                  "without a path",
		"{channel: mail, listen: ':2525', protocol: uucp}":                                  "must be smtp or lmtp",
		"{channel: mail, listen: ':2525', tls_cert_file: c}":                                "need each other",
		"{channel: mail, listen: ':2525', trust: [everybody]}":                              "`everybody` is none",
		"{channel: mail, protocol: lmtp, imap: {address: a.example, user: u, password: p}}": "are of no use without `listen`",
		"{channel: mail, imap: {user: u, password: p}}":                                     "has no `address`",
		"{channel: mail, imap: {address: a.example, password: p}}":                          "has no `user`",
		"{channel: mail, imap: {address: a.example, user: u}}":                              "has no `password`",
		imap("tls: maybe"):                                                                  "none of implicit, starttls and none",
		imap("tls: none"):                                                                   "for everybody to read",
		imap("poll: 1ms"):                                                                   "less than a second",
		imap("done: Done, delete: true"):                                                    "has both `done` and `delete`",
		imap("ca_file: nowhere"):                                                            "there is no file nowhere",
		imap("port: 1"):                                                                     "`port` is not a setting here",
	} {
		src := "channels: [{id: mail, kind: email}, {id: chat, kind: mattermost}]\nbounces: " + text + "\n"
		_, err := config.Parse("sitrep.yaml", []byte(src), []string{"HOME=/home/x"})
		if err == nil || !strings.Contains(strings.Join(strings.Fields(err.Error()), " "), want) {
			t.Errorf("%s\n got  %v\n want %s", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), "secret-word") || !strings.Contains(err.Error(), "sitrep.yaml:2") {
			t.Errorf("%s: the secret shows or the line does not: %v", text, err)
		}
	}
}
