package config

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"sitrep/internal/secret"
)

// settings are what SITREP_ variables override.
type settings struct {
	Ledger            string        `yaml:"ledger" doc:"The durable record of every delivery: sqlite://PATH, or postgres://USER@HOST/DATABASE for several machines. Default: sitrep/sitrep.db in the user's state directory ($XDG_STATE_HOME or ~/.local/state)."`
	TemplatesDir      string        `yaml:"templates_dir" doc:"A directory with your own templates. Default: only the built-in ones."`
	RequireNextUpdate bool          `yaml:"require_next_update" doc:"Refuse an unresolved update that does not say when the next one comes. Default: false, a warning."`
	Zone              string        `yaml:"zone" doc:"Time zone of customers that name none, as an IANA name such as America/New_York. Default: UTC."`
	ExpireAfter       time.Duration `yaml:"expire_after" doc:"How long a delivery is tried before it is given up; channels may say otherwise. Default: 4h."`
	LeakGuard         guardSettings `yaml:"leak_guard" doc:"What must not reach customers and the public, beside what sitrep finds by itself (@names, e-mail addresses, code, other customers)."`
	Page              pageSettings  `yaml:"page" doc:"The built-in status page, as sitrep page serves it."`
	LedgerFile        string        `yaml:"ledger_file" doc:"A file that holds the ledger's address, instead of ledger: for one with a password."`
	Server            string        `yaml:"server" doc:"Send through a running sitrep serve: https://HOST, or unix:PATH of its socket. Default: commands work on the ledger themselves."`
	TokenFile         string        `yaml:"token_file" doc:"A file that holds the token for server. A socket needs none."`
	ServerCAFile      string        `yaml:"server_ca_file" doc:"Certificates (PEM) of the authority that vouches for server. Default: the system's."`
	Serve             serveSettings `yaml:"serve" doc:"How sitrep serve runs. It is read at the start of it."`
}

type guardSettings struct {
	InternalHosts []string `yaml:"internal_hosts" doc:"Hosts whose links are internal. corp.example.com covers its subdomains."`
	Words         []string `yaml:"words" doc:"Words that must not leave the house, such as project names. Whole words, any case."`
}

type pageSettings struct {
	BaseURL string `yaml:"base_url" doc:"Where readers reach the page, such as https://status.example.com. Default: links are relative."`
	Title   string `yaml:"title" doc:"What stands at the top of the page. Everybody sees it: name no customer. Default: Status."`
	Listen  string `yaml:"listen" doc:"Address that sitrep page listens on, host:port. Default: 127.0.0.1:8080."`
}

// defaults are the settings of an empty file. The ledger's depends on the
// environment.
func (d *decoder) defaults() settings {
	return settings{
		Ledger: d.defaultLedger(), Zone: "UTC", ExpireAfter: 4 * time.Hour,
		Page: pageSettings{Title: "Status", Listen: "127.0.0.1:8080"}, Serve: defaultServe(),
	}
}

const sqlitePrefix = "sqlite://"

// defaultLedger follows the XDG base directory specification.
func (d *decoder) defaultLedger() string {
	state := d.env["XDG_STATE_HOME"]
	if !filepath.IsAbs(state) { // the specification: relative paths are to be ignored
		home := d.env["HOME"]
		if home == "" {
			home, _ = os.UserHomeDir() // Windows has no HOME; without any, apply asks for a ledger
		}
		if home == "" {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	return sqlitePrefix + filepath.Join(state, "sitrep", "sitrep.db")
}

// delimiter joins the keys of viper. No key can hold it, so no dot splits one.
const delimiter = "\x1f"

// leaf is one setting: its keys from the top, and which field it is.
type leaf struct {
	keys  []string
	index []int
}

func (l leaf) env() string { return "SITREP_" + strings.ToUpper(strings.Join(l.keys, "_")) }

func leaves(t reflect.Type, keys []string, index []int) []leaf {
	var out []leaf
	for i := range t.NumField() {
		f := t.Field(i)
		k := append(slices.Clone(keys), f.Tag.Get("yaml"))
		ix := append(slices.Clone(index), i)
		if f.Type.Kind() == reflect.Struct {
			out = append(out, leaves(f.Type, k, ix)...)
		} else {
			out = append(out, leaf{k, ix})
		}
	}
	return out
}

func settingLeaves() []leaf { return leaves(reflect.TypeFor[settings](), nil, nil) }

// EnvNames are the environment variables that override settings.
func EnvNames() []string {
	var names []string
	for _, l := range settingLeaves() {
		names = append(names, l.env())
	}
	return names
}

// layered lays the defaults, what the file gives and the environment over each
// other.
func (d *decoder) layered(root *yaml.Node, fromFile settings) settings {
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter))
	var out settings
	preset, given := reflect.ValueOf(d.defaults()), reflect.ValueOf(fromFile)
	for _, l := range settingLeaves() {
		key := strings.Join(l.keys, delimiter)
		v.SetDefault(key, preset.FieldByIndex(l.index).Interface())
		if d.lookup(root, l.keys) != nil {
			_ = v.MergeConfigMap(nest(l.keys, given.FieldByIndex(l.index).Interface())) // never fails on a map
		}
		if value, ok := d.env[l.env()]; ok {
			d.override(v, l, value)
		}
		reflect.ValueOf(&out).Elem().FieldByIndex(l.index).Set(reflect.ValueOf(v.Get(key)))
	}
	return out
}

