package statuspage

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
)

// Publisher is the page's own way in: the remote side of channels/page. It is safe
// for concurrent use.
type Publisher struct {
	pages ledger.Pages
	base  string
	now   func() time.Time
}

// NewPublisher publishes on the pages of a ledger. base is where readers reach the
// pages from outside, as in [Options]; without it there are no links to give. A nil
// now is the system's clock; it dates the publication, not the update.
func NewPublisher(pages ledger.Pages, base string, now func() time.Time) *Publisher {
	if now == nil {
		now = time.Now
	}
	return &Publisher{pages: pages, base: strings.TrimRight(base, "/"), now: now}
}

// Publish puts an update (JSON of [channels.PageUpdate]) on a page, in the place of
// what was there under the key, and returns the link at which everybody can read
// it: empty for a private page, and without a base. Publishing what is there already changes nothing.
//
// What the page's readers may not see is [channels.Rejected]; what certainly was
// not kept is [channels.Unavailable]; any other error leaves it open.
func (p *Publisher) Publish(ctx context.Context, key, address string, update []byte) (string, error) {
	u, err := p.admit(ctx, address, update)
	if err != nil {
		return "", err
	}
	there, err := p.pages.Entry(ctx, key)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return "", channels.Errorf(channels.Unavailable, "nothing was published, the ledger cannot be read: %w", err)
	}
	if err == nil && there.Page == address && bytes.Equal(there.Payload, update) {
		return p.link(ctx, address, u), nil
	}
	if _, err := p.pages.Page(ctx, address); err != nil { // so that it has its link from now on
		return "", channels.Errorf(channels.Unavailable, "nothing was published, the page cannot be made: %w", err)
	}
	e := ledger.PageEntry{Key: key, Page: address, At: p.now().UTC(), Payload: update}
	if err := p.pages.Publish(ctx, e); err != nil {
		return "", err
	}
	return p.link(ctx, address, u), nil
}

// Published reports whether there is an entry under the key on the page, and the
// link at which everybody can read it.
func (p *Publisher) Published(ctx context.Context, key, address string) (string, bool, error) {
	e, err := p.pages.Entry(ctx, key)
	if errors.Is(err, ledger.ErrNotFound) || err == nil && e.Page != address {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	u, err := decode(e.Payload)
	if err != nil {
		return "", false, err
	}
	return p.link(ctx, address, u), true, nil
}

// admit decides whether an update may go on a page at all.
func (p *Publisher) admit(ctx context.Context, address string, update []byte) (channels.PageUpdate, error) {
	u, err := decode(update)
	if err != nil {
		return u, &channels.Error{Fault: channels.Rejected, Err: err}
	}
	audience := incident.Audience(u.Audience)
	if !audience.Valid() || !slices.Contains(incident.Statuses(), incident.Status(u.Status)) {
		return u, channels.Errorf(channels.Rejected, "the audience %.40q or the status %.40q is not one a page knows", u.Audience, u.Status)
	}
	if address == publicAddress && audience != incident.Public {
		return u, channels.Errorf(channels.Rejected, "everybody reads this page, and the update is for the audience %q: give that list a page of its own, with another address", audience)
	}
	if audience != incident.Internal {
		return u, nil
	}
	return u, p.admitInternal(ctx, address)
}

// admitInternal keeps internal updates off pages whose link outsiders have.
func (p *Publisher) admitInternal(ctx context.Context, address string) error {
	entries, err := p.entries(ctx, address)
	if err != nil {
		return err
	}
	if len(entries) > 0 && audienceOf(forHolders(entries)[0]) != incident.Internal {
		return channels.Errorf(channels.Rejected, "customers have the link of this page, and the update is internal: give the internal list a page of its own, with another address")
	}
	return nil
}

// link is where everybody can read an update that is on a page. It is empty if not
// everybody may, and if that cannot be found out: the update is there all the same.
func (p *Publisher) link(ctx context.Context, address string, u channels.PageUpdate) string {
	if u.Audience != string(incident.Public) || p.base == "" {
		return ""
	}
	page, err := p.pages.Page(ctx, address)
	if err != nil {
		return ""
	}
	id := linkID(page.Token, u.Incident)
	if address == publicAddress {
		return p.base + updatePath("", id, u.Seq)
	}
	entries, err := p.entries(ctx, address)
	if err != nil || !forEverybody(entries) {
		return ""
	}
	return p.base + updatePath("/p/"+address, id, u.Seq)
}

func (p *Publisher) entries(ctx context.Context, address string) ([]entry, error) {
	entries, _, err := read(ctx, p.pages, address)
	if err != nil {
		return nil, channels.Errorf(channels.Unavailable, "the page cannot be read: %w", err)
	}
	return entries, nil
}

// updatePath is the path of one update below the path of its page.
func updatePath(page, id string, seq int) string {
	return incidentPath(page, id) + "#" + anchor(id, seq)
}

func incidentPath(page, id string) string { return page + "/i/" + id }

func anchor(id string, seq int) string { return id + "-" + strconv.Itoa(seq) }
