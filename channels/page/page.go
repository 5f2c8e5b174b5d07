// Package page publishes updates on the built-in status page.
//
// # What it promises
//
//   - One send puts one entry on one page, under the delivery's key. The same key
//     again replaces the entry, so a repeated attempt never shows twice.
//   - The page is made the first time something is published on it; any address of
//     the form described at [CheckAddress] is therefore a recipient.
//   - A receipt's permalink is for pages that everybody may read. The link of a
//     private page is the key to it, so it is in no receipt and no error.
//   - What the page refuses (an update that its readers may not see) is final;
//     what it could not keep is tried again; what may or may not have been kept is
//     ambiguous, and Find settles it.
//
// The page itself is elsewhere: it is given through [channels.Env.Pages] and need
// only be a [Publisher].
package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"sitrep/channels"
)

// Config is the stanza of a channel of kind page: there is nothing to say. Where
// readers reach the pages and what stands at their top are settings of the page.
type Config struct{}

// Publisher is the status page as this channel needs it. It is safe for concurrent
// use and returns soon after ctx is done.
//
// An error that is or wraps a [channels.Error] says what became of the update; any
// other error means that nobody knows whether it was kept.
type Publisher interface {
	// Publish puts the update (JSON of [channels.PageUpdate]) on the page, in the
	// place of what was there under the key. The path it returns is where anybody
	// can read it, such as "/i/k7m2#k7m2-2"; empty if the page is private.
	Publish(ctx context.Context, key, address string, update []byte) (path string, err error)

	// Published finds out whether there is an entry under the key on the page.
	Published(ctx context.Context, key, address string) (link string, found bool, err error)
}

// maxPayload is the most one update may take: far more than a person writes, and
// little enough that a page of them stays readable on a phone.
const maxPayload = 1 << 20

// Channel publishes on the built-in status page. It is safe for concurrent use.
type Channel struct {
	id    string
	pages Publisher
}

var (
	_ channels.Channel = (*Channel)(nil)
	_ channels.Finder  = (*Channel)(nil)
	_ channels.Editor  = (*Channel)(nil)
	_ channels.Prober  = (*Channel)(nil)
)

// Kind is the entry for the list of channels.
func Kind() channels.Kind {
	return channels.Kind{New: New, Config: Config{}, Address: CheckAddress}
}

// New builds the channel. env.Pages must be a [Publisher], or nil where a
// configuration is only checked: then every send is unavailable.
func New(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var c Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	pages, ok := env.Pages.(Publisher)
	if env.Pages != nil && !ok {
		return nil, fmt.Errorf("channel %s: a %T cannot publish on a status page: this is a mistake in the program, not in the configuration", env.ID, env.Pages)
	}
	return &Channel{id: env.ID, pages: pages}, nil
}

var addressForm = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// CheckAddress reports what is wrong with the address of a page: it is 1 to 64
// small letters, digits and hyphens. The address "public" is the public page.
func CheckAddress(address string) error {
	if addressForm.MatchString(address) {
		return nil
	}
	return fmt.Errorf("%.80q is not the address of a status page: use 1 to 64 of the characters a-z, 0-9 and -, as in enterprise-abc", address)
}

// Spec is constant. One worker: entries are written one after the other anyway.
// A second publication replaces the first, so an ambiguous one is simply repeated.
func (c *Channel) Spec() channels.Spec {
	return channels.Spec{
		Format:    channels.FormatPage,
		Limits:    channels.Limits{PayloadBytes: maxPayload},
		Ambiguous: channels.ResendAmbiguous,
		Workers:   1,
	}
}

// Send publishes e under e.Key.
func (c *Channel) Send(ctx context.Context, e channels.Envelope) (channels.Receipt, error) {
	return c.publish(ctx, e.Key, e)
}

