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
	if err := f.metricsWritable(); err != nil {
		return err
	}
	show := &watcher{progress: newProgress(a)}
	return a.with(ctx, show.event, func(ctx context.Context, h *house) error {
		pending, err := h.ledger.Tally(ctx, ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		unwritten, err := unwrittenOf(ctx, h.ledger, "")
		if err != nil {
			return err
		}
		if len(pending)+unwritten == 0 {
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
		a.printJSON(map[string]any{"updates": []account{}, "pending": 0})
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
	writing, err := unwritten(ctx, l)
	for _, x := range writing {
		if !slices.Contains(keys, x.Key) {
			keys = append(keys, x.Key)
		}
	}
	return keys, err
}

// unwritten are the updates whose deliveries are not all written down yet: those that
// are next, of an incident.
func unwritten(ctx context.Context, l ledger.Reader) (all []ledger.Update, err error) {
	if e, ok := l.(ledger.Expander); ok {
		next, err := e.Expansions(ctx, "")
		for _, x := range next {
			all = append(all, ledger.Update{Key: x.Update, Unwritten: x.Count})
		}
		return all, readError(err)
	}
	latest, err := l.Updates(ctx, ledger.UpdateQuery{Limit: 50}) // it takes seconds, so they are among these
	for _, u := range latest {
		if u.Unwritten > 0 {
			all = append(all, u)
		}
	}
	return all, readError(err)
}

// unwrittenOf is how many recipients of an update, or of all for "", have no delivery
// on record yet.
func unwrittenOf(ctx context.Context, l ledger.Reader, update string) (n int, err error) {
	var of []ledger.Update
	if update == "" {
		of, err = unwritten(ctx, l)
	} else {
		of, err = l.Updates(ctx, ledger.UpdateQuery{Key: update})
		of, err = slices.DeleteFunc(of, func(u ledger.Update) bool { return u.Key != update }), readError(err)
	}
	for _, u := range of {
		n += u.Unwritten
	}
	return n, err
}

func readError(err error) error {
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	return nil
}

// pendingNow counts what has no outcome yet.
func pendingNow(ctx context.Context, l ledger.Reader) (int, error) {
	n, err := unwrittenOf(ctx, l, "")
	if err != nil {
		return 0, err
	}
	tallies, err := l.Tally(ctx, ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})
	if err != nil {
		return 0, fmt.Errorf("read the ledger: %w", err)
	}
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
