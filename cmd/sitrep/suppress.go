package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server"
	"sitrep/server/client"
)

const suppressLong = `Lists, adds and removes the addresses that are not written to any more. sitrep adds
one by itself when the other side says that there is no such recipient, when mail to
it comes back for good, and when the recipient unsubscribes with one click.

It is always one address on one channel, never a list, and counts from the next
update on. 'sitrep who' and 'sitrep report' show it with its reason and date. A
recipient who is to be told by contract ('required: true' in the configuration) is
told all the same.

The commands work on the configuration's ledger, or through its server.`

func (a *app) suppressCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suppress",
		Short: "Addresses that are not written to any more: list, add, remove",
		Long:  suppressLong,
		Args:  cobra.ArbitraryArgs,
		RunE:  family,
	}
	cmd.AddCommand(a.suppressListCommand(), a.suppressAddCommand(), a.suppressRemoveCommand())
	return cmd
}

func (a *app) suppressListCommand() *cobra.Command {
	var channel string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List them, since when and why",
		Example: "  sitrep suppress list\n  sitrep suppress list --channel mail --json",
		Args:    args(0, "nothing"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.suppressList(cmd.Context(), channel) },
	}
	cmd.Flags().StringVar(&channel, "channel", "", "only those on the `CHANNEL` with this id")
	return cmd
}

