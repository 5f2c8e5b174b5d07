package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"sitrep/config"
	"sitrep/incident"
)

const checkLong = `Reads the whole configuration and reports every mistake at once with its file and
line: unknown keys, bad addresses, missing secrets, lists that include each other,
templates that fail or that would show a reader what they must not see. It sends
nothing and opens no connection. Run it in the pipeline that keeps the file.`

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		Short:   "Check the whole configuration: every mistake, with file and line",
		Long:    checkLong,
		Example: "  sitrep check\n  sitrep check --config /etc/sitrep/sitrep.yaml --json",
		Args:    args(0, "nothing"),
		RunE:    func(*cobra.Command, []string) error { return a.check() },
	}
}

func (a *app) check() error {
	cfg, err := a.loadConfig()
	if err != nil {
		if es, ok := errors.AsType[*config.Errors](err); ok && a.json {
			a.printJSON(map[string]any{"ok": false, "problems": es.Problems})
			return exitCode(exitConfig)
		}
		return err
	}
	if a.json {
		a.printJSON(map[string]any{"ok": true, "file": cfg.Path, "warnings": cfg.Warnings()})
		return nil
	}
	s := a.style(a.out)
	for _, w := range cfg.Warnings() {
		fmt.Fprintf(a.errOut, "%s %s\n", a.style(a.errOut).yellow("warning:"), w)
	}
	lists, recipients := totals(cfg.Customers)
	fmt.Fprintf(a.out, "%s %s: %s, %s, %s, %s. Nothing secret comes out of any template.\n", s.green("✓"), cfg.Path,
		count(len(cfg.Channels), "channel"), count(len(cfg.Customers), "customer"), count(lists, "list"), count(recipients, "recipient"))
	return nil
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
