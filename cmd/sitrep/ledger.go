package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"sitrep/config"
	"sitrep/internal/secret"
	"sitrep/ledger"
)

const ledgerLong = `Looks after the ledger, the durable record of every delivery: brings it up to date,
moves it to another place or kind, drops what is old, and copies it while it is in
use. These commands work on the ledger that the configuration names, never through a
server.`

func (a *app) ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Bring the ledger up to date, move it, prune it, back it up",
		Long:  ledgerLong,
		Args:  cobra.ArbitraryArgs,
		RunE:  family,
	}
	cmd.AddCommand(a.migrateCommand(), a.moveCommand(), a.pruneCommand(), a.backupCommand())
	return cmd
}

// withOwnLedger runs f with the ledger and what people call it.
func (a *app) withOwnLedger(ctx context.Context, f func(ledger.Ledger, string) error) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	return writing(ctx, cfg, func(_ context.Context, l ledger.Ledger) error { return f(l, cfg.Ledger) })
}

func (a *app) migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the ledger's tables up to date",
		Long: `Brings the ledger's tables up to date with this version of sitrep, and makes them if
there are none. Every command that writes does so too when it opens the ledger; this
one does nothing else, for example before several replicas are started anew. A ledger
that a newer version has brought up to date is refused and stays as it is.`,
		Example: "  sitrep ledger migrate",
		Args:    args(0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withOwnLedger(cmd.Context(), func(_ ledger.Ledger, where string) error {
				if a.json {
					a.printJSON(map[string]string{"ledger": where, "migrated": version})
					return nil
				}
				fmt.Fprintf(a.out, "The ledger %s is up to date with sitrep %s.\n", where, version)
				return nil
			})
		},
	}
}

func (a *app) moveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "move ADDRESS",
		Short: "Copy everything into another, empty ledger, and compare",
		Long: `Copies everything from the configuration's ledger into the empty one at ADDRESS
(sqlite://PATH or postgres://USER@HOST/DATABASE), then reads both and compares them.
Stop every sitrep that works on either of them first. The old ledger is only read:
when the copy is done, name the new one in the configuration and start sitrep again.

Tokens and drafts are copied too. Those who follow the events of the API start over.`,
		Example: `  sitrep ledger move postgres://sitrep@db.example.com/sitrep
  sitrep ledger move --to-file /run/secrets/ledger     the address has a password`,
		Args: func(cmd *cobra.Command, list []string) error {
			if file != "" {
				return args(0, "nothing")(cmd, list)
			}
			return args(1, "the new ledger's address")(cmd, list)
		},
		RunE: func(cmd *cobra.Command, list []string) error {
			return a.move(cmd.Context(), strings.Join(list, ""), file)
		},
	}
	cmd.Flags().StringVar(&file, "to-file", "", "a `FILE` that holds the address, for one with a password")
	return cmd
}

func (a *app) move(ctx context.Context, address, file string) error {
	if file != "" {
		text, err := readFile(file, 64<<10)
		if err != nil {
			return &coded{exitUsage, fmt.Errorf("--to-file: %w", err)}
		}
		address = strings.TrimSpace(string(text))
	}
	return a.withOwnLedger(ctx, func(from ledger.Ledger, where string) error {
		if address == where {
			return &coded{exitUsage, errors.New("that is the ledger of the configuration itself")}
		}
		to, err := openAddress(ctx, secret.New(address))
		if err != nil {
			return err
		}
		n, err := ledger.Move(ctx, from, to, a.now())
		if err = errors.Join(err, to.Close()); err != nil {
			return moveFailed(err)
		}
		if a.json {
			a.printJSON(map[string]int{
				"incidents": n.Incidents, "updates": n.Updates, "renderings": n.Renderings, "deliveries": n.Deliveries, "attempts": n.Attempts,
				"suppressions": n.Suppressions, "pauses": n.Pauses, "pages": n.Pages, "entries": n.Entries, "tokens": n.Tokens, "drafts": n.Drafts,
			})
			return nil
		}
		fmt.Fprintf(a.out, "Copied and compared: %s, %s, %s with %s on record, %s, %s, %s, %s, %s.\nNow name the new ledger in the configuration, and start sitrep again.\n",
			count(n.Incidents, "incident"), count(n.Updates, "update"), count(n.Deliveries, "delivery"), count(n.Attempts, "failed attempt"),
			count(n.Suppressions, "suppression"), count(n.Pages, "page"), count(n.Entries, "page entry"), count(n.Tokens, "token"), count(n.Drafts, "draft"))
		return nil
	})
}

