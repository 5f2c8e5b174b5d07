package email

import (
	"time"

	"sitrep/internal/secret"
)

// Config is the channel's stanza. Only host (or relays) and from are needed.
type Config struct {
	// Host is the relay: host:port, host, smtp://host:port (STARTTLS) or
	// smtps://host:port (TLS from the first byte). Without a port it is 587 (RFC
	// 6409), or 465 with implicit TLS (RFC 8314), or 25 with none.
	Host string `yaml:"host,omitempty"`

	// Relays are several relays, instead of Host. What a relay leaves out is as it
	// says here.
	Relays []Relay `yaml:"relays,omitempty"`

	// TLS is starttls (required, never optional), implicit or none. By default it
	// follows Host: implicit for smtps:// and port 465, otherwise starttls.
	TLS string `yaml:"tls,omitempty"`

	// RequireTLS asks the relay to pass every message on over verified TLS only, all
	// the way, or else to return it (REQUIRETLS, RFC 8689). A relay that does not
	// offer it is not used.
	RequireTLS bool `yaml:"require_tls,omitempty"`

	// Username, Password, Token and TokenCommand are the credentials; they are only
	// ever sent over TLS. Auth is plain, login, scram-sha-256, xoauth2 or oauthbearer.
	// By default it is xoauth2 with a token (oauthbearer where the relay offers only
	// that); with a password it is plain, or else login or scram-sha-256.
	Username string        `yaml:"username,omitempty"`
	Password secret.String `yaml:"password,omitempty"`
	Token    secret.String `yaml:"token,omitempty"`
	Auth     string        `yaml:"auth,omitempty"`

	// TokenCommand prints an OAuth access token: the program and its arguments, run
	// without a shell. It prints the token alone, or JSON with access_token and
	// expires_in. The token is kept until it expires or is refused.
	TokenCommand []string `yaml:"token_command,omitempty"`

	// From is whom the mail is from, "Status <status@example.com>": the header, and
	// without Bounces the envelope sender too. ReplyTo is where answers go.
	From    string `yaml:"from"`
	ReplyTo string `yaml:"reply_to,omitempty"`

	// ReplyToLists is where answers go for some distribution lists, by their ids.
	ReplyToLists map[string]string `yaml:"reply_to_lists,omitempty"`

	// MessageIDDomain is the right side of Message-IDs and List-Ids; by default From's
	// domain. Changing it while an incident is open breaks nothing, for a thread
	// carries whole Message-IDs.
	MessageIDDomain string `yaml:"message_id_domain,omitempty"`

	// Unsubscribe lets customers and the public unsubscribe with one click (RFC 8058).
	Unsubscribe Unsubscribe `yaml:"unsubscribe,omitempty"`

	// Bounces is where reports about messages that could not be delivered come back to.
	// Without it they go to From, and only people read them.
	Bounces Bounces `yaml:"bounces,omitempty"`

	// DSN is whether a relay is asked to report what becomes of a message later (RFC
	// 3461: failures and delays, with the headers only): offered, that is, where it
	// offers to, or never. Default offered.
	DSN string `yaml:"dsn,omitempty"`

	// DKIM is the signatures that every message gets (RFC 6376, RFC 8463): usually
	// one, or one RSA and one Ed25519. An RSA signature of 2048 bits costs about a
	// millisecond and a half of a core for each message, Ed25519 a twentieth of it.
	DKIM []DKIM `yaml:"dkim,omitempty"`

	// Hello is the name in EHLO: by default the machine's name if it is fully
	// qualified, otherwise MessageIDDomain.
	Hello string `yaml:"hello,omitempty"`

	// CAFile holds the PEM certificates to trust instead of the system's. ServerName is
	// the name the relay's certificate must have, by default Host's. ClientCertFile and
	// ClientKeyFile are the certificate and key (PEM) to show to a relay that asks.
	// The files are read whenever a session is opened, so they can be renewed in place.
	CAFile         string `yaml:"ca_file,omitempty"`
	ServerName     string `yaml:"server_name,omitempty"`
	ClientCertFile string `yaml:"client_cert_file,omitempty"`
	ClientKeyFile  string `yaml:"client_key_file,omitempty"`

	MaxSessions   int `yaml:"max_sessions,omitempty"`    // open at a time; default 8
	MaxPerSession int `yaml:"max_per_session,omitempty"` // messages in one session; default 100

	// Window is how many messages are under way in a session at a time, where the relay
	// lets them follow each other without waiting for answers (PIPELINING and CHUNKING);
	// default 20. After a refusal it is smaller for a while. 1 sends them one by one, and
	// in the most ordinary way there is: for a relay that behaves strangely.
	Window int `yaml:"window,omitempty"`

	// Rate is the most messages that a relay is given: 14/s, 500/m or 10000/h. By default
	// there is no limit.
	Rate string `yaml:"rate,omitempty"`

	// IdleTimeout is how long an unused session stays open; default 15s.
	// ConnectTimeout covers everything until the relay is ready to take mail;
	// default 30s. CommandTimeout is for each answer, default 5m, and
	// SubmissionTimeout for the one after the message, default 10m (both RFC 5321
	// section 4.5.3.2). Together they are how long an attempt may take, if the channel
	// has no `timeout` of its own, see [Channel.Spec].
	IdleTimeout       time.Duration `yaml:"idle_timeout,omitempty"`
	ConnectTimeout    time.Duration `yaml:"connect_timeout,omitempty"`
	CommandTimeout    time.Duration `yaml:"command_timeout,omitempty"`
	SubmissionTimeout time.Duration `yaml:"submission_timeout,omitempty"`
}

