package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sitrep/config"
	"sitrep/internal/secret"
)

type level string

type common struct {
	Kept string `yaml:"kept"`
}

// stanza has every type that a kind may use.
type stanza struct {
	common  `yaml:",inline"`
	Timeout time.Duration            `yaml:"timeout"` // a common key that the kind wants too
	Text    string                   `yaml:"text,omitempty"`
	Level   level                    `yaml:"level"`
	Number  int                      `yaml:"number"`
	Small   uint8                    `yaml:"small"`
	Ratio   float64                  `yaml:"ratio"`
	On      bool                     `yaml:"on"`
	Maybe   *bool                    `yaml:"maybe"`
	Every   time.Duration            `yaml:"every"`
	List    []string                 `yaml:"list"`
	Map     map[string]string        `yaml:"map"`
	Hidden  map[string]secret.String `yaml:"hidden"`
	Addr    netip.Addr               `yaml:"addr"`
	Any     any                      `yaml:"any"`
	Log     slog.Level               `yaml:"log"`
	CAFile  string                   `yaml:"ca_file"`
	Token   secret.String            `yaml:"token"`
	Nested  struct {
		Key secret.String `yaml:"key"`
	} `yaml:"nested"`
	unexported string
}

func decodeStanza(t *testing.T, yaml string, env ...string) (stanza, *config.Config, error) {
	t.Helper()
	path := write(t, map[string]string{
		"sitrep.yaml": "channels:\n  - id: x\n    kind: k\n    " + strings.ReplaceAll(yaml, "\n", "\n    ") + "\n",
		"token":       "from-file\n", "empty": "\n",
	})
	c, err := config.Load(path, append(env, "HOME=/home/x"))
	if err != nil {
		t.Fatal(err)
	}
	var s stanza
	err = c.Channels[0].Decode(&s)
	return s, c, err
}

func TestDecode(t *testing.T) {
	got, c, err := decodeStanza(t, `timeout: 7s
kept: yes
text: 0123
level: high
number: ${N}
small: 255
ratio: 0.5
on: true
maybe: false
every: 1d
list: [a, "${N}", 1e3]
map: {Key.One: v, n: 12}
hidden: {Authorization: "Bearer ${TOKEN}"}
addr: 127.0.0.1
any: {a: [1, 2.5, true, null, "x"]}
log: WARN
ca_file: ca.pem
token: ${TOKEN}
nested: {key_file: token}`, "N=42", "TOKEN=from-env")
	if err != nil {
		t.Fatal(err)
	}
	no := false
	want := stanza{
		common: common{Kept: "yes"}, Timeout: 7 * time.Second, Text: "0123", Level: "high", Number: 42, Small: 255, Ratio: 0.5,
		On: true, Maybe: &no, Every: 24 * time.Hour, List: []string{"a", "42", "1e3"}, Map: map[string]string{"Key.One": "v", "n": "12"},
		Hidden: map[string]secret.String{"Authorization": secret.New("Bearer from-env")}, Addr: netip.MustParseAddr("127.0.0.1"),
		Any: map[string]any{"a": []any{int64(1), 2.5, true, nil, "x"}}, Log: slog.LevelWarn,
		CAFile: filepath.Join(filepath.Dir(c.Path), "ca.pem"), Token: secret.New("from-env"),
	}
	want.Nested.Key = secret.New("from-file")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if c.Channels[0].Timeout != 7*time.Second || got.unexported != "" {
		t.Errorf("the channel's timeout is %v", c.Channels[0].Timeout)
	}
}