// Edit replaces the entry that r speaks of. It publishes nothing new: an entry
// that is not there is Rejected.
func (c *Channel) Edit(ctx context.Context, e channels.Envelope, r channels.Receipt) (channels.Receipt, error) {
	at := e
	at.Key = r.RemoteID
	_, found, err := c.Find(ctx, at)
	if err != nil {
		return channels.Receipt{}, err
	}
	if !found {
		return channels.Receipt{}, channels.Errorf(channels.Rejected, "there is nothing to correct on page %q: the earlier update is not on it; publish the correction as an update of its own", e.To.Address)
	}
	return c.publish(ctx, r.RemoteID, e)
}

// Find looks the entry up.
func (c *Channel) Find(ctx context.Context, e channels.Envelope) (channels.Receipt, bool, error) {
	if err := c.ready(e.To.Address); err != nil {
		return channels.Receipt{}, false, err
	}
	link, found, err := c.pages.Published(ctx, e.Key, e.To.Address)
	if err != nil {
		return channels.Receipt{}, false, channels.Errorf(channels.Unavailable, "look at page %q: %w", e.To.Address, err)
	}
	if !found {
		return channels.Receipt{}, false, nil
	}
	return channels.Receipt{RemoteID: e.Key, Permalink: link}, true, nil
}

// Probe reports whether the page could take an update, by asking it for one that
// cannot be there.
func (c *Channel) Probe(ctx context.Context, r channels.Recipient) error {
	_, _, err := c.Find(ctx, channels.Envelope{Key: "probe", To: r})
	return err
}

func (c *Channel) publish(ctx context.Context, key string, e channels.Envelope) (channels.Receipt, error) {
	if err := c.ready(e.To.Address); err != nil {
		return channels.Receipt{}, err
	}
	if err := check(e.Message); err != nil {
		return channels.Receipt{}, err
	}
	if err := ctx.Err(); err != nil {
		return channels.Receipt{}, channels.Errorf(channels.Unavailable, "page %q: nothing was published: %w", e.To.Address, err)
	}
	link, err := c.pages.Publish(ctx, key, e.To.Address, e.Message.Payload)
	if err != nil {
		return channels.Receipt{}, classify(e.To.Address, err)
	}
	return channels.Receipt{RemoteID: key, Permalink: link}, nil
}

// classify keeps the fault the page gave; without one, it may have been kept.
func classify(address string, err error) error {
	if given, ok := errors.AsType[*channels.Error](err); ok {
		return &channels.Error{Fault: given.Fault, RetryAfter: given.RetryAfter, Err: fmt.Errorf("page %q: %w", address, err)}
	}
	return channels.Errorf(channels.Ambiguous, "page %q did not say whether it kept the update: %w", address, err)
}

// ready reports why nothing can be published at the address at all.
func (c *Channel) ready(address string) error {
	if err := CheckAddress(address); err != nil {
		return &channels.Error{Fault: channels.NoRecipient, Err: err}
	}
	if c.pages == nil {
		return channels.Errorf(channels.Unavailable, "channel %s has no status page to publish on: this process was started without one", c.id)
	}
	return nil
}

// check reports why a message is not an update for a page.
func check(m channels.Message) error {
	if m.Format != channels.FormatPage {
		return channels.Errorf(channels.Rejected, "the message is in format %q, a status page takes %q", m.Format, channels.FormatPage)
	}
	if n := len(m.Payload); n > maxPayload {
		return channels.Errorf(channels.Rejected, "the update is %d bytes as a page shows it, at most %d are taken: shorten it", n, maxPayload)
	}
	var u channels.PageUpdate
	if err := json.Unmarshal(m.Payload, &u); err != nil {
		return channels.Errorf(channels.Rejected, "the update is not in the form a status page takes: %w", err)
	}
	if u.Incident == "" || u.Audience == "" || u.Status == "" || u.At.IsZero() {
		return channels.Errorf(channels.Rejected, "the update lacks its incident, audience, status or time: a page cannot place it")
	}
	return nil
}
