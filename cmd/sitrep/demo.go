package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sitrep/dispatcher"
)

const demoLong = `Shows the main job with nothing set up. On loopback it starts an SMTP server with a
mailbox to look at, a Mattermost-compatible chat and the built-in status page, writes
a configuration and a ledger into a temporary directory, and sends a sample update to
a customer of 25 recipients, one of whom does not exist any more: exactly as 'send'
does. Then it serves one page on which all of it can be seen, until Ctrl-C.

With --once it sends, reports, and checks the report against what the mailbox, the
chat and the pages really got: it ends with 0 only if all is as it should be.
Nothing leaves this machine, and nothing is left behind.`

// demoFlags are the flags of demo.
type demoFlags struct {
	listen string
	once   bool
}

func (a *app) demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "See it work, with nothing set up",
		Long:    demoLong,
		Example: "  sitrep demo\n  sitrep demo --listen 127.0.0.1:8080\n  sitrep demo --once",
		Args:    args(0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.demo(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:0", "`HOST:PORT` to serve on; port 0 takes a free one")
	cmd.Flags().BoolVar(&f.once, "once", false, "send, check, report and stop")
	return cmd
}

// demo sets the stage, sends as send does, checks, and lets people look.
func (a *app) demo(ctx context.Context, f demoFlags) (err error) {
	st, err := newStage(ctx, f.listen, a.now())
	if err != nil {
		return fmt.Errorf("set up the demo: %w", err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	b := a.onStage(st)
	show := &watcher{progress: newProgress(b)}
	return b.with(ctx, show.event, func(ctx context.Context, h *house) error {
		served, err := st.serve(h, b.log())
		if err != nil {
			return err
		}
		if err := b.demoSend(ctx, h, show, st); err != nil {
			return err
		}
		acc, differences, err := st.inspect(ctx, h)
		if err != nil {
			return err
		}
		if err := a.demoReport(st, acc, differences, f); err != nil || f.once {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return fmt.Errorf("serve the demo: %w", err)
		}
	})
}

// onStage is the program as somebody would run it with the demo's configuration:
// no SITREP_ variable of this environment bends it.
func (a *app) onStage(st *stage) *app {
	b := *a
	b.config, b.env = st.config, nil
	for _, kv := range a.env {
		if !strings.HasPrefix(kv, "SITREP_") {
			b.env = append(b.env, kv)
		}
	}
	if a.json {
		b.out = io.Discard // one document, at the end
	}
	return &b
}

// demoSend is send, but for the question.
func (a *app) demoSend(ctx context.Context, h *house, show *watcher, st *stage) error {
	p, err := h.dispatcher.Prepare(ctx, dispatcher.Submission{Source: st.update})
	if err != nil {
		return a.refused(st.file("update.md"), err)
	}
	a.printPrepared(st.file("update.md"), p)
	accepted, err := h.dispatcher.Publish(ctx, p)
	if err != nil {
		return a.refused(st.file("update.md"), err)
	}
	a.printAccepted(accepted)
	st.key = accepted.Update.Key
	err = a.deliver(ctx, h, show, accepted.Update, nil, sendFlags{timeout: time.Minute})
	if _, said := errors.AsType[exitCode](err); said {
		return nil // a recipient that failed is part of the story; inspect judges
	}
	return err
}

// demoReport says how it went and what to try next. Differences are a failure.
func (a *app) demoReport(st *stage, acc account, differences []string, f demoFlags) error {
	if a.json {
		doc := map[string]any{"update": acc, "as_expected": len(differences) == 0, "differences": slices.Concat([]string{}, differences)}
		if !f.once {
			doc["url"], doc["config"] = st.url, st.config
		}
		a.printJSON(doc)
	}
	s := a.style(a.out)
	switch {
	case len(differences) > 0:
		if !a.json {
			fmt.Fprintf(a.errOut, "\n%s the demo did not go as it should:\n  - %s\n", s.red("Not as expected:"), strings.Join(differences, "\n  - "))
		}
		return exitCode(exitError)
	case a.json:
		return nil
	}
	fmt.Fprintf(a.out, "\n%s As expected: %d got it, and the one who left the company is named. The mailbox, the rooms and the pages say the same.\n",
		s.green("✓"), acc.Delivered)
	if !f.once {
		a.demoNext(st, acc)
	}
	return nil
}

func (a *app) demoNext(st *stage, acc account) {
	s := a.style(a.out)
	fmt.Fprintf(a.out, "\n  %s  %s\n\n  Try next, in another terminal (the demo goes on until Ctrl-C):\n\n", s.bold("Look at it:"), s.bold(st.url))
	for _, t := range st.tries(acc.Incident) {
		fmt.Fprintf(a.out, "    %s\n      %s\n", s.dim(t.What), t.Command)
	}
	fmt.Fprintln(a.out)
}

// try is a command to go on with.
type try struct{ What, Command string }

func (st *stage) tries(incident string) []try {
	with := program() + " --config " + st.config + " "
	return []try{
		{"Who got it, all 25:", with + "report " + incident + " --all"},
		{"Resolve the incident, then reload the page:", with + "send --yes " + st.file("resolved.md")},
		{"What would everybody get? One page:", with + "preview " + st.file("update.md") + " --html preview.html"},
		{"The template, prefilled for the next update:", with + "new enterprise-abc"},
	}
}

// program is how this program is called again: as it was called now, but `go run`
// leaves nothing to call.
func program() string {
	exe, err := os.Executable()
	if err == nil && strings.Contains(filepath.ToSlash(exe), "/go-build") {
		return "go run ./cmd/sitrep"
	}
	return os.Args[0]
}
