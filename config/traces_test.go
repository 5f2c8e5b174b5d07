package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/config"
)

func TestTraces(t *testing.T) {
	if c := load(t, small); c.Traces.Endpoint != "" {
		t.Errorf("traces are on by default: %+v", c.Traces)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret-word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := load(t, "traces: {endpoint: 'https://otel.example:4318', token_file: "+token+", headers: {x-team: '${KEY}'}, sample: 0.25}\n"+small, "KEY=other-word")
	got := c.Traces
	if got.Endpoint != "https://otel.example:4318" || got.Token.Reveal() != "secret-word" || got.Headers["x-team"].Reveal() != "other-word" || got.Sample != 0.25 {
		t.Errorf("got %+v", got)
	}
	if c := load(t, "traces: {endpoint: 'http://localhost:4318', token: abc}\n"+small); c.Traces.Sample != 1 {
		t.Errorf("by default %v of the updates are traced, want all", c.Traces.Sample)
	}
}

func TestTracesMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"traces: {sample: 1}":                                                           "`traces` has no `endpoint`",
		"traces:":                                                                       "`traces` has no `endpoint`",
		"traces: {endpoint: 'localhost:4318'}":                                          "must be the address of a collector",
		"traces: {endpoint: 'grpc://localhost:4317'}":                                   "must be the address of a collector",
		"traces: {endpoint: 'https://u:secret-word@otel.example'}":                      "must be the address of a collector",
		"traces: {endpoint: 'https://otel.example/?key=secret-word'}":                   "must be the address of a collector",
		"traces: {endpoint: 'http://otel.example', token: secret-word}":                 "for everybody to read",
		"traces: {endpoint: 'http://otel.example', headers: {k: secret-word}}":          "for everybody to read",
		"traces: {endpoint: 'http://localhost', sample: 1.5}":                           "`sample` must be from 0 to 1",
		"traces: {endpoint: 'http://localhost', sample: NaN}":                           "`sample` must be from 0 to 1",
		"traces: {endpoint: 'http://localhost', ca_file: nowhere}":                      "there is no file nowhere",
		"traces: {endpoint: 'http://localhost', headers: {'a b': secret-word}}":         "cannot be the name of a header",
		`traces: {endpoint: 'http://localhost', headers: {k: "secret-word\nx"}}`:        "holds a line break",
		`traces: {endpoint: 'http://localhost', token: "secret-word\nx"}`:               "holds a line break",
		"traces: {endpoint: 'http://localhost', headers: {k: ''}}":                      "is empty. Give the secret, or remove the line",
		"traces: {endpoint: 'http://localhost', token: a, headers: {Authorization: b}}": "Keep one of them",
		"traces: {endpoint: 'http://localhost', rate: 1}":                               "`rate` is not a setting here",
	} {
		_, err := config.Parse("sitrep.yaml", []byte(text+"\n"+twoLists), []string{"HOME=/home/x"})
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "\n", " "), want) && !strings.Contains(strings.Join(strings.Fields(err.Error()), " "), want) {
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
