package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

const retryLong = `Tries again what failed, bounced, expired or is unknown of an update, and nothing
else: nobody who got it gets it twice. Only the latest update of an incident can be
tried again, for old news must not follow new. Addresses that were suppressed
because of it are written to again, for you ask for it; whoever unsubscribed is not.`

func (a *app) retryCommand() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:     "retry UPDATE",
		Short:   "Try again only what failed or is unknown",
		Long:    retryLong,
		Example: "  sitrep retry mfrggzdf",
		Args:    args(1, "the update's key"),
		RunE: func(cmd *cobra.Command, list []string) error {
			return a.retry(cmd.Context(), list[0], f)
		},
	}
	cmd.Flags().DurationVar(&f.timeout, "timeout", 2*time.Minute, "how `LONG` to wait, such as 5m; what is pending then stays in the ledger")
	cmd.Flags().StringVar(&f.metricsFile, "metrics-file", "", "write Prometheus metrics to `FILE`, for the node exporter's textfile collector")
	return cmd
}

func (a *app) retry(ctx context.Context, name string, f sendFlags) error {
	if err := f.metricsWritable(); err != nil {
		return err
	}
	show := &watcher{progress: newProgress(a)}
	return a.with(ctx, show.event, func(ctx context.Context, h *house) error {
		u, err := oneUpdate(ctx, h.ledger, name)
		if err != nil {
			return err
		}
		again, err := h.dispatcher.TryAgain(ctx, u.Key)
		if err != nil {
			return a.notRetried(err)
		}
		a.printRetried(u, again)
		return a.deliver(ctx, h, show, u, nil, f)
	})
}

// printRetried says how many are tried again, and who is not and why.
func (a *app) printRetried(u ledger.Update, again dispatcher.Retried) {
	if a.json {
		return
	}
	fmt.Fprintf(a.out, "Update %d of %s: %s to try again.\n", u.Seq, oneLine(u.Incident), count(again.Reopened, "delivery"))
	for _, l := range again.Left {
		fmt.Fprintf(a.out, "  %s: %s.\n", a.style(a.out).yellow(count(l.Count, "delivery")+" left as it ended"), oneLine(l.Why))
	}
}

// notRetried turns what the dispatcher refuses into a message and an exit code.
func (a *app) notRetried(err error) error {
	if problems, ok := errors.AsType[incident.Problems](err); ok {
		return &coded{exitRefused, problems}
	}
	return err
}

// oneUpdate finds the one update that name means.
func oneUpdate(ctx context.Context, l ledger.Reader, name string) (ledger.Update, error) {
	updates, err := findUpdates(ctx, l, name)
	if err != nil {
		return ledger.Update{}, err
	}
	if len(updates) > 1 {
		return ledger.Update{}, &coded{exitUsage, fmt.Errorf("%q means %s. Name one by its key: 'sitrep report %s' shows them",
			oneLine(name), count(len(updates), "update"), oneLine(name))}
	}
	return updates[0], nil
}
