package config

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"sitrep/internal/secret"
)

// Remote is the `sitrep serve` that commands go through. Its zero value means that
// they work on the ledger themselves.
type Remote struct {
	Server    string // https://HOST[:PORT], http:// to this machine, or "unix:" and an absolute path
	TokenFile string // absolute; not read here, for most commands and people need it not
	CAFile    string // absolute; empty: the system's authorities
}

// Alone is the configuration of somebody who has none: the environment's settings.
// Its errors are those of Load.
func Alone(env []string) (*Config, error) { return Parse("sitrep.yaml", []byte("{}"), env) }

func (c *Config) remote(d *decoder, s settings, root *yaml.Node) Remote {
	r := Remote{Server: s.Server, TokenFile: s.TokenFile, CAFile: s.ServerCAFile}
	if path, ok := strings.CutPrefix(r.Server, unixPrefix); ok {
		if strings.TrimSpace(path) == "" {
			d.where(root, "server").problem("names a socket without a path.", "Write it like unix:/run/sitrep/sitrep.sock.")
		}
		r.Server = unixPrefix + d.abs(path)
		return r
	}
	if r.Server == "" {
		return r
	}
	r.Server = strings.TrimRight(r.Server, "/")
	u, err := url.Parse(r.Server)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Scheme != "http" && u.Scheme != "https"):
		d.where(root, "server").problem("must be the address of a sitrep server.", "Write it like https://sitrep.example.com or unix:/run/sitrep/sitrep.sock.")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		d.where(root, "server").problem("would send the token over the network for everybody to read.", "Write it with https://.")
	}
	return r
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

const postgresPrefix = "postgres://"

// ledgerAddress is where the ledger is, from `ledger` or the file that `ledger_file`
// names.
func (c *Config) ledgerAddress(d *decoder, s settings, root *yaml.Node) {
	if s.LedgerFile == "" {
		c.ledger(d, s.Ledger, root)
		return
	}
	at := d.where(root, "ledger_file")
	if d.lookup(root, []string{"ledger"}) != nil || d.env["SITREP_LEDGER"] != "" {
		at.problem("and `ledger` both say where the ledger is.", "Keep one of them.")
		return
	}
	d.note(s.LedgerFile)
	content, mode, err := readSmall(s.LedgerFile, maxSecret)
	address := strings.TrimRight(string(content), "\r\n")
	switch {
	case err != nil:
		at.problem("cannot be used: "+reason(d.display(s.LedgerFile), err)+".", fileRemedy(err))
		return
	case wide(mode):
		at.out = d.warnings
		at.problem("names a file that others can read or change.", "Run `chmod 640` on it.")
	}
	c.ledger(d, address, root)
}

// postgres takes over the address of a database. Its password is nowhere but in
// LedgerAddress.
func (c *Config) postgres(d *decoder, at spot, address string, root *yaml.Node) {
	u, err := url.Parse(address)
	bad := err != nil || strings.Trim(u.Path, "/") == ""
	if !bad {
		c.Ledger = d.whichDatabase(u)
		_, bad = controls(c.Ledger)
	}
	if bad {
		at.problem("is not the address of a database.", "Write `ledger: postgres://USER@HOST/DATABASE?sslmode=verify-full`, with the password in ledger_file, "+
			"~/.pgpass or as ${NAME}; percent-encode what is not a letter or digit in it.")
		return
	}
	n := d.lookup(root, []string{"ledger"})
	if _, has := u.User.Password(); has && d.exposed && n != nil && !strings.Contains(n.Value, "${") {
		at.out = d.warnings
		at.problem("holds a password, in a file that others can read.", "Run `chmod 640` on it, or use `ledger_file` or ${NAME}.")
	}
	c.LedgerAddress = secret.New(address)
}

// whichDatabase is the address of a database for people: its host, port and name, and
// nothing of who uses it. The host may also be a parameter or come from the environment,
// as libpq has it; a directory is that of a socket.
func (d *decoder) whichDatabase(u *url.URL) string {
	q := u.Query()
	name := cmp.Or(q.Get("dbname"), strings.Trim(u.Path, "/"))
	host, port := u.Hostname(), u.Port()
	several := strings.Contains(u.Host, ",")
	if several {
		host, port = u.Host, defaultPort // each may have one of its own
	}
	host, port = cmp.Or(q.Get("host"), host, d.env["PGHOST"]), cmp.Or(q.Get("port"), port, d.env["PGPORT"], defaultPort)
	switch {
	case host == "":
		return postgresPrefix + "/" + name + " (this machine's own)"
	case strings.HasPrefix(host, "/"):
		name, host = name+"?host="+host, ""
		if port != defaultPort {
			name += "&port=" + port
		}
	case port != defaultPort:
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":") && !several:
		host = "[" + host + "]"
	}
	return postgresPrefix + host + "/" + name
}

// defaultPort is that of a PostgreSQL server.
const defaultPort = "5432"

// RemoteOf is the part of the file at path (none: only the environment's) that says
// whether commands go through a server. It is quick and finds no other mistakes: use
// Load for those.
func RemoteOf(path string, env []string) Remote {
	src := []byte("{}")
	if path != "" {
		var err error
		if src, _, err = readSmall(path, maxFile); err != nil {
			return Remote{}
		}
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		dir = filepath.Dir(path)
	}
	d := &decoder{file: path, dir: dir, env: environment(env), out: &collector{}, warnings: &collector{}, used: &nameSet{}}
	root := d.parse(src)
	if root == nil {
		return Remote{}
	}
	f := file{settings: d.defaults()}
	d.structure(root, topKey, reflect.ValueOf(&f).Elem(), nil)
	return (&Config{}).remote(d, d.layered(root, f.settings), root)
}