func TestStanzaMistakes(t *testing.T) {
	for src, want := range map[string]string{
		"number: many":                      ":4:13: `number` must be a whole number, not `many`. Write it like `number: 4`.",
		"number: 1.5":                       ":4:13: `number` must be a whole number, not `1.5`.",
		"number: true":                      ":4:13: `number` must be a whole number, not `true`.",
		"number: ${N}":                      ":4:13: `number` must be a whole number, not `${N}`.",
		"small: 256":                        ":4:12: `small` must be a whole number from 0 up, not `256`.",
		"ratio: x":                          ":4:12: `ratio` must be a number, not `x`.",
		"maybe: yes":                        ":4:12: `maybe` must be true or false, not `yes`.",
		"on: [true]":                        ":4:9: `on` must be true or false, not a list.",
		"every: 10":                         ":4:12: `every` must be a length of time, not `10`.",
		"map: [a]":                          ":4:10: `map` must be a mapping, and this is a list.",
		"map: {a: [b]}":                     ":4:14: `map.a` must be a single value, and this is a list.",
		"nested: x":                         ":4:13: `nested` must be a mapping, and this is a single value.",
		"nested: {kye: x}":                  ":4:14: `kye` is not a setting here. Did you mean `key`?",
		"list: a":                           ":4:11: `list` must be a list, and this is a single value.",
		"list: [~]":                         ":4:12: An entry of `list` is empty.",
		"addr: here":                        ":4:11: `addr` cannot be read: ParseAddr(\"here\"): unable to parse IP.",
		"text: true":                        ":4:11: `text` must be text, and `true` is a truth value. Put it in quotes",
		"unexported: x":                     ":4:5: `unexported` is not a setting here.",
		"wrokers: 3":                        ":4:5: `wrokers` is not a setting here. Did you mean `workers`?",
		"token_fil: x":                      ":4:5: `token_fil` is not a setting here. Did you mean `token_file`?",
		"tocken: hunter2":                   ":4:5: `tocken` is not a setting here. Did you mean `token`?",
		"token: [hunter2]":                  ":4:12: `token` must be a single value, and this is a list.",
		"token: ''":                         ":4:12: `token` is empty. Give the secret, or name a file that holds it with `token_file`.",
		"token: ${EMPTY}":                   ":4:12: `token` is empty.",
		"token: ${hunter2-x":                ":4:12: `token` has a ${ that does not begin the name of a variable.",
		"token: hunter2${":                  ":4:12: `token` has a ${ that does not begin the name of a variable.",
		"token:":                            ":4:5: `token` has no value.",
		"token_file: none":                  "none. Paths are relative to the directory of the configuration file.",
		"token_file: empty":                 "is empty. Write the secret into it.",
		"token_file: .":                     "cannot be read: is a directory.",
		"token: hunter2\ntoken_file: token": ":5:5: `token_file` and `token` (line 4) both give the value. Keep one of them.",
		"text: ${NONE}":                     ":4:11: `text` uses ${NONE}, and the environment has no variable NONE.",
		"text: ${A B}":                      ":4:11: `text` uses ${A B}, which is not the name of a variable.",
		"text: ${N":                         ":4:11: `text` has a ${ without its }.",
	} {
		key, _, _ := strings.Cut(src, ":") // not the value: the test's directory has this name
		t.Run(key, func(t *testing.T) {
			_, c, err := decodeStanza(t, src, "N=hunter2", "EMPTY=")
			if _, ok := errors.AsType[*config.Errors](err); !ok || !strings.Contains(err.Error(), want) {
				t.Errorf("got  %v\nwant …%s…", err, want)
			}
			if said := fmt.Sprint(err, c.Warnings()); strings.Contains(said, "hunter2") {
				t.Errorf("a secret shows: %s", said)
			}
		})
	}
}

func TestEscapedVariables(t *testing.T) {
	got, _, err := decodeStanza(t, "text: $${N} $N ${N}$${$\ntoken: a$${b}$", "N=1")
	if err != nil || got.Text != "${N} $N 1${$" || got.Token.Reveal() != "a${b}$" {
		t.Errorf("got %q and %q, %v", got.Text, got.Token.Reveal(), err)
	}
}

// A variable's value is a value, never YAML.
func TestVariablesAddNoKeys(t *testing.T) {
	got, _, err := decodeStanza(t, "text: ${N}", "N=x\n    on: true\n    token: y")
	if err != nil || got.On || !got.Token.Empty() || got.Text != "x\n    on: true\n    token: y" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWarnsOfReadableSecrets(t *testing.T) {
	path := write(t, map[string]string{
		"sitrep.yaml": "channels: [{id: a, kind: k, token: plain}, {id: b, kind: k, token_file: t}, {id: c, kind: k, token: \"${T}\"}]",
		"t":           "x",
	})
	warnings := func(mode os.FileMode) int {
		if err := errors.Join(os.Chmod(path, mode), os.Chmod(filepath.Join(filepath.Dir(path), "t"), mode)); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path, []string{"T=x", "HOME=/home/x"})
		if err != nil {
			t.Fatal(err)
		}
		before := len(c.Warnings())
		open := func(ch config.Channel) error { return ch.Decode(&stanza{}) }
		for range 2 { // said once, however often the stanza is read
			if err := c.Check(config.Checks{Open: open}); err != nil {
				t.Fatal(err)
			}
		}
		return len(c.Warnings()) - before
	}
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o400: 0, 0o644: 2, 0o660: 2} {
		if got := warnings(mode); got != want {
			t.Errorf("mode %o: %d warnings, want %d", mode, got, want)
		}
	}
}

