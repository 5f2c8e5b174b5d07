package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sitrep/ledger"
)

const cancelLong = `Takes back what was not sent yet of an update, and says what was delivered before: that
cannot be taken back. An attempt that is under way is let end; if it fails it is not
tried again. What an earlier attempt may have delivered ends as unknown.

What was taken back stays so, also for 'sitrep retry'. The next update of the incident
goes to everybody as usual.`

func (a *app) cancelCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:     "cancel UPDATE",
		Short:   "Take back what was not sent yet",
		Long:    cancelLong,
		Example: "  sitrep cancel mfrggzdf",
		Args:    args(1, "the update's key"),
		RunE: func(cmd *cobra.Command, list []string) error {
			return a.with(cmd.Context(), nil, func(ctx context.Context, h *house) error {
				return a.takeBack(ctx, h.ledger, list[0], timeout, func(ctx context.Context, key string) error {
					_, err := h.dispatcher.Cancel(ctx, key)
					return err
				})
			})
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "how `LONG` to wait for attempts under way to end, such as 1m")
	return cmd
}

// farCancel is cancel through a server.
func (a *app) farCancel(ctx context.Context, r *remote, cmd *cobra.Command, args []string) error {
	f, err := farFlags(cmd)
	if err != nil {
		return err
	}
	return a.takeBack(ctx, r.ledger, args[0], f.timeout, func(ctx context.Context, key string) error {
		_, err := r.Cancel(ctx, key)
		return err
	})
}

// cancelEvery is how often what has become pending again is taken back: well below what
// a server permits a token.
const cancelEvery = 500 * time.Millisecond

// takeBack takes the update that name means back by cancel, waits until nothing of it is
// pending, but no longer than timeout, and reports. While it waits it takes back again:
// an attempt that was under way may have failed and be meant to be repeated.
func (a *app) takeBack(
	ctx context.Context, l ledger.Reader, name string, timeout time.Duration, cancel func(ctx context.Context, key string) error,
) error {
	u, err := oneUpdate(ctx, l, name)
	if err != nil {
		return err
	}
	before, err := readAccount(ctx, l, u, false)
	if err != nil {
		return err
	}
	if err := cancel(ctx, u.Key); err != nil {
		return err
	}
	bounded, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	var later error
	for bounded.Err() == nil {
		left, err := pendingOf(ctx, l, u.Key)
		if err != nil || left == 0 {
			later = err
			break
		}
		sleep(bounded, cancelEvery)
		if later = cancel(ctx, u.Key); later != nil {
			break
		}
	}
	read, done := context.WithTimeout(context.WithoutCancel(ctx), farReadTimeout)
	defer done()
	acc, err := readAccount(read, l, u, false)
	if err != nil {
		return fmt.Errorf("the update is taken back; what became of it cannot be read now, 'sitrep report %s' shows it later: %w", shortKey(u.Key), err)
	}
	return a.concludeCancel(acc, takenBack{
		Cancelled: acc.sum(ledger.Cancelled) - before.sum(ledger.Cancelled), Unknown: acc.sum(ledger.Unknown) - before.sum(ledger.Unknown),
	}, ctx.Err() == nil, later)
}

// takenBack is what a cancel has ended.
type takenBack struct{ Cancelled, Unknown int }

// sum counts the deliveries with an outcome.
func (acc account) sum(o ledger.Outcome) (n int) {
	for _, c := range acc.Channels {
		n += c.Outcomes[o]
	}
	return n
}

// pendingOf counts what of an update has no outcome yet.
func pendingOf(ctx context.Context, l ledger.Reader, update string) (int, error) {
	n, err := unwrittenOf(ctx, l, update) // in this order nobody is missed
	if err != nil {
		return 0, err
	}
	rows, err := l.Tally(ctx, ledger.DeliveryQuery{Update: update, Outcomes: []ledger.Outcome{ledger.Pending}})
	for _, t := range rows {
		n += t.Count
	}
	return n, readError(err)
}

// concludeCancel prints the account and what to do next, and turns it into the exit code.
// later is what went wrong after the first time; without patience somebody interrupted it.
func (a *app) concludeCancel(acc account, back takenBack, patience bool, later error) error {
	if a.json {
		a.printJSON(map[string]any{"update": acc, "cancelled": back.Cancelled, "unknown": back.Unknown})
	} else {
		a.printTakenBack(acc, back)
	}
	if later != nil && patience {
		return later
	}
	return ending(acc.code())
}

func (a *app) printTakenBack(acc account, back takenBack) {
	s := a.style(a.out)
	head := "nothing of it was pending, so there was nothing to take back"
	if back.Cancelled+back.Unknown+acc.Pending > 0 {
		head = count(back.Cancelled, "delivery") + " taken back before they were sent"
		if back.Cancelled == 1 {
			head = "1 delivery taken back before it was sent"
		}
	}
	fmt.Fprintf(a.out, "Update %d of %s: %s.\n", acc.Seq, oneLine(acc.Incident), head)
	if back.Unknown > 0 {
		fmt.Fprintf(a.out, "  %s: not tried again, but an earlier attempt may have arrived.\n", s.yellow(count(back.Unknown, "delivery")))
	}
	fmt.Fprintln(a.out)
	acc.print(a.out, s, a.now())
	if n := acc.Pending - acc.Unwritten; n > 0 {
		fmt.Fprintf(a.out, "\n%s cannot be taken back while an attempt is under way. Run 'sitrep cancel %s' again in a moment.\n",
			s.yellow(count(n, "delivery")), shortKey(acc.Update))
	}
	if acc.Unwritten > 0 {
		fmt.Fprintf(a.out, "\n%s still to be written down, as taken back: a running 'sitrep serve' does it, or 'sitrep send --resume'. None of them is written to.\n",
			s.yellow(count(acc.Unwritten, "recipient")))
	}
	fmt.Fprintln(a.out, "\n"+next(acc))
}

// next is what to do after an update was taken back.
func next(acc account) string {
	begin := fmt.Sprintf("'sitrep new %s --incident %s' begins it", oneLine(acc.Customer), oneLine(acc.Incident))
	if acc.Delivered > 0 {
		return count(acc.Delivered, "recipient") + " got it, and that cannot be taken back. If it is wrong, say what is right in a new update: " + begin + "."
	}
	return "As far as is known nobody got it. Say what is right in a new update: " + begin + ". To send this text after all, give it a key of its own with --key."
}
