package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"sitrep/config"
	"sitrep/incident"
)

const checkLong = `Reads the whole configuration and reports every mistake at once with its file and
line: unknown keys, bad addresses, missing secrets, lists that include each other,
templates that fail or that would show a reader what they must not see. It sends
nothing and opens no connection. Run it in the pipeline that keeps the file.

With --dns it asks the DNS as well, for every e-mail channel: whether SPF, DKIM and
DMARC let the mail pass and fit together, and whether returned mail can come back. It
names the record to publish where one is missing. The exit code is then 5 if something
is wrong, and 6 if the DNS did not answer.`

func (a *app) checkCommand() *cobra.Command {
	var o dnsOptions
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the whole configuration: every mistake, with file and line",
		Long:  checkLong,
		Example: `  sitrep check
  sitrep check --config /etc/sitrep/sitrep.yaml --json
  sitrep check --dns --sends-from 192.0.2.25`,
		Args: args(0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.check(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.on, "dns", false, "ask the DNS about the senders of mail: SPF, DKIM, DMARC, MX")
	flags.StringVar(&o.resolver, "resolver", "", "`ADDRESS` of the name server to ask (default: the system's)")
	flags.StringSliceVar(&o.sendsFrom, "sends-from", nil, "IP `ADDRESSES` from which the mail reaches receivers, to hold SPF to")
	return cmd
}

func (a *app) check(ctx context.Context, o dnsOptions) error {
	if !o.on && (o.resolver != "" || len(o.sendsFrom) > 0) {
		return &coded{exitUsage, errors.New("--resolver and --sends-from go with --dns")}
	}
	read, err := a.load()
	if err != nil && a.json {
		a.printJSON(map[string]any{"ok": false, "problems": configProblems(err)})
		return exitCode(exitConfig)
	}
	if err != nil {
		return err
	}
	cfg := read.cfg
	var senders []dnsChecked
	if o.on {
		if senders, err = checkDNS(ctx, read, o); err != nil {
			return err
		}
	}
	code := dnsCode(senders)
	if a.json {
		answer := map[string]any{"ok": code == exitOK, "file": cfg.Path, "warnings": append([]config.Problem{}, cfg.Warnings()...)}
		if o.on {
			answer["dns"] = senders
		}
		a.printJSON(answer)
		return ending(code)
	}
	a.printChecked(cfg)
	if o.on {
		a.printDNS(senders)
	}
	return ending(code)
}

// configProblems are the mistakes because of which the configuration was refused.
func configProblems(err error) []config.Problem {
	if es, ok := errors.AsType[*config.Errors](err); ok {
		return es.Problems
	}
	return []config.Problem{{What: err.Error()}} // such as that there is none
}

// ending is the error that ends the program with a code, and nil for success.
func ending(code int) error {
	if code == exitOK {
		return nil
	}
	return exitCode(code)
}

func (a *app) printChecked(cfg *config.Config) {
	s := a.style(a.out)
	for _, w := range cfg.Warnings() {
		fmt.Fprintf(a.errOut, "%s %s\n", a.style(a.errOut).yellow("warning:"), w)
	}
	lists, recipients := totals(cfg.Customers)
	fmt.Fprintf(a.out, "%s %s: %s, %s, %s, %s. Nothing secret comes out of any template.\n", s.green("✓"), cfg.Path,
		count(len(cfg.Channels), "channel"), count(len(cfg.Customers), "customer"), count(lists, "list"), count(recipients, "recipient"))
}

func totals(ps []incident.Party) (lists, recipients int) {
	for _, p := range ps {
		lists += len(p.Lists)
		for _, l := range p.Lists {
			recipients += len(l.To)
		}
	}
	return lists, recipients
}
