package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sitrep/incident"
	"sitrep/internal/secret"
)

// Config is the whole configuration, as plain values. It is safe for concurrent
// use once loaded, as long as nobody changes it.
type Config struct {
	Path   string // the file, as it was named
	Ledger string // for people: "sqlite://" and an absolute path, or "postgres://HOST/DATABASE"

	// LedgerAddress is what the ledger is opened with; that of a database may hold
	// a password.
	LedgerAddress secret.String

	TemplatesDir      string // absolute; empty: only the built-in templates
	RequireNextUpdate bool   // an unresolved update without a promise is an error
	Zone              *time.Location
	ExpireAfter       time.Duration // how long a delivery is tried, where its channel says nothing

	LeakGuard LeakGuard
	Page      Page
	Serve     Serve
	Remote    Remote
	Traces    Traces
	Bounces   Bounces

	Remind         Remind            // for every customer
	CustomerRemind map[string]Remind // customer ids with a rule of their own, instead
	Inputs         []Input

	Channels  []Channel
	Customers []incident.Party

	found    *collector // mistakes
	warnings *collector
	origins  []origin // where each address stands
	files    *nameSet
}

// LeakGuard is what the leak guard looks for beside what it knows by itself.
type LeakGuard struct {
	InternalHosts []string // lower case; "corp.example.com" covers its subdomains
	Words         []string
}

// Page is the built-in status page.
type Page struct {
	BaseURL string // without a slash at its end; empty: links are relative
	Title   string
	Listen  string // host:port for `sitrep page`
}

// Load reads the file at path. env is the environment, as os.Environ gives it.
//
// The error is an *Errors with every mistake. Even then Load returns what it could
// make of the file, for [Config.Check] to add what else is wrong with it; it
// returns nil only if there is nothing to go on with.
func Load(path string, env []string) (*Config, error) {
	src, mode, err := readSmall(path, maxFile)
	if err != nil {
		return nil, &Errors{[]Problem{{What: upper(reason(path, err)) + ".", Remedy: configRemedy(err)}}}
	}
	return parse(path, src, env, wide(mode))
}

// Parse is Load for a file whose content is at hand: it reads nothing but the
// files that the content names, relative to the directory of path.
func Parse(path string, src []byte, env []string) (*Config, error) {
	return parse(path, src, env, false)
}

func parse(path string, src []byte, env []string, exposed bool) (*Config, error) {
	c := &Config{Path: path, found: &collector{}, warnings: &collector{}, files: &nameSet{}}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		dir = filepath.Dir(path)
	}
	d := &decoder{
		file: path, dir: dir, env: environment(env), exposed: exposed,
		out: c.found, warnings: c.warnings, used: &nameSet{}, files: c.files,
	}
	root := d.parse(src)
	if root == nil {
		return nil, c.found.err()
	}
	c.fill(d, root)
	return c, c.found.err()
}

// file is the top of the YAML file.
type file struct {
	settings  `yaml:",inline"`
	Channels  []rawChannel  `yaml:"channels" doc:"The ways out. Each has an id, by which lists refer to it, and a kind."`
	Customers []rawCustomer `yaml:"customers" doc:"Who has outages, and the lists of people to tell."`

	Inputs   []rawInput       `yaml:"inputs" doc:"Tools that hand updates in to sitrep serve."`
	Remind   *[]time.Duration `yaml:"remind" doc:"When the internal lists are reminded of a promised update, from the promise: [-10m, 0, 5m]. Default: never."`
	Escalate *rawEscalate     `yaml:"escalate" doc:"Whom to tell too when a promised update is overdue. Default: nobody."`
	Bounces  *rawBounces      `yaml:"bounces" doc:"How sitrep serve receives returned mail. It is read at the start of it. Default: not at all."`
	Traces   *rawTraces       `yaml:"traces" doc:"Where OpenTelemetry traces go. It is read at the start of a command. Default: nowhere."`
}

func (c *Config) fill(d *decoder, root *yaml.Node) {
	f := file{settings: d.defaults()} // what is wrong in the file stays as it is by default
	d.structure(root, topKey, reflect.ValueOf(&f).Elem(), nil)
	c.apply(d, d.layered(root, f.settings), root)
	c.channels(d, f.Channels)
	c.customers(d, f.Customers)
	c.inputs(d, f.Inputs)
	c.reminders(d, f)
	c.traces(d, f.Traces, root)
	c.bounces(d, f.Bounces, root)
	d.strangers()
}

// Warnings are what is no mistake and yet deserves a look. They are complete after
// [Config.Check].
func (c *Config) Warnings() []Problem { return c.warnings.sorted() }

// Files are the files that were read beside the configuration's own: lists of
// recipients, and secrets as far as their stanzas were decoded. They are sorted.
func (c *Config) Files() []string {
	var all []string
	c.files.m.Range(func(name, _ any) bool {
		all = append(all, name.(string))
		return true
	})
	slices.Sort(all)
	return all
}

// Channel is the channel with that id; ids are told apart by case.
func (c *Config) Channel(id string) (Channel, bool) {
	i := slices.IndexFunc(c.Channels, func(ch Channel) bool { return ch.ID == id })
	if i < 0 {
		return Channel{}, false
	}
	return c.Channels[i], true
}

// ErrNoFile says that no configuration was named and none is in the usual places.
var ErrNoFile = errors.New("there is no configuration file")

// Find is the configuration file to use: the one named explicitly, else the one
// that SITREP_CONFIG names, else ./sitrep.yaml, else sitrep/sitrep.yaml in the
// user's configuration directory ($XDG_CONFIG_HOME or ~/.config; elsewhere the
// system's own). env is the environment, as os.Environ gives it. It wraps ErrNoFile
// if there is none.
//
// viper could search too, but it also takes ./sitrep.json and, without an ending,
// the program itself (./sitrep, as go build leaves it) for the configuration.
func Find(explicit string, env []string) (string, error) {
	vars := environment(env)
	for _, named := range []string{explicit, vars["SITREP_CONFIG"]} {
		if named != "" {
			return named, nil // Load says what is wrong with it
		}
	}
	places := []string{"sitrep.yaml"}
	if dir := userConfigDir(vars); dir != "" {
		places = append(places, filepath.Join(dir, "sitrep", "sitrep.yaml"))
	}
	for _, p := range places {
		if info, err := os.Stat(p); err == nil && !info.IsDir() {
			return p, nil
		}
	}
	return "", &noFile{places}
}

func userConfigDir(vars map[string]string) string {
	switch xdg, home := vars["XDG_CONFIG_HOME"], vars["HOME"]; {
	case runtime.GOOS == "windows" || runtime.GOOS == "darwin":
		dir, err := os.UserConfigDir()
		if err != nil {
			return "" // then only the working directory is looked into
		}
		return dir
	case filepath.IsAbs(xdg):
		return xdg
	case home != "":
		return filepath.Join(home, ".config")
	}
	return ""
}

type noFile struct{ places []string }

func (e *noFile) Error() string {
	return "there is no configuration: looked for " + strings.Join(e.places, " and ") +
		". Copy config.example.yaml to ./sitrep.yaml, or name a file with --config."
}

func (e *noFile) Unwrap() error { return ErrNoFile }

func configRemedy(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "Copy config.example.yaml there, or name another file with --config."
	}
	return fileRemedy(err)
}

func environment(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, kv := range env {
		if k, v, ok := strings.Cut(kv, "="); ok {
			m[k] = v
		}
	}
	return m
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// sortedKeys is for messages and decisions that must not depend on map order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
