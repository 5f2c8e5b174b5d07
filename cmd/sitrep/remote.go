package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sitrep/channels"
	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/internal/secret"
	"sitrep/renderers"
	"sitrep/server"
	"sitrep/server/client"
)

// remote is the server that commands go through.
type remote struct {
	*client.Client
	cfg    *config.Config
	ledger farLedger
}

// farRun is what a command does through a server.
type farRun func(ctx context.Context, r *remote, cmd *cobra.Command, args []string) error

// either has a command go through the server, if the configuration names one.
func (a *app) either(cmd *cobra.Command, far farRun) *cobra.Command {
	near := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := a.remote()
		switch {
		case err != nil:
			return err
		case r == nil:
			return near(cmd, args)
		}
		return a.explain(r, far(cmd.Context(), r, cmd, args))
	}
	return cmd
}

// remote is the server that the configuration names, or nil.
func (a *app) remote() (*remote, error) {
	path, err := config.Find(a.config, a.env)
	if err != nil && !errors.Is(err, config.ErrNoFile) {
		return nil, nil //nolint:nilnil // the command itself says what is wrong
	}
	if config.RemoteOf(path, a.env).Server == "" {
		return nil, nil //nolint:nilnil // commands work on the ledger themselves
	}
	load := config.Load
	if err != nil {
		load = func(string, []string) (*config.Config, error) { return config.Alone(a.env) }
	}
	cfg, err := load(path, a.env)
	if err != nil {
		return nil, a.configRefused(err)
	}
	r, err := a.dial(cfg)
	if err != nil {
		return nil, &coded{exitConfig, err}
	}
	return r, nil
}

func (a *app) dial(cfg *config.Config) (*remote, error) {
	o := client.Options{Server: cfg.Remote.Server, Agent: agent()}
	if name := cfg.Remote.TokenFile; name != "" {
		text, err := readFile(name, 4<<10)
		if err != nil {
			return nil, fmt.Errorf("token_file: %w", err)
		}
		o.Token = secret.New(strings.TrimSpace(string(text)))
	}
	if name := cfg.Remote.CAFile; name != "" {
		var err error
		if o.Roots, err = readFile(name, 4<<20); err != nil {
			return nil, fmt.Errorf("server_ca_file: %w", err)
		}
	}
	c, err := client.New(o)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return &remote{Client: c, cfg: cfg, ledger: farLedger{c}}, nil
}

func readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// explain gives an answer of the server that is no success its exit code, and says
// what to do about it.
func (a *app) explain(r *remote, err error) error {
	if errors.Is(err, client.ErrUnreachable) {
		return fmt.Errorf("%w. Is 'sitrep serve' running there? Without it: SITREP_SERVER= works on the ledger of this machine", err)
	}
	no, ok := errors.AsType[*client.Refused](err)
	if !ok {
		return err
	}
	where := r.cfg.Remote.Server
	switch no.Status {
	case http.StatusUnauthorized:
		return &coded{exitConfig, fmt.Errorf("%s does not accept the token: name a file with a valid one in token_file or SITREP_TOKEN_FILE ('sitrep token new' makes one)", where)}
	case http.StatusForbidden:
		return &coded{exitConfig, fmt.Errorf("%s does not permit that with this token: it takes one with a higher role ('sitrep token new')", where)}
	}
	text := "the server refuses: " + printable(no.Error())
	for _, f := range no.Problems {
		text += "\n  " + strings.TrimSpace(oneLine(f.Where+" "+f.What+" "+f.Remedy))
	}
	code := exitError
	if no.Status >= 400 && no.Status < 500 {
		code = exitUsage
	}
	return &coded{code, errors.New(text)}
}

// farRefusal turns a refused update into what the dispatcher would have said of it.
func farRefusal(err error) error {
	no, ok := errors.AsType[*client.Refused](err)
	if !ok {
		return err
	}
	switch no.Type {
	case "urn:sitrep:problem:update":
		return problemsOf(no.Problems)
	case "urn:sitrep:problem:leak-guard":
		return &dispatcher.Refusal{Findings: findingsOf(no.Problems)}
	}
	return err
}

func problemsOf(flaws []server.Flaw) incident.Problems {
	var all incident.Problems
	for _, f := range flaws {
		all = append(all, incident.Problem{Line: f.Line, What: f.What, Remedy: f.Remedy})
	}
	return all
}

func findingsOf(flaws []server.Flaw) []renderers.Finding {
	var all []renderers.Finding
	for _, f := range flaws {
		all = append(all, renderers.Finding{
			Audience: incident.Audience(f.Audience), Kind: renderers.FindingKind(f.Kind), Section: f.Where, Line: f.Line, Text: f.Text, Why: f.What, Remedy: f.Remedy,
		})
	}
	return all
}

// farMessage is a rendering's message.
func farMessage(v server.RenderingView) channels.Message {
	return channels.Message{Format: channels.Format(v.Format), Subject: v.Subject, Text: v.Text, HTML: v.HTML, Payload: v.Payload}
}
