package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/config"
)

func theServerSettingsByEnvironment(t *testing.T, file string) {
	t.Helper()
	c := load(t, file, "SITREP_SERVER=https://sitrep.example.com/", "SITREP_TOKEN_FILE=token", "SITREP_SERVER_CA_FILE=/ca.pem",
		"SITREP_SERVE_LISTEN=:8443, unix:s.sock", "SITREP_SERVE_TLS_CERT_FILE=/c.pem", "SITREP_SERVE_TLS_KEY_FILE=/k.pem",
		"SITREP_SERVE_SHUTDOWN_TIMEOUT=5s", "SITREP_SERVE_LOG_FORMAT=json", "SITREP_SERVE_LOG_LEVEL=debug",
		"SITREP_SERVE_PRIVATE_METRICS=true", "SITREP_SERVE_REQUESTS_PER_MINUTE=9")
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	wantServe := config.Serve{
		Listen: []string{":8443", "unix:" + here + "/s.sock"}, CertFile: "/c.pem", KeyFile: "/k.pem",
		ShutdownTimeout: 5 * time.Second, JSONLogs: true, LogLevel: "debug", PrivateMetrics: true, RequestsPerMinute: 9,
	}
	if !reflect.DeepEqual(c.Serve, wantServe) {
		t.Errorf("serve is %+v", c.Serve)
	}
	if want := (config.Remote{Server: "https://sitrep.example.com", TokenFile: here + "/token", CAFile: "/ca.pem"}); c.Remote != want {
		t.Errorf("remote is %+v", c.Remote)
	}
}

func TestServeDefaults(t *testing.T) {
	c := load(t, small)
	want := config.Serve{Listen: []string{"127.0.0.1:8080"}, ShutdownTimeout: 20 * time.Second, LogLevel: "info"}
	if !reflect.DeepEqual(c.Serve, want) || c.Remote != (config.Remote{}) {
		t.Errorf("got %+v %+v", c.Serve, c.Remote)
	}
	if c := load(t, "serve: {listen: ':9000'}\n"+small); !slices.Equal(c.Serve.Listen, []string{":9000"}) {
		t.Errorf("one address is %v", c.Serve.Listen)
	}
	if c, err := config.Alone([]string{"HOME=/home/x", "SITREP_SERVER=unix:/run/s.sock"}); err != nil || c.Remote.Server != "unix:/run/s.sock" {
		t.Errorf("without a file: %+v %v", c, err)
	}
}

const twoLists = `
channels: [{id: chat, kind: mattermost}]
customers:
  - id: abc
    lists:
      - {id: ours, audience: internal, to: [{chat: room}]}
      - {id: theirs, audience: customer, to: [{chat: shared}]}
`

func TestInputsAndReminders(t *testing.T) {
	c := load(t, `remind: [-10m, 0, +5m]
escalate: {after: 10m, list: ours}
inputs:
  - {id: prom, kind: alertmanager, secret: 0123456789abcdef, severities: {critical: SEV1, warning: 3}}
  - {id: play, kind: playbooks, secret: "${S}", customer: abc, severity: SEV2, status: identified, next: 1h, only: [internal], draft: true}
`+twoLists+"    remind: []\n    escalate: {after: 1h, list: ours}\n", "S=another-secret-word")
	if want := (config.Remind{At: []time.Duration{-10 * time.Minute, 0, 5 * time.Minute}, After: 10 * time.Minute, List: "ours"}); !reflect.DeepEqual(c.Remind, want) {
		t.Errorf("remind is %+v", c.Remind)
	}
	if own := c.CustomerRemind["abc"]; len(own.At) != 0 || own.After != time.Hour || own.List != "ours" {
		t.Errorf("the customer's own is %+v", own)
	}
	if in := c.Inputs[0]; in.Severities["critical"] != 1 || in.Severities["warning"] != 3 || in.Secret.Reveal() != "0123456789abcdef" {
		t.Errorf("got %+v", in)
	}
	if in := c.Inputs[1]; in.Customer != "abc" || in.Severity != 2 || in.Status != "identified" || !in.Draft || in.Next != "1h" {
		t.Errorf("got %+v", in)
	}
}

