package email

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The values of Config.Auth.
const (
	authPlain   = "plain"
	authLogin   = "login"
	authXOAuth2 = "xoauth2"
)

// mechanism chooses how to log in, or says what the relay offers instead.
func (s *settings) mechanism(c *smtp.Client) (sasl.Client, error) {
	wanted := []string{s.Auth}
	if s.Auth == "" {
		wanted = []string{authPlain, authLogin}
	}
	for _, name := range wanted {
		if c.SupportsAuth(strings.ToUpper(name)) {
			return s.client(name), nil
		}
	}
	_, offered := c.Extension("AUTH")
	if offered == "" {
		return nil, errors.New("it offers no way to log in; take username away, or use its submission port (usually 587 or 465)")
	}
	return nil, fmt.Errorf("it offers no %s login, only %s; set auth: to one of plain, login, xoauth2 that it offers",
		strings.Join(wanted, " or "), clip(clean(offered)))
}

func (s *settings) client(name string) sasl.Client {
	switch name {
	case authLogin:
		return &loginClient{username: s.Username, password: s.Password.Reveal()}
	case authXOAuth2:
		return &xoauth2Client{username: s.Username, token: s.Token.Reveal()}
	default:
		return sasl.NewPlainClient("", s.Username, s.Password.Reveal())
	}
}

// loginClient is AUTH LOGIN (draft-murchison-sasl-login). The library's own wants
// the prompt "Password:" to the letter; relays write it in many ways, so this one
// answers by the order of the questions: the user name went ahead with the command,
// but there are relays that ask for it all the same.
type loginClient struct {
	username, password string
	named, done        bool
}

func (c *loginClient) Start() (string, []byte, error) { return "LOGIN", []byte(c.username), nil }

func (c *loginClient) Next(challenge []byte) ([]byte, error) {
	switch {
	case c.done:
		return nil, sasl.ErrUnexpectedServerChallenge
	case !c.named && strings.HasPrefix(strings.ToLower(string(challenge)), "user"):
		c.named = true
		return []byte(c.username), nil
	}
	c.done = true
	return []byte(c.password), nil
}

// xoauth2Client is Google's and Microsoft's XOAUTH2.
// https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
type xoauth2Client struct{ username, token string }

func (c *xoauth2Client) Start() (string, []byte, error) { return "XOAUTH2", c.initial(), nil }

func (c *xoauth2Client) initial() []byte {
	return []byte("user=" + c.username + "\x01auth=Bearer " + c.token + "\x01\x01")
}

// Next answers the JSON by which a relay announces a failure with an empty line, as
// the protocol wants; the refusal proper comes after it. Nil would abandon the
// exchange with that reply unread.
func (c *xoauth2Client) Next([]byte) ([]byte, error) { return []byte{}, nil }

// redactor replaces the credentials, in every form in which they cross the wire, in
// what a relay says: some repeat the command they did not understand.
func (s *settings) redactor() *strings.Replacer {
	var pairs []string
	hide := func(v string) {
		if v != "" {
			pairs = append(pairs, v, "[secret]", base64.StdEncoding.EncodeToString([]byte(v)), "[secret]")
		}
	}
	if !s.Password.Empty() {
		// The longest first, for the first that matches wins.
		hide("\x00" + s.Username + "\x00" + s.Password.Reveal())
		hide(s.Password.Reveal())
	}
	if !s.Token.Empty() {
		hide(string((&xoauth2Client{s.Username, s.Token.Reveal()}).initial()))
		hide(s.Token.Reveal())
	}
	return strings.NewReplacer(pairs...)
}