// Relay is one of several relays. Host is as in [Config]; so is everything else, and
// what is left out is as there. A relay with a username has credentials of its own.
type Relay struct {
	Host string `yaml:"host"`

	// Priority: relays with the lowest number are used, several with the same number
	// side by side; the others when none of these can be. Default 0.
	Priority int `yaml:"priority,omitempty"`

	TLS            string        `yaml:"tls,omitempty"`
	Username       string        `yaml:"username,omitempty"`
	Password       secret.String `yaml:"password,omitempty"`
	Token          secret.String `yaml:"token,omitempty"`
	TokenCommand   []string      `yaml:"token_command,omitempty"`
	Auth           string        `yaml:"auth,omitempty"`
	CAFile         string        `yaml:"ca_file,omitempty"`
	ServerName     string        `yaml:"server_name,omitempty"`
	ClientCertFile string        `yaml:"client_cert_file,omitempty"`
	ClientKeyFile  string        `yaml:"client_key_file,omitempty"`
	MaxSessions    int           `yaml:"max_sessions,omitempty"`
	MaxPerSession  int           `yaml:"max_per_session,omitempty"`
	Rate           string        `yaml:"rate,omitempty"`
}

// Unsubscribe is how a recipient leaves.
type Unsubscribe struct {
	// URL is the https address that a token is put behind, such as
	// https://status.example.com/u/. A POST to it unsubscribes.
	URL string `yaml:"url,omitempty"`

	// Key is the secret with which tokens are made, at least 16 characters.
	Key secret.String `yaml:"key,omitempty"`
}

// Bounces is the mailbox to which reports come back.
type Bounces struct {
	// Address is the mailbox, such as bounces@example.com, of at most 20 octets before the
	// @. Each message has a return path of its own made of it, bounces+KEY-MAC@example.com,
	// so its mail system must deliver subaddresses (RFC 5233) to it.
	Address string `yaml:"address,omitempty"`

	// Key is the secret that return paths are made with, at least 16 characters. A
	// report that comes to one that was not made with it changes nothing.
	Key secret.String `yaml:"key,omitempty"`
}

// DKIM is one signature.
type DKIM struct {
	// Domain is whose signature it is, by default From's domain. Selector names the key
	// in its DNS: the record is at SELECTOR._domainkey.DOMAIN.
	Domain   string `yaml:"domain,omitempty"`
	Selector string `yaml:"selector"`

	// Key is the private key, PEM: RSA of at least 1024 bits, or Ed25519.
	Key secret.String `yaml:"key"`
}

// The values of Config.TLS.
const (
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
	tlsNone     = "none"
)

// relays are all relays with what they leave out filled in, and what to call them in
// messages.
func (c Config) relays() (relays []Relay, called []string) {
	shared := Relay{
		Host: c.Host, TLS: c.TLS, Username: c.Username, Password: c.Password, Token: c.Token, TokenCommand: c.TokenCommand, Auth: c.Auth,
		CAFile: c.CAFile, ServerName: c.ServerName, ClientCertFile: c.ClientCertFile, ClientKeyFile: c.ClientKeyFile,
		MaxSessions: c.MaxSessions, MaxPerSession: c.MaxPerSession, Rate: c.Rate,
	}
	if len(c.Relays) == 0 {
		return []Relay{shared}, []string{""}
	}
	for _, r := range c.Relays {
		relays = append(relays, r.inherit(shared))
		called = append(called, "relay "+clip(clean(r.Host))+": ")
	}
	return relays, called
}

func (r Relay) inherit(from Relay) Relay {
	if r.Username == "" && r.Password.Empty() && r.Token.Empty() && len(r.TokenCommand) == 0 && r.Auth == "" {
		r.Username, r.Password, r.Token, r.TokenCommand, r.Auth = from.Username, from.Password, from.Token, from.TokenCommand, from.Auth
	}
	if r.ClientCertFile == "" && r.ClientKeyFile == "" {
		r.ClientCertFile, r.ClientKeyFile = from.ClientCertFile, from.ClientKeyFile
	}
	for _, s := range []struct {
		own  *string
		from string
	}{{&r.TLS, from.TLS}, {&r.CAFile, from.CAFile}, {&r.ServerName, from.ServerName}, {&r.Rate, from.Rate}} {
		if *s.own == "" {
			*s.own = s.from
		}
	}
	if r.MaxSessions == 0 {
		r.MaxSessions = from.MaxSessions
	}
	if r.MaxPerSession == 0 {
		r.MaxPerSession = from.MaxPerSession
	}
	return r
}
