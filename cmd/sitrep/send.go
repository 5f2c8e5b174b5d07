package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

const sendLong = `Reads one update in the team's template from FILE (- for standard input), shows who
gets it and which sections they see, and sends it. It waits until everything is
delivered or has failed for good, or until --timeout; whatever is pending then
stays in the ledger and 'sitrep send --resume' goes on with it.

The same update sent twice is delivered once. Nothing is sent to anyone when the
update has a mistake or the leak guard finds something in what customers or the
public would read: mend it, send to '--only internal', or say why it is right with
'--override REASON', which is recorded.

Started from a terminal it asks before it sends; --yes does not ask. It does not ask
in a script, and not when the update comes by standard input.`

// sendFlags are the flags of send.
type sendFlags struct {
	incident, key, next, override, metricsFile string
	only                                       []string
	dryRun, yes, resume                        bool
	timeout                                    time.Duration
}

func (a *app) sendCommand() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send FILE|-",
		Short: "Send an update to everyone who should have it, and report who got it",
		Long:  sendLong,
		Example: `  sitrep send update.md
  sitrep send update.md --dry-run                 who would get it
  sitrep send update.md --only internal           our own people first
  sitrep send - --yes < update.md                 from a script
  sitrep send --resume                            finish what is pending`,
		Args: func(cmd *cobra.Command, list []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			if f.resume {
				return args(0, "nothing")(cmd, list)
			}
			return args(1, "the update's file")(cmd, list)
		},
		RunE: func(cmd *cobra.Command, list []string) error {
			if f.resume {
				return a.resume(cmd.Context(), f)
			}
			return a.send(cmd.Context(), list[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.incident, "incident", "", "the incident's `ID`; default: what the update says, the customer's only open one, or a new one")
	flags.StringVar(&f.next, "next", "", "when the next update comes, as `TIME` (8:30am ET) or in 45m; wins over the text")
	flags.StringVar(&f.key, "key", "", "idempotency `KEY`: what has been sent under it is not sent again (default: derived from the text)")
	flags.StringSliceVar(&f.only, "only", nil, "send only to `WHOM`: audiences, lists or channels, separated by commas. Words of one sort add up, of different sorts must all hold (internal,mail: internal recipients by mail)")
	flags.StringVar(&f.override, "override", "", "send although the leak guard objects; the `REASON` is recorded")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show who would get it and stop")
	flags.BoolVar(&f.yes, "yes", false, "do not ask before sending")
	flags.BoolVar(&f.resume, "resume", false, "send nothing new: go on with everything that is pending in the ledger")
	flags.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how `LONG` to wait, such as 5m; what is pending then stays in the ledger")
	flags.StringVar(&f.metricsFile, "metrics-file", "", "write Prometheus metrics to `FILE`, for the node exporter's textfile collector")
	return cmd
}

// check finds flags that do not go together, or with themselves.
func (f sendFlags) check(cmd *cobra.Command) error {
	if f.timeout <= 0 {
		return &coded{exitUsage, fmt.Errorf("--timeout %s is no time to wait: write one such as 30s or 5m. See '%s --help'", f.timeout, cmd.CommandPath())}
	}
	if f.resume {
		for _, name := range []string{"dry-run", "only", "override", "key", "next", "incident"} {
			if cmd.Flags().Changed(name) {
				return &coded{exitUsage, fmt.Errorf("--resume goes on with everything that is pending, so --%s does not go with it. See '%s --help'", name, cmd.CommandPath())}
			}
		}
	}
	return nil
}

// send takes an update from its text to the account of who got it.
func (a *app) send(ctx context.Context, file string, f sendFlags) error {
	src, err := a.readUpdate(file)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.withReading(ctx, func(ctx context.Context, h *house) error { return a.rehearse(ctx, h, file, src, f) })
	}
	if err := f.metricsWritable(); err != nil {
		return err
	}
	show := &watcher{progress: newProgress(a)}
	return a.with(ctx, show.event, func(ctx context.Context, h *house) error {
		p, err := h.dispatcher.Prepare(ctx, f.submission(src))
		if err != nil {
			return a.refused(file, err)
		}
		a.printPrepared(file, p)
		if err := a.confirm(file, p, f.yes); err != nil {
			return err
		}
		accepted, err := h.dispatcher.Publish(ctx, p)
		if err != nil {
			return a.refused(file, err)
		}
		a.printAccepted(accepted)
		more, err := coming(ctx, h.ledger, p, accepted.Update)
		if err != nil {
			return err
		}
		return a.deliver(ctx, h, show, accepted.Update, more, f)
	})
}

