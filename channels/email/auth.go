package email

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sitrep/internal/secret"
)

// The values of Config.Auth.
const (
	authPlain       = "plain"
	authLogin       = "login"
	authSCRAM       = "scram-sha-256"
	authXOAuth2     = "xoauth2"
	authOAuthBearer = "oauthbearer"
)

var auths = []string{authPlain, authLogin, authSCRAM, authXOAuth2, authOAuthBearer}

func isOAuth(auth string) bool { return auth == authXOAuth2 || auth == authOAuthBearer }

// credentials are how to log in to one relay. They are safe for concurrent use.
type credentials struct {
	username        string
	password, token secret.String
	auths           []string // in order of preference
	command         *tokenCommand

	mu     sync.Mutex
	hidden *strings.Replacer // what must not be shown
	hiding string            // the token that hidden is made for
}

// credentials checks those of r.
func (r Relay) credentials(tls string) (*credentials, error) {
	c := &credentials{username: r.Username, password: r.Password, token: r.Token}
	if len(r.TokenCommand) > 0 {
		c.command = &tokenCommand{argv: r.TokenCommand}
	}
	auth := strings.ToLower(r.Auth)
	oauth := !r.Token.Empty() || c.command != nil
	errs := r.checkAuth(auth, oauth)
	if strings.ContainsAny(r.Username, "\x00\x01\r\n") {
		errs = append(errs, errors.New("username: has a control character in it"))
	}
	if r.Username != "" && tls == tlsNone {
		errs = append(errs, errors.New("tls: none would send the credentials in clear; use starttls or implicit, or take username away"))
	}
	switch {
	case auth != "":
		c.auths = []string{auth}
	case oauth:
		c.auths = []string{authXOAuth2, authOAuthBearer}
	default:
		c.auths = []string{authPlain, authLogin, authSCRAM}
	}
	return c, errors.Join(errs...)
}

func (r Relay) checkAuth(auth string, oauth bool) (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	known := strings.Join(auths, ", ")
	switch {
	case auth != "" && !strings.Contains(" "+known+",", " "+auth+","):
		add("auth: %q is not one of %s", auth, known)
	case (auth != "" || oauth || !r.Password.Empty()) && r.Username == "":
		add("username: missing, though there is a password, a token or an auth")
	case !r.Password.Empty() && oauth:
		add("token: give a password or a token, not both")
	case !r.Token.Empty() && len(r.TokenCommand) > 0:
		add("token: give a token or a token_command, not both")
	case isOAuth(auth) && !oauth:
		add("token: missing; auth: %s needs one, or a token_command", auth)
	case auth != "" && !isOAuth(auth) && r.Password.Empty():
		add("password: missing; auth: %s needs one", auth)
	case r.Username != "" && r.Password.Empty() && !oauth:
		add("password: missing, though there is a username")
	}
	if len(r.TokenCommand) > 0 && strings.TrimSpace(r.TokenCommand[0]) == "" {
		add("token_command: its first word is the program to run")
	}
	return errs
}

// authError is a log-in that was not even tried.
type authError struct{ err error }

// Error says why not, without a credential.
func (e *authError) Error() string { return e.err.Error() }

// Unwrap keeps the cause for errors.Is, such as the end of a context.
func (e *authError) Unwrap() error { return e.err }

// errStaleToken is a log-in refused with a token that was kept from an earlier time.
var errStaleToken = errors.New("the access token is not good any more")

// login logs in, if there are credentials, and says by what.
func (r *relay) login(ctx context.Context, client *smtp.Client) (name string, err error) {
	c := r.credentials
	if c.username == "" {
		return "", nil
	}
	if name, err = c.choose(client); err != nil {
		return "", &authError{err}
	}
	pass, kept := c.password.Reveal(), false
	if isOAuth(name) {
		if pass, kept, err = c.accessToken(ctx); err != nil {
			return name, &authError{err}
		}
	}
	mechanism, err := c.mechanism(name, pass, r.endpoint)
	if err != nil {
		return name, &authError{err}
	}
	err = client.Auth(mechanism)
	if answer, answered := replyOf(err); answered && answer.code/100 == 5 && c.command != nil {
		c.command.forget(pass)
		if kept {
			return name, fmt.Errorf("%w: %w", errStaleToken, err)
		}
	}
	if proof, ok := mechanism.(*scramClient); ok && err == nil && !proof.talk.Valid() {
		return name, &authError{errSCRAM}
	}
	return name, err
}