func (a *app) suppressAddCommand() *cobra.Command {
	var channel, reason string
	cmd := &cobra.Command{
		Use:   "add ADDRESS",
		Short: "Do not write to an address any more",
		Long: `Has an address not written to any more, from the next update on and for every
customer. An address that is suppressed already gets the new reason and date. One that
no list has is taken too, with a warning: it may be on one tomorrow.`,
		Example: `  sitrep suppress add alice@abc.example --channel mail --reason "asked for it on the phone"`,
		Args:    args(1, "the address"),
		RunE: func(cmd *cobra.Command, list []string) error {
			return a.suppressAdd(cmd.Context(), ledger.Suppression{Channel: channel, Address: list[0], Reason: reason})
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "the `CHANNEL`'s id")
	cmd.Flags().StringVar(&reason, "reason", "", "`WHY`, for everybody who looks at the address later")
	return cmd
}

func (a *app) suppressRemoveCommand() *cobra.Command {
	var channel string
	cmd := &cobra.Command{
		Use:   "remove ADDRESS",
		Short: "Write to an address again, from the next update on",
		Long: `Has an address written to again, from the next update on. Without --channel on the one
channel where it is suppressed; if there are several, it says which.`,
		Example: "  sitrep suppress remove alice@abc.example\n  sitrep suppress remove alice@abc.example --channel mail",
		Args:    args(1, "the address"),
		RunE: func(cmd *cobra.Command, list []string) error {
			return a.suppressRemove(cmd.Context(), channel, list[0])
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "the `CHANNEL`'s id (default: the only one where it is suppressed)")
	return cmd
}

// suppressing runs near on the configuration's ledger, as open opens it, or far through
// its server.
func (a *app) suppressing(
	ctx context.Context, open withLedger, near func(*config.Config, ledger.Ledger) error, far func(*remote) error,
) error {
	r, err := a.remote()
	if err != nil {
		return err
	}
	if r != nil {
		return a.explain(r, far(r))
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	return open(ctx, cfg, func(_ context.Context, l ledger.Ledger) error { return near(cfg, l) })
}

func (a *app) suppressList(ctx context.Context, channel string) error {
	all := []server.SuppressionView{}
	err := a.suppressing(ctx, a.reading, func(cfg *config.Config, l ledger.Ledger) (err error) {
		all, err = server.Suppressions(ctx, l, cfg.Customers, channel)
		return err
	}, func(r *remote) error {
		got, err := r.Suppressions(ctx, channel)
		all = append(all, got...)
		return err
	})
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(map[string]any{"suppressions": all})
		return nil
	}
	if len(all) == 0 {
		fmt.Fprintln(a.out, "Every address is written to: none is suppressed.")
	}
	s := a.style(a.out)
	for _, x := range all {
		note := ""
		if x.Required {
			note = "  " + s.yellow(ignoredNote)
		}
		fmt.Fprintf(a.out, "%-10s  %s  since %s: %s%s\n", oneLine(x.Channel), s.bold(oneLine(x.Address)), x.Since.UTC().Format(time.DateOnly), oneLine(x.Reason), note)
	}
	return nil
}

// ignoredNote is said of a suppressed address that is told all the same.
const ignoredNote = "(ignored: it is to be told by contract)"

func (a *app) suppressAdd(ctx context.Context, x ledger.Suppression) error {
	if x.Channel == "" || x.Reason == "" {
		return &coded{exitUsage, errors.New("say on which channel and why: --channel mail --reason \"asked for it on the phone\". See 'sitrep suppress add --help'")}
	}
	x.At = a.now()
	var made server.SuppressedView
	err := a.suppressing(ctx, writing, func(cfg *config.Config, l ledger.Ledger) (err error) {
		made, err = server.Suppress(ctx, l, cfg.Customers, addressCheck(cfg), x)
		return notSuppressed(err)
	}, func(r *remote) (err error) {
		made, err = r.Suppress(ctx, x.Channel, x.Address, x.Reason)
		if no, ok := errors.AsType[*client.Refused](err); ok && len(no.Problems) > 0 {
			err = problemsOf(no.Problems)
		}
		return notSuppressed(err)
	})
	if err != nil {
		return err
	}
	a.warnUnlisted(made)
	if a.json {
		a.printJSON(map[string]any{"suppression": made})
		return nil
	}
	fmt.Fprintf(a.out, "Suppressed: from the next update on nothing is sent to %s on %s. Undo it with: sitrep suppress remove %s --channel %s\n",
		oneLine(made.Address), oneLine(made.Channel), oneLine(made.Address), oneLine(made.Channel))
	return nil
}

func notSuppressed(err error) error {
	if bad, ok := errors.AsType[incident.Problems](err); ok {
		return &coded{exitUsage, fmt.Errorf("nothing was suppressed\n%w", bad)}
	}
	return err
}

// warnUnlisted says that no list has an address, for it may be mistyped.
func (a *app) warnUnlisted(made server.SuppressedView) {
	if !made.Unlisted {
		return
	}
	meant := ""
	if len(made.Near) > 0 {
		var all []string
		for _, address := range made.Near {
			all = append(all, oneLine(address))
		}
		meant = " Did you mean " + strings.Join(all, " or ") + "?"
	}
	fmt.Fprintf(a.errOut, "%s no list has %s on %s, so nothing changes by it now.%s\n", a.style(a.errOut).yellow("warning:"),
		oneLine(made.Address), oneLine(made.Channel), meant)
}

func (a *app) suppressRemove(ctx context.Context, channel, address string) error {
	there := true
	err := a.suppressing(ctx, writing, func(cfg *config.Config, l ledger.Ledger) (err error) {
		channel, err = whereSuppressed(channel, address, func() ([]server.SuppressionView, error) {
			return server.Suppressions(ctx, l, cfg.Customers, "")
		})
		if err != nil {
			return err
		}
		there, err = server.Lift(ctx, l, channel, address)
		return err
	}, func(r *remote) (err error) {
		channel, err = whereSuppressed(channel, address, func() ([]server.SuppressionView, error) { return r.Suppressions(ctx, "") })
		if err != nil {
			return err
		}
		if err = r.Unsuppress(ctx, channel, address); absent(err) {
			there, err = false, nil
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !there:
		return &coded{exitUsage, fmt.Errorf("%s is not suppressed on %s. 'sitrep suppress list' lists what is", oneLine(address), oneLine(channel))}
	}
	if a.json {
		a.printJSON(map[string]any{"removed": map[string]string{"channel": channel, "address": address}})
		return nil
	}
	fmt.Fprintf(a.out, "Removed: %s on %s is written to again, from the next update on.\n", oneLine(address), oneLine(channel))
	return nil
}

// whereSuppressed is the channel, or where none is named the only one of all on which an
// address is suppressed.
func whereSuppressed(channel, address string, list func() ([]server.SuppressionView, error)) (string, error) {
	if channel != "" {
		return channel, nil
	}
	all, err := list()
	if err != nil {
		return "", err
	}
	_, bare := incident.SplitName(address)
	var on []string
	for _, x := range all {
		if strings.EqualFold(x.Address, bare) && !slices.Contains(on, x.Channel) {
			on = append(on, x.Channel)
		}
	}
	switch len(on) {
	case 0:
		return "", &coded{exitUsage, fmt.Errorf("%s is not suppressed on any channel. 'sitrep suppress list' lists what is", oneLine(address))}
	case 1:
		return on[0], nil
	}
	return "", &coded{exitUsage, fmt.Errorf("%s is suppressed on %s: say on which it is to be written to again, such as --channel %s",
		oneLine(address), oneLine(strings.Join(on, " and ")), oneLine(on[0]))}
}
