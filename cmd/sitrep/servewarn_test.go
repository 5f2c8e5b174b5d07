package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sitrep/channels"
	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/ledger"
)

// A reload says what is new, and not again what was said before, wherever its line has
// moved to.
func TestWarnsOfNewWeaknessesOnly(t *testing.T) {
	read := func(head, lists string) *config.Config {
		t.Helper()
		cfg, err := config.Parse("f.yaml", []byte(head+"channels: [{id: page, kind: page}]\ncustomers:\n  - {id: abc, lists: ["+lists+"]}\n"), []string{"HOME=/home/x"})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	const twice, empty, other = "{id: a, audience: public, to: [{page: [x, x]}]}", "{id: b, audience: public}", "{id: c, audience: internal}"
	first, same, more := read("", twice+", "+empty), read("# a line\n\n", twice+", "+empty), read("", twice+", "+empty+", "+other)
	for _, c := range []struct {
		name        string
		cfg, before *config.Config
		want        int
	}{{"at the start", first, nil, 2}, {"as before", first, first, 0}, {"two lines further down", same, first, 0}, {"one more", more, same, 1}, {"fewer", first, more, 0}} {
		var out bytes.Buffer
		d := &daemon{log: slog.New(slog.NewTextHandler(&out, nil))}
		if d.warn(c.cfg, c.before); strings.Count(out.String(), "has a weakness") != c.want {
			t.Errorf("%s: want %d:\n%s", c.name, c.want, out.String())
		}
	}
}

// A line of the log has no key without a value.
func TestSettledAttrs(t *testing.T) {
	for want, e := range map[string]dispatcher.Event{
		"[outcome=superseded customer=abc channel=mail incident=i delivery=d]": {Outcome: ledger.Superseded, Customer: "abc", Channel: "mail", Incident: "i", Key: "d"},
		"[outcome=cancelled customer=abc channel=mail update=u delivery=d]":    {Outcome: ledger.Cancelled, Customer: "abc", Channel: "mail", Update: "u", Key: "d"},
		"[outcome=failed customer=abc channel=mail incident=i update=u delivery=d attempt=2 fault=rejected]": {
			Outcome: ledger.Failed, Customer: "abc", Channel: "mail", Incident: "i", Update: "u", Key: "d", Attempt: 2, Fault: channels.Rejected,
		},
	} {
		if got := fmt.Sprint(settledAttrs(e)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Addresses to listen on are read at the start only, like the rest of `serve`; those of
// the file do not count where --listen has won.
func TestNeedsRestartForListen(t *testing.T) {
	for _, c := range []struct {
		name      string
		flagged   bool
		was, is   []string
		wantWords bool
	}{
		{"the same", false, []string{"127.0.0.1:1"}, []string{"127.0.0.1:1"}, false},
		{"another", false, []string{"127.0.0.1:1"}, []string{"127.0.0.1:2"}, true},
		{"another, but --listen won", true, []string{"127.0.0.1:1"}, []string{"127.0.0.1:2"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			was, is := &config.Config{}, &config.Config{}
			was.Serve.Listen, is.Serve.Listen = c.was, c.is
			d := &daemon{log: slog.New(slog.NewTextHandler(&out, nil)), started: was, flagged: c.flagged}
			d.needsRestart(is)
			if got := strings.Contains(out.String(), "takes a restart"); got != c.wantWords {
				t.Errorf("it asks for a restart: %v, want %v: %s", got, c.wantWords, out.String())
			}
		})
	}
}