func TestDecodeNeedsAStruct(t *testing.T) {
	c := load(t, small)
	for _, v := range []any{nil, stanza{}, new(int), (*stanza)(nil)} {
		if err := c.Channels[0].Decode(v); err == nil {
			t.Errorf("%T is accepted", v)
		}
	}
}

func TestCheckPlacesWhatKindsSay(t *testing.T) {
	c := load(t, "channels:\n  - id: a\n    kind: email\n    host: x\n    hots: y\n  - {id: b, kind: emial}\n"+
		"customers: [{id: c, lists: [{id: l, audience: internal, to: [{a: [\"${ADDR}\", good]}]}]}]", "ADDR=bad-one")
	err := c.Check(config.Checks{
		Kinds: []string{"email"},
		Open: func(ch config.Channel) error {
			var h struct {
				Host string `yaml:"host"`
			}
			return fmt.Errorf("email: %w", errors.Join(ch.Decode(&h),
				errors.Join(errors.New("channel a: `host` has no port\nemail: from is needed"), errors.New("kinds disagree"))))
		},
		Address: func(_, address string) error {
			if address == "bad-one" {
				return fmt.Errorf("%q is not\none", address)
			}
			return nil
		},
	})
	want := strings.Join([]string{
		"sitrep.yaml:2:5: Channel a: from is needed.",
		"sitrep.yaml:2:5: Channel a: kinds disagree.",
		"sitrep.yaml:4:11: Channel a: `host` has no port.",
		"sitrep.yaml:5:5: `hots` is not a setting here. Did you mean `host`?",
		"sitrep.yaml:6:19: `emial` is not a kind of channel. Did you mean `email`?",
		"sitrep.yaml:7:67: `${ADDR}` cannot be an address on a: \"${ADDR}\" is not one.",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// A secret that cannot be read is one mistake: that it is missing is none.
func TestCheckSaysAnUnreadSecretOnce(t *testing.T) {
	for stanza, want := range map[string]string{
		"token_file: nowhere": "sitrep.yaml:1:48: `token_file`: there is no file nowhere. Paths are relative to the directory of the configuration file.",
		`token: "${NONE}"`:    "sitrep.yaml:1:43: `token` uses ${NONE}, and the environment has no variable NONE. Set it where sitrep is started, or write $${ if the text itself is meant.",
		"token: ~":            "sitrep.yaml:1:36: `token` has no value. Write one, or remove the line.",
		"host: x":             "sitrep.yaml:1:12: Channel token: needs a token or a webhook.",
		"webhook_file: nowhere, x1: 2": "sitrep.yaml:1:50: `webhook_file`: there is no file nowhere. Paths are relative to the directory of the configuration file.\n" +
			"sitrep.yaml:1:59: `x1` is not a setting here. Known are expire_after, host, id, kind, on_ambiguous, retry, timeout, token, webhook, workers.",
	} {
		c := load(t, "channels: [{id: token, kind: chat, "+stanza+"}]")
		err := c.Check(config.Checks{Open: func(ch config.Channel) error {
			var s struct {
				Host    string        `yaml:"host"`
				Token   secret.String `yaml:"token"`
				Webhook secret.String `yaml:"webhook"`
			}
			err := ch.Decode(&s)
			if s.Token.Empty() && s.Webhook.Empty() {
				err = errors.Join(err, errors.New("needs a token or a webhook"))
			}
			if strings.Contains(s.Webhook.Reveal(), " ") {
				err = errors.Join(err, errors.New("what webhook holds is no address"))
			}
			return err
		}})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n%v\nwant\n%s", stanza, err, want)
		}
	}
}

// What is no mistake is a warning at its key, and only in a stanza without mistakes.
func TestCheckWarns(t *testing.T) {
	c := load(t, "channels:\n  - {id: a, kind: email, host: x}\n  - {id: b, kind: email, host: bad}\n"+
		"customers: [{id: c, lists: [{id: l, audience: internal, to: [{a: [x]}]}]}]")
	err := c.Check(config.Checks{
		Open: func(ch config.Channel) error {
			if ch.ID == "b" {
				return errors.New("host: it is bad")
			}
			return nil
		},
		Warn: func(config.Channel) error {
			return errors.Join(errors.New("host: it is odd"), errors.New("host: and small"))
		},
	})
	if err == nil || err.Error() != "sitrep.yaml:3:32: Channel b: host: it is bad." {
		t.Error(err)
	}
	want := "sitrep.yaml:2:32: Channel a: host: and small.\nsitrep.yaml:2:32: Channel a: host: it is odd."
	if got := config.Lines(c.Warnings()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
