package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"sitrep/config"
	"sitrep/incident"
)

// write makes a directory with these files and returns the path of sitrep.yaml.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "sitrep.yaml")
}

func load(t *testing.T, yaml string, env ...string) *config.Config {
	t.Helper()
	c, err := config.Parse("sitrep.yaml", []byte(yaml), append(env, "HOME=/home/x"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const small = `
channels: [{id: Chat, kind: mattermost, url: "https://x.example"}, {id: mail.Main, kind: email}]
customers:
  - id: ABC.corp
    lists: [{id: War.Room, audience: internal, to: [{Chat: [Sev1-ABC]}, {mail.Main: ["Alice <A@abc.example>"]}]}]
`

// viper folds the case of keys and splits them at dots, also in lists of maps.
func TestNamesKeepTheirCaseAndDots(t *testing.T) {
	c := load(t, small)
	var ids []string
	for _, ch := range c.Channels {
		ids = append(ids, ch.ID)
	}
	p := c.Customers[0]
	got := fmt.Sprint(ids, p.ID, p.Lists[0].ID, p.Lists[0].To)
	want := fmt.Sprint([]string{"Chat", "mail.Main"}, "ABC.corp", "War.Room", []incident.Recipient{
		{Channel: "Chat", Address: "Sev1-ABC"}, {Channel: "mail.Main", Address: "A@abc.example", Name: "Alice"},
	})
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if _, ok := c.Channel("chat"); ok {
		t.Error("chat is taken for Chat")
	}
}

func TestDefaults(t *testing.T) {
	c := load(t, small)
	abs, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if c.Ledger != "sqlite:///home/x/.local/state/sitrep/sitrep.db" || c.Zone != time.UTC || c.ExpireAfter != 4*time.Hour ||
		c.Page != (config.Page{Title: "Status", Listen: "127.0.0.1:8080"}) || c.RequireNextUpdate || c.TemplatesDir != "" {
		t.Errorf("got %+v", c)
	}
	ch := c.Channels[0]
	if ch.Workers != 0 || ch.Timeout != 30*time.Second || ch.ExpireAfter != 4*time.Hour || ch.OnAmbiguous != "" ||
		ch.Retry != (config.Retry{Base: time.Second, Max: 5 * time.Minute}) || ch.Line != 2 {
		t.Errorf("got %+v", ch)
	}
	if p := c.Customers[0]; p.Name != "ABC.corp" || p.Zone != time.UTC {
		t.Errorf("got %+v", p)
	}
	if c := load(t, "ledger: sqlite://data/x.db\n"); c.Ledger != "sqlite://"+abs+"/data/x.db" {
		t.Errorf("a relative ledger is %s", c.Ledger)
	}
	if c := load(t, small, "XDG_STATE_HOME=/state"); c.Ledger != "sqlite:///state/sitrep/sitrep.db" {
		t.Errorf("got %s", c.Ledger)
	}
}

func TestTheEnvironmentOverridesEverySetting(t *testing.T) {
	file := "ledger: sqlite:///a/b\nrequire_next_update: false\nleak_guard: {words: [one]}\npage: {title: File}\n" + small
	c := load(t, file, "SITREP_LEDGER=sqlite:///other/${x}", "SITREP_REQUIRE_NEXT_UPDATE=true", "SITREP_ZONE=Europe/Berlin",
		"SITREP_EXPIRE_AFTER=2d", "SITREP_LEAK_GUARD_WORDS=a b, c", "SITREP_LEAK_GUARD_INTERNAL_HOSTS=Corp.example",
		"SITREP_PAGE_TITLE=Env", "SITREP_PAGE_LISTEN=:9", "SITREP_PAGE_BASE_URL=https://s.example/", "SITREP_TEMPLATES_DIR=testdata")
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	if c.Ledger != "sqlite:///other/${x}" || !c.RequireNextUpdate || c.Zone.String() != "Europe/Berlin" || c.ExpireAfter != 48*time.Hour ||
		!slices.Equal(c.LeakGuard.Words, []string{"a b", "c"}) || !slices.Equal(c.LeakGuard.InternalHosts, []string{"corp.example"}) ||
		c.Page != (config.Page{Title: "Env", Listen: ":9", BaseURL: "https://s.example"}) || c.TemplatesDir != dir {
		t.Errorf("got %+v", c)
	}
	theServerSettingsByEnvironment(t, file)
	if n := len(config.EnvNames()); n != 22 {
		t.Errorf("%d names: %v; extend this test", n, config.EnvNames())
	}
	_, err = config.Parse("sitrep.yaml", []byte(small), []string{"SITREP_REQUIRE_NEXT_UPDATE=maybe", "SITREP_ZONE=hidden-value", "HOME=/x"})
	want := "SITREP_REQUIRE_NEXT_UPDATE"
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
}

// TestMistakes has those that need a file of their own; testdata/terrible.yaml has
// the others.
func TestMistakes(t *testing.T) {
	laughs := "x-a: &a [1,1,1,1,1,1,1,1,1,1]\n"
	for c := 'b'; c < 'j'; c++ {
		laughs += fmt.Sprintf("x-%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ","))
	}
	for name, c := range map[string]struct{ src, want string }{
		"empty":      {"", "f.yaml:1: The file is empty."},
		"comments":   {"# nothing\n", "f.yaml:1: The file is empty."},
		"null":       {"---\n~\n", "f.yaml:2:1: The file is empty."},
		"list":       {"- a\n", "f.yaml:1:1: The file is a list where settings are expected."},
		"text":       {"hello\n", "f.yaml:1:1: The file is a single value where settings are expected."},
		"tab":        {"page:\n\ttitle: x\n", "f.yaml:2: The line is indented with a tab"},
		"colon":      {"page: a: b\n", "f.yaml:1: This is not YAML: mapping values are not allowed in this context."},
		"bracket":    {"page: [a\n", "f.yaml:1: This is not YAML: did not find expected ',' or ']'. A [ or { is not closed"},
		"at":         {"page: @x\n", "f.yaml:1: This is not YAML: found character that cannot start any token. Put"},
		"anchor":     {"page: *x\n", "unknown anchor 'x' referenced. An alias"},
		"encoding":   {"page: {}\nzone: \"\xff\"\n", "f.yaml:2: The line is not UTF-8 text."},
		"control":    {"zone: \"a\x00b\"\n", "f.yaml:1: The line holds a control character."},
		"documents":  {"zone: UTC\n---\nzone: UTC\n", "f.yaml:2: The file holds more than one YAML document."},
		"large":      {strings.Repeat("# comment\n", 2<<20), "f.yaml:1: The file is larger than 10 MB."},
		"laughs":     {laughs, "With its aliases written out the file holds more than 1000000 values."},
		"self":       {"x-a: &a [*a]\n", "f.yaml:1:10: The alias *a stands inside its own anchor."},
		"merge":      {"page: {<<: [1]}\n", "f.yaml:1:13: `<<` merges mappings, and this is a single value."},
		"key":        {"? [a]\n: b\n", "f.yaml:1:3: A key must be text, not a list."},
		"tag":        {"zone: !mine x\n", "f.yaml:1:7: The tag !mine has no meaning here."},
		"channels":   {"channels: {id: x}\n", "f.yaml:1:11: `channels` must be a list, and this is a mapping."},
		"own keys":   {"page: {x-a: 1}\n", "f.yaml:1:8: `x-a` is not a setting here."},
		"no value":   {"zone:\n", "f.yaml:1:1: `zone` has no value."},
		"empty item": {"channels: [~]\n", "f.yaml:1:12: An entry of `channels` is empty."},
		"deep":       {"x-a: " + strings.Repeat("[", 20_000) + "\n", "exceeded max depth"},
		"truth":      {"channels: [{id: true, kind: x}]", "f.yaml:1:17: `id` must be text, and `true` is a truth value."},
		"long":       {"ledger: " + strings.Repeat("x", 200) + "://", "`ledger` begins with " + strings.Repeat("x", 59) + "…://"},
		"host":       {"page: {listen: \"${HOME}\"}", "f.yaml:1:16: `listen` must be host:port, not `${HOME}`."},
		"ledger dir": {"ledger: sqlite:///var/lib/", "f.yaml:1:9: `ledger` must name a file after sqlite://"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse("f.yaml", []byte(c.src), []string{"HOME=/home/x"})
			if _, ok := errors.AsType[*config.Errors](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant …%s…", err, c.want)
			}
		})
	}
}

// Each mistake in the environment is said once, and says what is wrong.
func TestMistakesOfTheEnvironment(t *testing.T) {
	for env, want := range map[string]string{
		"SITREP_LEDGER=":                 "SITREP_LEDGER is empty. Write sqlite://PATH, or remove it for the default.",
		"SITREP_EXPIRE_AFTER=bogus":      "`SITREP_EXPIRE_AFTER` must be a length of time, not `bogus`. Write a number with its unit: 45s, 90m, 4h, 2d or 1h30m.",
		"SITREP_EXPIRE_AFTER=":           "`SITREP_EXPIRE_AFTER` must be a length of time, not ``. Write a number with its unit: 45s, 90m, 4h, 2d or 1h30m.",
		"SITREP_EXPIRE_AFTER=1s":         "SITREP_EXPIRE_AFTER is less than a minute. Give deliveries time for a retry: 4h is the default.",
		"SITREP_SERVE_SHUTDOWN_TIMEOUT=": "`SITREP_SERVE_SHUTDOWN_TIMEOUT` must be a length of time, not ``. Write a number with its unit: 45s, 90m, 4h, 2d or 1h30m.",
	} {
		_, err := config.Parse("sitrep.yaml", []byte(small), []string{env, "HOME=/home/x"})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", env, err, want)
		}
	}
	if _, err := config.Parse("f.yaml", []byte("ledger: ''\n"), nil); err == nil || !strings.Contains(err.Error(), "f.yaml:1:9: `ledger` is empty.") {
		t.Errorf("an empty ledger: %v", err)
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	c := load(t, `
x-mail: &mail {kind: email, timeout: 5s, workers: 2}
x-base: &base {kind: page, workers: 9, on_ambiguous: resend}
channels:
  - {<<: [*mail, *base], id: a, workers: 3}
  - {id: b, <<: *base}
x-people: &people [{a: [one@x.example]}]
customers:
  - {id: x, lists: [{id: l, audience: internal, to: *people}, {id: m, audience: internal, to: *people}]}
`)
	a, b := c.Channels[0], c.Channels[1]
	if a.Kind != "email" || a.Workers != 3 || a.Timeout != 5*time.Second || a.OnAmbiguous != "resend" || b.Kind != "page" || b.Workers != 9 {
		t.Errorf("got %+v and %+v", a, b)
	}
	if l := c.Customers[0].Lists; len(l[0].To) != 1 || len(l[1].To) != 1 || len(c.Warnings()) != 0 {
		t.Errorf("got %+v, warnings %v", l, c.Warnings())
	}
}

func TestFind(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "cfg"))
	t.Setenv("SITREP_CONFIG", "")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("sitrep", []byte("the program"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Find("", os.Environ()); !errors.Is(err, config.ErrNoFile) || !strings.Contains(err.Error(), "looked for sitrep.yaml and "+home) {
		t.Errorf("got %v", err)
	}
	user, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	inHome := filepath.Join(user, "sitrep", "sitrep.yaml")
	steps := []struct{ make, want string }{{inHome, inHome}, {"sitrep.yaml", "sitrep.yaml"}}
	for _, s := range steps {
		if err := errors.Join(os.MkdirAll(filepath.Dir(s.make), 0o700), os.WriteFile(s.make, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if got, err := config.Find("", os.Environ()); got != s.want || err != nil {
			t.Errorf("got %s, %v; want %s", got, err, s.want)
		}
	}
	t.Setenv("SITREP_CONFIG", "named.yaml")
	if got, err := config.Find("", os.Environ()); got != "named.yaml" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := config.Find("explicit.yaml", os.Environ()); got != "explicit.yaml" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if c, err := config.Load("explicit.yaml", nil); c != nil || err == nil || !strings.Contains(err.Error(), "There is no file explicit.yaml. Copy config.example.yaml there") {
		t.Errorf("got %v", err)
	}
	if _, err := config.Load(".", nil); err == nil || !strings.Contains(err.Error(), "The file . cannot be read: is a directory.") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsAsJSON(t *testing.T) {
	_, err := config.Parse("f.yaml", []byte("zone: ET"), []string{"HOME=/x"})
	got, jsonErr := json.Marshal(err)
	want := `{"problems":[{"file":"f.yaml","line":1,"column":7,"what":"` + "`zone` must be a time zone, and `ET` is none." + `","remedy":"Did you mean ` + "`America/New_York`" + `?"}]}`
	if jsonErr != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, jsonErr, want)
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"45s": 45 * time.Second, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "1d12h": 36 * time.Hour, "0": 0,
	} {
		if got, err := config.ParseDuration(s); got != want || err != nil {
			t.Errorf("%s: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "1", "x", "-1d", "1d-3h", "99999d", "1h2d", "1.5d"} {
		if got, err := config.ParseDuration(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/terrible.yaml", "../config.example.yaml"} {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte("a: &a {<<: *a}"))
	f.Add([]byte("x-a: &a [*a]\nchannels: *a"))
	f.Add([]byte("channels: [{id: \"${X}\", <<: [{kind: page}], token: !!binary aa}]"))
	f.Add([]byte(small))
	f.Add([]byte(twoChannels + `customers: [{id: x, name: "X\r\nY", aliases: ["a\0b"], lists: [{id: l, audience: public, to: [{mail: ["a@b.example\nBcc: c@d.example", {address: "a\u2029b", name: "\x1b[2J"}]}]}]}]`))
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := config.Parse("f.yaml", src, []string{"HOME=/home/x", "X=secret-value"})
		if c == nil && err == nil {
			t.Fatal("neither a configuration nor an error")
		}
		if c != nil {
			err = c.Check(checks())
			for _, p := range c.Customers {
				if p.Zone == nil {
					t.Error("a customer has no zone")
				}
				if words := spoken(p); strings.ContainsFunc(words, unicode.IsControl) || strings.ContainsAny(words, "\u2028\u2029") {
					t.Errorf("a name or an address holds a control character: %q", words)
				}
			}
		}
		if err == nil {
			return
		}
		es, ok := errors.AsType[*config.Errors](err)
		if !ok || len(es.Problems) == 0 {
			t.Fatalf("got %T: %v", err, err)
		}
		for _, p := range es.Problems {
			if (p.Line == 0 && p.File == "f.yaml") || p.What == "" || strings.ContainsAny(p.String(), "\n\x00\x1b") {
				t.Errorf("a bad problem: %+v", p)
			}
			if strings.Contains(p.String(), "secret-value") && !strings.Contains(string(src), "secret-value") {
				t.Errorf("a variable's value shows: %s", p)
			}
		}
	})
}

// spoken is every name and address of a customer.
func spoken(p incident.Party) string {
	words := append([]string{p.PublicName}, p.Aliases...)
	if p.Name != p.ID { // ids are checked as ids, and kept
		words = append(words, p.Name)
	}
	for _, l := range p.Lists {
		for _, r := range l.To {
			words = append(words, r.Name, r.Address)
		}
	}
	return strings.Join(words, " ")
}