// override takes a setting from its environment variable, as strictly as from the
// file. An empty variable of a list empties it. One with a mistake changes nothing, so
// that nothing else is said of what it would have been.
func (d *decoder) override(v *viper.Viper, l leaf, value string) {
	e := *d
	e.file, e.env, e.out = "", nil, &collector{}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.ReplaceAll(value, "${", "$${")}
	target := reflect.New(reflect.TypeFor[settings]().FieldByIndex(l.index).Type).Elem()
	if target.Kind() == reflect.Slice {
		target.Set(reflect.ValueOf(commas(value)))
	} else {
		e.decode(n, l.env(), target)
		e.path(l.keys[len(l.keys)-1], target)
	}
	mistakes := e.out.sorted()
	for _, p := range mistakes {
		d.out.add(p)
	}
	if len(mistakes) == 0 {
		v.Set(strings.Join(l.keys, delimiter), target.Interface())
	}
}

func commas(s string) []string {
	out := []string{}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func nest(keys []string, value any) map[string]any {
	if len(keys) == 1 {
		return map[string]any{keys[0]: value}
	}
	return map[string]any{keys[0]: nest(keys[1:], value)}
}

// lookup is the value under keys, or nil. It says nothing of mistakes.
func (d *decoder) lookup(n *yaml.Node, keys []string) *yaml.Node {
	quiet := *d
	quiet.out = &collector{}
	for _, k := range keys {
		n = resolve(n)
		if n.Kind != yaml.MappingNode {
			return nil
		}
		pairs := quiet.pairs(n)
		i := slices.IndexFunc(pairs, func(p pair) bool { return p.key.Value == k })
		if i < 0 {
			return nil
		}
		n = pairs[i].value
	}
	return resolve(n)
}

// spot is where a setting stands, and what messages call it and its value.
type spot struct {
	Problem
	name, shown string
	out         *collector
}

func (s spot) problem(what, remedy string) {
	s.What, s.Remedy = s.name+" "+what, remedy
	s.out.add(s.Problem)
}

// where is the spot of a setting: in the file, or its variable.
func (d *decoder) where(root *yaml.Node, keys ...string) spot {
	l := leaf{keys: keys}
	if _, ok := d.env[l.env()]; ok {
		return spot{name: l.env(), shown: "its value", out: d.out}
	}
	s := spot{Problem: Problem{File: d.file}, name: "`" + keys[len(keys)-1] + "`", shown: "its value", out: d.out}
	if n := d.lookup(root, keys); n != nil {
		s.Line, s.Column, s.shown = n.Line, n.Column, shown(n)
	}
	return s
}

// apply checks the settings and takes them over.
func (c *Config) apply(d *decoder, s settings, root *yaml.Node) {
	c.RequireNextUpdate = s.RequireNextUpdate
	c.ledgerAddress(d, s, root)
	c.templates(d, s.TemplatesDir, root)
	if c.Zone = d.zone(s.Zone, d.where(root, "zone")); c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.ExpireAfter = s.ExpireAfter; c.ExpireAfter < time.Minute {
		d.where(root, "expire_after").problem("is less than a minute.", "Give deliveries time for a retry: 4h is the default.")
	}
	c.LeakGuard = LeakGuard{Words: s.LeakGuard.Words, InternalHosts: c.hosts(d, s.LeakGuard.InternalHosts, root)}
	if slices.ContainsFunc(s.LeakGuard.Words, func(word string) bool { return strings.TrimSpace(word) == "" }) {
		d.where(root, "leak_guard", "words").problem("holds an empty word, which every text contains.", "Remove it.")
	}
	c.Page = c.page(d, s.Page, root)
	c.Serve = c.serve(d, s.Serve, root)
	c.Remote = c.remote(d, s, root)
}

func (c *Config) ledger(d *decoder, ledger string, root *yaml.Node) {
	at := d.where(root, "ledger")
	path, ok := strings.CutPrefix(ledger, sqlitePrefix)
	scheme, _, hasScheme := strings.Cut(ledger, "://")
	_, set := d.env["SITREP_LEDGER"]
	switch {
	case ledger == "" && at.Line == 0 && !set:
		at.problem("has no default, for there is no home directory.", "Say where it is: `ledger: sqlite:///var/lib/sitrep/sitrep.db`.")
	case ledger == "":
		at.problem("is empty.", "Write sqlite://PATH, or remove it for the default.")
	case scheme == "postgres" || scheme == "postgresql":
		c.postgres(d, at, ledger, root)
	case !ok && hasScheme:
		at.problem("begins with "+clip(scheme)+"://, and only sqlite:// and postgres:// are known.", "Write `ledger: sqlite://PATH`.")
	case !ok:
		at.problem("must begin with sqlite:// or postgres://.", "Write `ledger: sqlite://PATH`.")
	case path == "" || strings.HasSuffix(path, "/") || strings.ContainsAny(path, "?#"):
		at.problem("must name a file after sqlite://, without ? and #.", "Write `ledger: sqlite:///var/lib/sitrep/sitrep.db`.")
	default:
		c.Ledger = sqlitePrefix + d.abs(path)
		c.LedgerAddress = secret.New(c.Ledger)
	}
}

func (c *Config) templates(d *decoder, dir string, root *yaml.Node) {
	if dir == "" {
		return
	}
	at := d.where(root, "templates_dir")
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		at.problem("names a directory that is not there: "+d.display(dir)+".", "Paths are relative to the directory of the configuration file.")
	case !info.IsDir():
		at.problem("names a file, not a directory: "+d.display(dir)+".", "Name the directory that holds the templates.")
	default:
		c.TemplatesDir = dir
	}
}