func moveFailed(err error) error {
	switch {
	case errors.Is(err, ledger.ErrUnderWay):
		return fmt.Errorf("%w. Nothing was copied", err)
	case errors.Is(err, ledger.ErrNotEmpty):
		return fmt.Errorf("%w: name an empty one. Nothing was copied", err)
	}
	return err
}

func (a *app) pruneCommand() *cobra.Command {
	var age string
	cmd := &cobra.Command{
		Use:   "prune --older-than LONG",
		Short: "Drop resolved incidents that are old",
		Long: `Drops every incident that is resolved, was last updated longer ago than --older-than,
and has nothing pending, with its updates, deliveries and page entries. What is open
or pending stays, however old. It can be run while 'sitrep serve' works.`,
		Example: "  sitrep ledger prune --older-than 400d",
		Args:    args(0, "nothing"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.prune(cmd.Context(), age) },
	}
	cmd.Flags().StringVar(&age, "older-than", "", "how `LONG` ago the last update must be, such as 400d")
	return cmd
}

func (a *app) prune(ctx context.Context, age string) error {
	d, err := config.ParseDuration(age)
	if err != nil || d <= 0 {
		return &coded{exitUsage, errors.New("--older-than must be a length of time, such as 400d. Nothing was dropped")}
	}
	return a.withOwnLedger(ctx, func(l ledger.Ledger, _ string) error {
		p, ok := l.(ledger.Pruner)
		if !ok {
			return &coded{exitConfig, errors.New("this kind of ledger cannot be pruned")}
		}
		n, err := p.Prune(ctx, a.now().Add(-d))
		if err != nil {
			return fmt.Errorf("prune the ledger: %w. What was dropped is dropped whole; run it again", err)
		}
		if a.json {
			a.printJSON(map[string]int{
				"incidents": n.Incidents, "updates": n.Updates, "renderings": n.Renderings, "deliveries": n.Deliveries, "attempts": n.Attempts,
				"entries": n.Entries,
			})
			return nil
		}
		fmt.Fprintf(a.out, "Dropped %s with %s, %s and %s.\n", count(n.Incidents, "incident"), count(n.Updates, "update"),
			count(n.Deliveries, "delivery"), count(n.Entries, "page entry"))
		return nil
	})
}

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy a SQLite ledger into a new file, while it is in use",
		Long: `Writes the ledger as it is at one moment into a new file, which can be used as a
ledger (ledger: sqlite://FILE). It works while 'sitrep serve' does. A PostgreSQL
server has its own tools: pg_dump, or a base backup with its archive.`,
		Example: "  sitrep ledger backup /var/backups/sitrep-2026-11-22.db",
		Args:    args(1, "the new file"),
		RunE:    func(cmd *cobra.Command, list []string) error { return a.backup(cmd.Context(), list[0]) },
	}
}

func (a *app) backup(ctx context.Context, file string) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	return a.reading(ctx, cfg, func(ctx context.Context, l ledger.Ledger) error {
		if _, none := l.(noLedger); none {
			return &coded{exitUsage, fmt.Errorf("there is no ledger %s yet, so there is nothing to back up", cfg.Ledger)}
		}
		b, ok := l.(ledger.Backuper)
		if !ok {
			return &coded{exitUsage, fmt.Errorf("the ledger %s is backed up by the server's own tools, such as pg_dump", cfg.Ledger)}
		}
		if err := b.Backup(ctx, file); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return &coded{exitUsage, err}
			}
			return err
		}
		if a.json {
			a.printJSON(map[string]string{"backup": file})
			return nil
		}
		fmt.Fprintf(a.out, "Wrote %s: the whole ledger as it was at this moment.\n", file)
		return nil
	})
}
