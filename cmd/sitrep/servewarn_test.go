package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"sitrep/config"
)

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
