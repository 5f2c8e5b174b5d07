package config

import (
	"net"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Serve is how `sitrep serve` runs. All of it is read once, at the start.
type Serve struct {
	// Listen are the addresses: host:port, or "unix:" and an absolute path.
	Listen []string

	CertFile, KeyFile string // absolute; both or none. For host:port only

	// ShutdownTimeout is how long a stop may take. Attempts that are under way
	// then are interrupted.
	ShutdownTimeout time.Duration

	JSONLogs          bool   // instead of text
	LogLevel          string // debug, info, warn or error
	PrivateMetrics    bool   // /metrics asks for a token for all customers
	RequestsPerMinute int    // of one token; 0: the server's default
}

type serveSettings struct {
	Listen          addressList   `yaml:"listen" doc:"Addresses to listen on, one or a list: host:port, or unix:PATH for a socket that its group may use without a token. Default: 127.0.0.1:8080."`
	CertFile        string        `yaml:"tls_cert_file" doc:"Certificate chain (PEM) for host:port. It is read again when it changes. Default: no TLS."`
	KeyFile         string        `yaml:"tls_key_file" doc:"The certificate's private key (PEM)."`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" doc:"How long a stop may take; what is not sent then stays in the ledger. Default: 20s."`
	LogFormat       string        `yaml:"log_format" doc:"text or json. Default: text."`
	LogLevel        string        `yaml:"log_level" doc:"debug, info, warn or error. Default: info."`
	PrivateMetrics  bool          `yaml:"private_metrics" doc:"Ask for a token before metrics are shown, for they name customers. Default: false."`
	Requests        int           `yaml:"requests_per_minute" doc:"How many requests one token may make, per process. Default: 600."`
}

func defaultServe() serveSettings {
	return serveSettings{Listen: addressList{"127.0.0.1:8080"}, ShutdownTimeout: 20 * time.Second, LogFormat: "text", LogLevel: "info"}
}

// addressList is one address or a list of them.
type addressList []string

func (l *addressList) take(d *decoder, n *yaml.Node, key string) {
	if n.Kind != yaml.SequenceNode {
		if s, ok := d.text(n, key); ok {
			*l = addressList{s}
		}
		return
	}
	*l = addressList{}
	for _, c := range n.Content {
		if s, ok := d.text(resolve(c), key); ok {
			*l = append(*l, s)
		}
	}
}

func (c *Config) serve(d *decoder, s serveSettings, root *yaml.Node) Serve {
	c.listen(d, s.Listen, root)
	if (s.CertFile == "") != (s.KeyFile == "") {
		d.where(root, "serve", "tls_cert_file").problem("and `tls_key_file` need each other.", "Give both, or none for no TLS.")
	}
	if s.ShutdownTimeout < time.Second {
		d.where(root, "serve", "shutdown_timeout").problem("is less than a second.", "Give attempts time to end: 20s is the default.")
	}
	c.oneOf(d, root, "log_format", s.LogFormat, "text", "json")
	c.oneOf(d, root, "log_level", s.LogLevel, "debug", "info", "warn", "error")
	if s.Requests < 0 {
		d.where(root, "serve", "requests_per_minute").problem("is less than nothing.", "Leave it out for 600.")
	}
	return Serve{
		Listen: s.Listen, CertFile: s.CertFile, KeyFile: s.KeyFile, ShutdownTimeout: s.ShutdownTimeout,
		JSONLogs: s.LogFormat == "json", LogLevel: s.LogLevel, PrivateMetrics: s.PrivateMetrics, RequestsPerMinute: s.Requests,
	}
}

func (c *Config) oneOf(d *decoder, root *yaml.Node, key, value string, words ...string) {
	if !slices.Contains(words, value) {
		at := d.where(root, "serve", key)
		at.problem("must be "+strings.Join(words, ", ")+", not "+at.shown+".", didYouMean(value, words))
	}
}

const unixPrefix = "unix:"

// listen checks the addresses and makes paths absolute.
func (c *Config) listen(d *decoder, addresses addressList, root *yaml.Node) {
	at := d.where(root, "serve", "listen")
	if len(addresses) == 0 {
		at.problem("names no address.", "Write it like 127.0.0.1:8080.")
	}
	for i, a := range addresses {
		if path, ok := strings.CutPrefix(a, unixPrefix); ok {
			if strings.TrimSpace(path) == "" {
				at.problem("names a socket without a path.", "Write it like unix:/run/sitrep/sitrep.sock.")
				continue
			}
			addresses[i] = unixPrefix + d.abs(path)
		} else if _, _, err := net.SplitHostPort(a); err != nil {
			at.problem("must be host:port or unix:PATH, not `"+clip(a)+"`.", "Write it like 127.0.0.1:8080, or :8080 for every address.")
		}
	}
}
