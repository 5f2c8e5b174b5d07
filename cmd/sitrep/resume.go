package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sitrep/dispatcher"
	"sitrep/ledger"
)

// resume works everything that is pending, whatever it is of.
func (a *app) resume(ctx context.Context, f sendFlags) error {
	show := &watcher{progress: newProgress(a)}
	return a.with(ctx, show.event, func(ctx context.Context, h *house) error {
		pending, err := h.ledger.Tally(ctx, ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		if len(pending) == 0 {
			return a.nothingPending(h, f)
		}
		show.begin("", pending)
		bounded, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		workErr := h.dispatcher.Work(bounded, dispatcher.Scope{})
		show.progress.finish()
		return errors.Join(a.concludeResume(ctx, h, show, workErr), a.writeMetrics(h, f.metricsFile))
	})
}

func (a *app) nothingPending(h *house, f sendFlags) error {
	if a.json {
		a.printJSON(map[string]any{"updates": []account{}})
	} else {
		fmt.Fprintln(a.out, "Nothing is pending: every delivery in the ledger has its outcome.")
	}
	return a.writeMetrics(h, f.metricsFile)
}

// concludeResume reports every update that something was done about, or that is
// still pending.
func (a *app) concludeResume(ctx context.Context, h *house, show *watcher, workErr error) error {
	read, stop := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer stop()
	keys, err := withPending(read, h.ledger, show.updates())
	if err != nil {
		return err
	}
	worst, accounts := exitOK, []account{}
	for _, key := range keys {
		u, err := oneUpdate(read, h.ledger, key)
		if err != nil {
			return err
		}
		acc, err := readAccount(read, h.ledger, u, false)
		if err != nil {
			return err
		}
		worst = max(worst, acc.code())
		accounts = append(accounts, acc)
	}
	left, err := pendingNow(read, h.ledger)
	if err != nil {
		return err
	}
	if left > 0 {
		worst = exitPending
	}
	a.printResumed(accounts, left, show.rests(), workErr)
	if worst != exitOK {
		return exitCode(worst)
	}
	return nil
}

// withPending adds the updates that still have something pending.
func withPending(ctx context.Context, l ledger.Reader, keys []string) ([]string, error) {
	for d, err := range l.Deliveries(ctx, ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}}) {
		if err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		if !slices.Contains(keys, d.Update) {
			keys = append(keys, d.Update)
		}
	}
	return keys, nil
}

func pendingNow(ctx context.Context, l ledger.Reader) (int, error) {
	tallies, err := l.Tally(ctx, ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})
	if err != nil {
		return 0, fmt.Errorf("read the ledger: %w", err)
	}
	n := 0
	for _, t := range tallies {
		n += t.Count
	}
	return n, nil
}

func (a *app) printResumed(accounts []account, left int, rests []string, workErr error) {
	if a.json {
		a.printJSON(map[string]any{"updates": accounts, "pending": left})
		return
	}
	for _, acc := range accounts {
		fmt.Fprintln(a.out)
		a.printAccount(acc)
	}
	if left > 0 {
		a.printRests(rests)
		fmt.Fprintf(a.out, "\n%s %s still pending. Nothing is lost: run 'sitrep send --resume' again.\n", stopped(workErr), count(left, "delivery"))
	}
}
