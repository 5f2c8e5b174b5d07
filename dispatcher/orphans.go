package dispatcher

import (
	"context"
	"errors"
	"slices"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// orphans makes a lane for every channel that has pending deliveries and is not in
// the configuration any more. Such a lane sends nothing: it waits for the channel
// to come back and ends what has become too old, so that every delivery reaches an
// outcome.
func (d *Dispatcher) orphans(ctx context.Context) []Lane {
	tallies, err := d.o.Ledger.Tally(ctx, ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})
	if err != nil {
		if ctx.Err() == nil {
			d.trouble("", "count what is pending", err)
		}
		return nil
	}
	known := map[string]bool{}
	for _, l := range d.o.Lanes {
		known[l.ID] = true
	}
	var lost []Lane
	for _, t := range tallies {
		if known[t.Channel] {
			continue
		}
		known[t.Channel] = true
		d.o.Log.Warn("deliveries wait for a channel that is not in the configuration: "+
			"put it back, or they will expire", "channel", t.Channel)
		lane := Lane{ID: t.Channel, Kind: "gone", Channel: gone{}, Workers: 1, Ambiguous: channels.ResendAmbiguous}
		lost = append(lost, lane.filled())
	}
	return lost
}

// fresh wakes the lanes of a channel, or all for "", for deliveries that were written
// down just now. A Run begins a lane for a channel that is not there any more.
func (c *crew) fresh(channel string) {
	c.adopt(channel)
	c.wake(channel)
}

func (c *crew) adopt(channel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := slices.ContainsFunc(c.lanes, func(l *lane) bool { return l.ID == channel })
	if known || channel == "" || !c.forGood || c.start == nil {
		return
	}
	c.d.o.Log.Warn("deliveries wait for a channel that is not in the configuration: "+
		"put it back, or they will expire", "channel", channel)
	c.lanes = append(slices.Clone(c.lanes), c.replace(nil, goneLane(channel)))
}

// gone stands in for a channel that is not in the configuration any more.
type gone struct{}

// How often a delivery of a channel that is gone is looked at again.
const goneEvery = 15 * time.Minute

func (gone) Spec() channels.Spec { return channels.Spec{} }

func (gone) Send(context.Context, channels.Envelope) (channels.Receipt, error) {
	return channels.Receipt{}, errors.New("this channel is not in the configuration any more")
}