func (c *Config) hosts(d *decoder, hosts []string, root *yaml.Node) []string {
	at := d.where(root, "leak_guard", "internal_hosts")
	var out []string
	for _, h := range hosts {
		lower := strings.ToLower(strings.TrimSuffix(h, "."))
		if lower == "" || strings.ContainsAny(lower, "*/:@ ") || strings.HasPrefix(lower, ".") {
			at.problem("holds `"+clip(h)+"`, which is no host name.", "Write it like corp.example.com, which covers its subdomains; no scheme, port or *.")
			continue
		}
		out = append(out, lower)
	}
	return out
}

func (c *Config) page(d *decoder, s pageSettings, root *yaml.Node) Page {
	if u, err := url.Parse(s.BaseURL); s.BaseURL != "" &&
		(err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" || u.User != nil) {
		d.where(root, "page", "base_url").problem("must be the address of a web site.", "Write it like https://status.example.com.")
	}
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		at := d.where(root, "page", "listen")
		at.problem("must be host:port, not "+at.shown+".", "Write it like 127.0.0.1:8080, or :8080 for every address.")
	}
	return Page{BaseURL: strings.TrimRight(s.BaseURL, "/"), Title: s.Title, Listen: s.Listen}
}

// strangers warns of SITREP_ variables that change nothing.
func (d *decoder) strangers() {
	names := append(EnvNames(), "SITREP_CONFIG")
	for _, k := range sortedKeys(d.env) {
		if strings.HasPrefix(k, "SITREP_") && !slices.Contains(names, k) && !d.used.has(k) {
			remedy := "Remove it."
			if c := closest(k, names); c != "" {
				remedy = "Did you mean " + c + "?"
			}
			d.warnings.add(Problem{What: "The environment variable " + clip(k) + " is no setting and nothing uses it.", Remedy: remedy})
		}
	}
}