// choose is the best way to log in that the relay offers, or what it offers instead.
func (c *credentials) choose(client *smtp.Client) (string, error) {
	for _, name := range c.auths {
		if client.SupportsAuth(strings.ToUpper(name)) {
			return name, nil
		}
	}
	_, offered := client.Extension("AUTH")
	if offered == "" {
		return "", errors.New("it offers no way to log in; take username away, or use its submission port (usually 587 or 465)")
	}
	return "", fmt.Errorf("it offers no login by %s, only %s; set auth: to one of %s that it offers",
		strings.Join(c.auths, " or "), clip(clean(offered)), strings.Join(auths, ", "))
}

// accessToken is the token to log in with, and whether it was kept from an earlier
// time.
func (c *credentials) accessToken(ctx context.Context) (token string, kept bool, err error) {
	if c.command == nil {
		return c.token.Reveal(), false, nil
	}
	return c.command.get(ctx)
}

// mechanism is the client's side of a log-in. All of them are only used over TLS: see
// Relay.credentials, which refuses the configuration otherwise.
func (c *credentials) mechanism(name, pass string, e *endpoint) (sasl.Client, error) {
	switch name {
	case authLogin:
		return &loginClient{username: c.username, password: pass}, nil
	case authSCRAM:
		return newSCRAM(c.username, pass)
	case authXOAuth2:
		return &bearerClient{name: "XOAUTH2", initial: xoauth2(c.username, pass)}, nil
	case authOAuthBearer:
		return &bearerClient{name: "OAUTHBEARER", initial: oauthBearer(c.username, pass, e)}, nil
	default:
		return sasl.NewPlainClient("", c.username, pass), nil
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

// Start sends the user name along with the command, which saves a question.
func (c *loginClient) Start() (string, []byte, error) { return "LOGIN", []byte(c.username), nil }

// Next answers with the user name if it is asked for first, then once with the password,
// and never again: a relay that goes on asking gets nothing more.
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

// bearerClient is a log-in that consists of one line with a token. A relay announces a
// failure as a challenge with JSON in it; the refusal proper comes after an answer.
type bearerClient struct {
	name    string
	initial []byte
}

// Start is the whole log-in.
func (c *bearerClient) Start() (string, []byte, error) { return c.name, c.initial, nil }

// Next answers the announcement of a failure: with an empty line for XOAUTH2, with the
// lone control-A that RFC 7628 section 3.2.3 wants for OAUTHBEARER. Nil would abandon
// the exchange with the refusal unread.
func (c *bearerClient) Next([]byte) ([]byte, error) {
	if c.name == "OAUTHBEARER" {
		return []byte{1}, nil
	}
	return []byte{}, nil
}

// xoauth2 is the line of Google's and Microsoft's XOAUTH2.
// https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
func xoauth2(username, token string) []byte {
	return []byte("user=" + username + "\x01auth=Bearer " + token + "\x01\x01")
}

// oauthBearer is the line of RFC 7628 section 3.1. In a saslname "," and "=" are
// written otherwise (RFC 5801 section 4).
func oauthBearer(username, token string, e *endpoint) []byte {
	name := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(username)
	_, port, _ := strings.Cut(e.address[strings.LastIndexByte(e.address, ']')+1:], ":")
	return []byte("n,a=" + name + ",\x01host=" + e.host + "\x01port=" + port + "\x01auth=Bearer " + token + "\x01\x01")
}

// redact replaces the credentials, in every form in which they cross the wire, in what
// a relay says: some repeat the command they did not understand.
func (c *credentials) redact(text string) string {
	token := c.token.Reveal()
	if c.command != nil {
		token = c.command.last()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hidden == nil || c.hiding != token {
		c.hidden, c.hiding = c.replacer(token), token
	}
	return c.hidden.Replace(text)
}

func (c *credentials) replacer(token string) *strings.Replacer {
	var pairs []string
	hide := func(v string) {
		if v != "" {
			pairs = append(pairs, v, "[secret]", base64.StdEncoding.EncodeToString([]byte(v)), "[secret]")
		}
	}
	if !c.password.Empty() {
		// The longest first, for the first that matches wins.
		hide("\x00" + c.username + "\x00" + c.password.Reveal())
		hide(c.password.Reveal())
	}
	if token != "" {
		hide(string(xoauth2(c.username, token)))
		hide("auth=Bearer " + token)
		hide(token)
	}
	return strings.NewReplacer(pairs...)
}