func TestServerMistakes(t *testing.T) {
	cases := map[string]string{
		"serve: {listen: []}":                                                 "names no address",
		"serve: {listen: nine}":                                               "must be host:port or unix:PATH, not `nine`",
		"serve: {listen: 'unix:'}":                                            "names a socket without a path",
		"serve: {tls_cert_file: a.pem}":                                       "need each other",
		"serve: {shutdown_timeout: 1ms}":                                      "less than a second",
		"serve: {log_format: xml}":                                            "must be text, json, not `xml`",
		"serve: {log_level: tarce}":                                           "must be debug, info, warn, error, not `tarce`",
		"serve: {requests_per_minute: -1}":                                    "less than nothing",
		"server: sitrep.example.com":                                          "must be the address of a sitrep server",
		"server: http://sitrep.example.com":                                   "send the token over the network for everybody to read",
		"server: 'unix:'":                                                     "names a socket without a path",
		"server: https://u:secret-word@sitrep.x":                              "must be the address of a sitrep server",
		"ledger: mysql://x":                                                   "only sqlite:// and postgres:// are known",
		"ledger: postgres://host":                                             "is not the address of a database",
		"ledger: postgres://u:secret-word%zz@host/x":                          "is not the address of a database",
		"ledger: sqlite:///a\nledger_file: x":                                 "both say where the ledger is",
		"ledger_file: nowhere":                                                "cannot be used: there is no file nowhere",
		"remind: [25h]":                                                       "a day or more away",
		"escalate: {after: 10m, list: theirs}":                                "No customer has an internal list `theirs`",
		"escalate: {after: 30h, list: ours}":                                  "less than 24h after the promise",
		"inputs: [{id: a, kind: alertmanager, secret: secret-word}]":          "shorter than 16",
		"inputs: [{id: a, kind: nagios, secret: secret-word-secret-word}]":    "must be alertmanager or playbooks",
		"inputs: [{id: a, kind: playbooks, secret: secret-word-secret-word}]": "names no customer by itself",
		"inputs: [{id: a, kind: playbooks, secret: secret-word-secret-word, customer: acb}]":                    "There is no customer `acb`",
		"inputs: [{id: a, kind: alertmanager, secret: secret-word-secret-word, severities: {x: SEV9}}]":         "`SEV9` is not a severity",
		"inputs: [{id: a, kind: alertmanager, secret: secret-word-secret-word, status: sad}]":                   "`status` must be",
		"inputs: [{id: a, secret: secret-word-secret-word}, {id: a, secret: secret-word-secret-word, kind: x}]": "has no `kind`",
	}
	for text, want := range cases {
		_, err := config.Parse("sitrep.yaml", []byte(text+"\n"+twoLists), []string{"HOME=/home/x"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got  %v\n want %s", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: the secret shows: %v", text, err)
		}
		if strings.Contains(err.Error(), "sitrep.yaml:0") {
			t.Errorf("%s: no line: %v", text, err)
		}
	}
}

func TestPostgres(t *testing.T) {
	const dsn = "postgres://u:secret-word@db.example:5432/sitrep?sslmode=verify-full"
	file := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(file, []byte(dsn+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, env := range map[string]string{
		"ledger: postgres://u:${P}@db.example:5432/sitrep?sslmode=verify-full\n": "P=secret-word",
		"ledger_file: " + file + "\n":                                            "X=y",
		"zone: UTC\n":                                                            "SITREP_LEDGER_FILE=" + file,
		"require_next_update: true\n":                                            "SITREP_LEDGER=" + dsn,
	} {
		c := load(t, text+small, env)
		if c.Ledger != "postgres://db.example/sitrep" || c.LedgerAddress.Reveal() != dsn {
			t.Errorf("%s: %q, %q", text, c.Ledger, c.LedgerAddress.Reveal())
		}
		if strings.Contains(text, "ledger_file") && !slices.Contains(c.Files(), file) {
			t.Errorf("the file is not among those read: %v", c.Files())
		}
	}
}

// A database is called by its host, wherever the address has that, and never by who
// uses it.
func TestWhichDatabase(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://u:secret-word@db.example/sitrep":                                    "postgres://db.example/sitrep",
		"postgres://u:secret-word@db.example:6432/sitrep":                               "postgres://db.example:6432/sitrep",
		"postgres://u:secret-word@[2001:db8::1]:5432/sitrep":                            "postgres://[2001:db8::1]/sitrep",
		"postgresql:///sitrep?host=db.example&user=u&password=secret-word":              "postgres://db.example/sitrep",
		"postgres://u:secret-word@/sitrep?host=/run/postgresql&port=5433":               "postgres:///sitrep?host=/run/postgresql&port=5433",
		"postgres://u:secret-word@/sitrep?host=/run/postgresql&application_name=sitrep": "postgres:///sitrep?host=/run/postgresql",
		"postgres://one.example:5432,two.example:5433/sitrep":                           "postgres://one.example:5432,two.example:5433/sitrep",
		"postgres:///sitrep?user=u&password=secret-word":                                "postgres:///sitrep (this machine's own)",
	} {
		if c := load(t, small, "SITREP_LEDGER="+address); c.Ledger != want || c.LedgerAddress.Reveal() != address {
			t.Errorf("%s is called %s, want %s", address, c.Ledger, want)
		}
	}
	if c := load(t, small, "SITREP_LEDGER=postgres:///sitrep", "PGHOST=pg.example", "PGPORT=5444"); c.Ledger != "postgres://pg.example:5444/sitrep" {
		t.Errorf("it is called %s", c.Ledger)
	}
	if _, err := config.Parse("f.yaml", []byte("ledger: postgres:///sitrep?host=a%0ab\n"+small), nil); err == nil {
		t.Error("a host of two lines passes")
	}
}