// rehearse is a send that ends before it sends.
func (a *app) rehearse(ctx context.Context, h *house, file string, src []byte, f sendFlags) error {
	p, err := h.dispatcher.Prepare(ctx, f.submission(src))
	if err != nil {
		return a.refused(file, err)
	}
	a.printPrepared(file, p)
	return a.dryRun(p)
}

func (f sendFlags) submission(src []byte) dispatcher.Submission {
	return dispatcher.Submission{
		Source: src, Incident: f.incident, Key: f.key, Next: f.next, Only: f.only, Override: f.override,
	}
}

// deliver works the update's incident until it is done or time is up, and reports. more
// is what is not written down yet, to be shown.
func (a *app) deliver(ctx context.Context, h *house, show *watcher, u ledger.Update, more []ledger.Tally, f sendFlags) error {
	expected, err := h.ledger.Tally(ctx, ledger.DeliveryQuery{Update: u.Key, Outcomes: []ledger.Outcome{ledger.Pending}})
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	show.begin(u.Key, append(expected, more...))
	bounded, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	workErr := h.dispatcher.Work(bounded, dispatcher.Scope{Incident: u.Incident})
	show.progress.finish()

	read, stop := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer stop()
	acc, err := readAccount(read, h.ledger, u, false)
	if err != nil {
		return err
	}
	return errors.Join(a.conclude(acc, show.rests(), workErr), a.writeMetrics(h, f.metricsFile))
}

// conclude prints the account and turns it into the exit code.
func (a *app) conclude(acc account, rests []string, workErr error) error {
	if a.json {
		a.printJSON(map[string]any{"update": acc, "warnings": problemList(a.warnings)})
	} else {
		s := a.style(a.out)
		fmt.Fprintln(a.out)
		acc.print(a.out, s, a.now())
		if acc.Pending > 0 {
			a.printRests(rests)
			fmt.Fprintf(a.out, "\n%s %s still pending. Nothing is lost: 'sitrep send --resume' goes on with it.\n",
				s.yellow(stopped(workErr)), count(acc.Pending, "delivery"))
		}
	}
	if workErr != nil && !errors.Is(workErr, context.DeadlineExceeded) && !errors.Is(workErr, context.Canceled) {
		return workErr
	}
	if code := acc.code(); code != exitOK {
		return exitCode(code)
	}
	return nil
}

func (a *app) printRests(rests []string) {
	for _, r := range rests {
		fmt.Fprintf(a.out, "\n%s %s\n", a.style(a.out).yellow("Paused:"), r)
	}
}

func stopped(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "Time is up:"
	case errors.Is(err, context.Canceled):
		return "Interrupted:"
	}
	return "Not finished:"
}

// confirm asks on a terminal. Elsewhere there is nobody to ask.
func (a *app) confirm(file string, p dispatcher.Prepared, yes bool) error {
	if yes || a.json || file == "-" || !isTerminal(a.in) || !isTerminal(a.errOut) || p.New == 0 {
		return nil
	}
	fmt.Fprintf(a.errOut, "\nSend it to %s? [y/N] ", count(told(p.Plan), "recipient"))
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if word := strings.ToLower(strings.TrimSpace(answer)); err == nil && (word == "y" || word == "yes") {
		return nil
	}
	fmt.Fprintln(a.errOut, "Nothing was sent.")
	return exitCode(exitRefused)
}

// metricsWritable finds out before anything is sent whether the metrics can be written
// afterwards: a new file beside the old one that takes its place.
func (f sendFlags) metricsWritable() error {
	if f.metricsFile == "" {
		return nil
	}
	refused := func(why error) error {
		return &coded{exitUsage, fmt.Errorf("--metrics-file %s: %w. Name a file in a directory you may write to. Nothing was sent to anyone", f.metricsFile, why)}
	}
	if info, err := os.Stat(f.metricsFile); err == nil && info.IsDir() {
		return refused(errors.New("it is a directory"))
	}
	probe, err := os.CreateTemp(filepath.Dir(f.metricsFile), ".sitrep-metrics-*")
	if err != nil {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err // its path is our own
		}
		return refused(fmt.Errorf("nothing can be written there: %w", err))
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func (a *app) writeMetrics(h *house, file string) error {
	if file == "" {
		return nil
	}
	if err := h.metrics.WriteTextfile(file); err != nil {
		return fmt.Errorf("--metrics-file: %w", err)
	}
	return nil
}

// refused explains why nothing was sent, to people or programs.
func (a *app) refused(file string, err error) error {
	refusal, leaked := errors.AsType[*dispatcher.Refusal](err)
	problems, bad := errors.AsType[incident.Problems](err)
	switch {
	case leaked:
		a.printRefusal(file, refusal)
	case bad:
		a.printProblems(file, problems)
	default:
		return err
	}
	return exitCode(exitRefused)
}
