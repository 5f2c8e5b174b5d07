package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sitrep/channels"
	"sitrep/channels/mattermost"
	"sitrep/config"
	"sitrep/incident"
	"sitrep/ledger"
)

const drillLong = `A fire drill: tries everything that can be tried without anybody noticing, and says
what works. Nothing is sent, and nothing is written to the ledger. It works from this
machine with its configuration, also where there is a server.

  e-mail        each relay: connection, TLS and its certificate, login, sender; then every
                recipient (MAIL and RCPT, then RSET). A relay may take a recipient now and
                return the mail later, so "ok" means that the relay would take it
  Mattermost    with a bot: the token, the room, and whether the bot is in it
  all others    cannot be tried without sending, and are named as that

Who is suppressed, and so is not written to, is named and not tried.

The exit code is 0 only if everything that was tried works; 5 if something does not; 6 if
something should be tried again later, was not reached any more, or nothing could be tried.`

// drillOptions are the flags.
type drillOptions struct {
	channels, customers []string
	timeout             time.Duration
}

func (a *app) drillCommand() *cobra.Command {
	var o drillOptions
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Prove that channels and recipients work, without sending anything",
		Long:  drillLong,
		Example: `  sitrep drill
  sitrep drill --channel mail --customer abc
  sitrep drill --json`,
		Args: args(0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.drill(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.channels, "channel", nil, "only the channels with these `IDS`, separated by commas")
	flags.StringSliceVar(&o.customers, "customer", nil, "only the recipients of these `CUSTOMERS`, separated by commas")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how `LONG` each recipient, and each channel's own steps, may take")
	return cmd
}

// What became of a recipient. The words are part of the JSON answer.
const (
	drillOK        = "ok"
	drillRefused   = "refused"
	drillTemporary = "temporary"
	drillNotTried  = "not_tried"
	drillGone      = "suppressed" // not written to any more, so not tried
)

// drilled is a channel and what the drill found of it.
type drilled struct {
	Channel    string           `json:"channel"`
	Kind       string           `json:"kind"`
	Steps      []drillStep      `json:"steps"`
	Recipients []drillRecipient `json:"recipients"`
	NotTried   string           `json:"not_tried,omitempty"` // why recipients, or some of them, were not tried

	channel channels.Channel
}

// drillStep is what concerns the channel itself.
type drillStep struct {
	Remote string    `json:"remote,omitempty"`
	Step   string    `json:"step"`
	OK     bool      `json:"ok"`
	Detail string    `json:"detail,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	Fault  string    `json:"fault,omitempty"`
}

// drillRecipient is one recipient of a channel.
type drillRecipient struct {
	Address   string   `json:"address"`
	Name      string   `json:"name,omitempty"`
	Customers []string `json:"customers"`
	Required  bool     `json:"required,omitempty"`
	Result    string   `json:"result"`
	Fault     string   `json:"fault,omitempty"`
	Words     string   `json:"words,omitempty"` // the other side's

	Suppressed string    `json:"suppressed,omitempty"` // why the address is not written to any more
	Since      time.Time `json:"suppressed_since,omitzero"`
	Ignored    bool      `json:"ignored,omitempty"` // it is written to all the same, for it is required

	to channels.Recipient
}

func (a *app) drill(ctx context.Context, o drillOptions) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	all, err := a.drillPlan(cfg, o)
	if err != nil {
		return err
	}
	a.markSuppressed(ctx, cfg, all)
	show := newProgress(a)
	for i := range all {
		all[i].run(ctx, o.timeout, show)
	}
	show.finish()
	var errs []error
	for _, d := range all {
		if c, ok := d.channel.(channels.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	sum := sumDrill(all)
	if a.json {
		a.printJSON(map[string]any{"ok": sum.code() == exitOK, "channels": all, "summary": sum})
	} else {
		a.printDrill(all, sum)
	}
	if err := errors.Join(errs...); err != nil {
		a.log().Warn("the sessions of a channel did not end well", "error", err)
	}
	return ending(sum.code())
}

// markSuppressed marks who is not written to any more, as the ledger has it, or the
// server. Where neither can be read the drill goes on: it is about the channels.
func (a *app) markSuppressed(ctx context.Context, cfg *config.Config, all []drilled) {
	gone, err := a.suppressedNow(ctx, cfg)
	if err != nil {
		fmt.Fprintf(a.errOut, "%s who is suppressed could not be found out, so everybody is tried: %s\n", a.style(a.errOut).yellow("warning:"), printable(err.Error()))
		return
	}
	for _, d := range all {
		for i := range d.Recipients {
			r := &d.Recipients[i]
			x, ok := gone[[2]string{d.Channel, strings.ToLower(strings.TrimSpace(r.Address))}]
			if !ok {
				continue
			}
			r.Suppressed, r.Since, r.Ignored = x.Reason, x.At, r.Required
			if !r.Required {
				r.Result = drillGone
			}
		}
	}
}

// suppressedNow are the addresses that are not written to, by channel and address.
func (a *app) suppressedNow(ctx context.Context, cfg *config.Config) (gone map[[2]string]ledger.Suppression, err error) {
	r, err := a.remote()
	if err != nil {
		return nil, err
	}
	if r != nil {
		gone, err = r.suppressed(ctx)
		return gone, a.explain(r, err)
	}
	err = peeking(ctx, cfg, func(ctx context.Context, l ledger.Ledger) (err error) {
		gone, err = suppressions(ctx, l)
		return err
	})
	return gone, err
}

// peeking is reading for a command that writes nothing whatever it finds, not even to
// bring a ledger up to date.
func peeking(ctx context.Context, cfg *config.Config, f func(context.Context, ledger.Ledger) error) error {
	return steadily(func() error {
		l, err := openReadOnly(ctx, cfg.LedgerAddress)
		if errors.Is(err, ledger.ErrNone) {
			l, err = noLedger{}, nil
		}
		if err != nil {
			return err
		}
		return errors.Join(f(ctx, l), l.Close())
	})
}

// drillPlan is which channels and recipients are tried.
func (a *app) drillPlan(cfg *config.Config, o drillOptions) ([]drilled, error) {
	parties := cfg.Customers
	if len(o.customers) > 0 {
		parties = nil
		for _, name := range o.customers {
			p, err := party(cfg, name)
			if err != nil {
				return nil, err
			}
			parties = append(parties, p)
		}
	}
	for _, id := range o.channels {
		if _, ok := cfg.Channel(id); !ok {
			return nil, &coded{exitUsage, fmt.Errorf("there is no channel %q. The configuration has: %s", oneLine(id), strings.Join(channelIDs(cfg), ", "))}
		}
	}
	var all []drilled
	for _, ch := range cfg.Channels {
		d := drilled{Channel: ch.ID, Kind: ch.Kind, Steps: []drillStep{}, Recipients: drillRecipients(parties, ch.ID)}
		if len(o.channels) > 0 && !slices.Contains(o.channels, ch.ID) || len(o.customers) > 0 && len(d.Recipients) == 0 {
			continue
		}
		var err error
		if d.channel, err = a.openChannel(ch, nil); err != nil {
			return nil, &coded{exitConfig, err}
		}
		d.NotTried = untriable(ch, d.channel)
		all = append(all, d)
	}
	return all, nil
}

func channelIDs(cfg *config.Config) []string {
	var ids []string
	for _, ch := range cfg.Channels {
		ids = append(ids, ch.ID)
	}
	return ids
}

// untriable is why a channel's recipients cannot be tried, or empty.
func untriable(ch config.Channel, c channels.Channel) string {
	var hook mattermost.Config
	switch _, ok := c.(channels.Prober); {
	case ch.Kind == "page":
		return "it is sitrep's own, so there is no other side to try"
	case !ok:
		return "cannot be tried without sending"
	case ch.Kind == "mattermost" && ch.Decode(&hook) == nil && !hook.Webhook.Empty():
		return "what a webhook leads to cannot be tried without sending"
	}
	return ""
}

// drillRecipients are everybody on a channel, each address once.
func drillRecipients(parties []incident.Party, channel string) []drillRecipient {
	all := []drillRecipient{}
	at := map[string]int{}
	for _, p := range parties {
		for _, l := range p.Lists {
			for _, r := range l.To {
				if r.Channel != channel {
					continue
				}
				key := strings.ToLower(strings.TrimSpace(r.Address))
				i, known := at[key]
				if !known {
					i = len(all)
					at[key] = i
					all = append(all, drillRecipient{Address: r.Address, Name: r.Name, Result: drillNotTried, to: channels.Recipient{Address: r.Address, Name: r.Name}})
				}
				all[i].Required = all[i].Required || r.Required
				if !slices.Contains(all[i].Customers, p.ID) {
					all[i].Customers = append(all[i].Customers, p.ID)
				}
			}
		}
	}
	return all
}
