package statuspage

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
)

// publicAddress is the page at "/".
const publicAddress = "public"

// entry is one update on a page, as it was published. Entries read together are
// shared between requests: nobody changes them.
type entry struct {
	key       string
	id        string // of the incident, in links: see linkID
	published time.Time
	update    channels.PageUpdate
}

// thread is one incident on a page: its updates, newest first, at least one.
type thread []entry

func (t thread) id() string           { return t[0].id }
func (t thread) latest() entry        { return t[0] }
func (t thread) resolved() bool       { return t[0].update.Status == string(incident.Resolved) }
func (t thread) zone() *time.Location { return location(t[0].update.Zone) }

// published is when anything of the thread last appeared or changed.
func (t thread) published() time.Time {
	return slices.MaxFunc(t, func(a, b entry) int { return a.published.Compare(b.published) }).published
}

// lasted is how long the incident has lasted at now, or lasted in all. Negative
// if nobody said when it began.
func (t thread) lasted(now time.Time) time.Duration {
	u := t[0].update
	if u.Started.IsZero() {
		return -1
	}
	if t.resolved() {
		now = u.At
	}
	return max(0, now.Sub(u.Started))
}

// read returns a page's entries that can be understood. What cannot is left out,
// for nothing of it would be shown anyway, and is told in broken.
func read(ctx context.Context, pages ledger.Pages, address string) (entries []entry, broken []error, err error) {
	rows, err := pages.Entries(ctx, address, time.Time{})
	if err != nil {
		return nil, nil, fmt.Errorf("read page %q: %w", address, err)
	}
	if len(rows) == 0 {
		return nil, nil, nil // and make no page for an address that somebody made up
	}
	page, err := pages.Page(ctx, address)
	if err != nil {
		return nil, nil, fmt.Errorf("read page %q: %w", address, err)
	}
	for _, row := range rows {
		u, err := decode(row.Payload)
		if err != nil {
			broken = append(broken, fmt.Errorf("entry %s of page %q: %w", row.Key, address, err))
			continue
		}
		entries = append(entries, entry{key: row.Key, id: linkID(page.Token, u.Incident), published: row.At, update: u})
	}
	return entries, broken, nil
}

// linkID is what an incident is called in links. It is keyed with the page's token,
// so that nobody can try whether an incident of a customer they think of is the one
// they see, or recognise it on another page.
func linkID(token, incident string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(incident))
	return strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)[:10]))
}

// decode reads a payload and takes out of its one-line texts what could disturb
// the lines around them.
func decode(payload []byte) (channels.PageUpdate, error) {
	var u channels.PageUpdate
	if err := json.Unmarshal(payload, &u); err != nil {
		return u, fmt.Errorf("not an update for a page: %w", err)
	}
	u.Title, u.Severity = line(u.Title), line(u.Severity)
	for i := range u.Sections {
		u.Sections[i].Heading = line(u.Sections[i].Heading)
	}
	return u, nil
}

// line makes one line of a text: no control characters, and none of the marks
// that turn the direction of the text after them.
func line(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case r < ' ', r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029:
			return ' '
		case turnsText(r):
			return -1
		}
		return r
	}, s)), " ")
}

// turnsText: the embeddings, overrides and isolates of Unicode's bidirectional
// algorithm, which could show a text in another order than it was written.
func turnsText(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// audienceOf is who an entry is for; what nobody knows is internal.
func audienceOf(e entry) incident.Audience {
	if a := incident.Audience(e.update.Audience); a.Valid() {
		return a
	}
	return incident.Internal
}

// forEverybody reports whether a page may be read without its token.
func forEverybody(entries []entry) bool {
	return !slices.ContainsFunc(entries, func(e entry) bool { return audienceOf(e) != incident.Public })
}

// forHolders is what may be seen by those who have the link: everything, unless
// the link is in the hands of customers, who see nothing internal.
func forHolders(entries []entry) []entry {
	outside := func(e entry) bool { return audienceOf(e) != incident.Internal }
	if !slices.ContainsFunc(entries, outside) {
		return entries
	}
	shown := make([]entry, 0, len(entries))
	for _, e := range entries {
		if outside(e) {
			shown = append(shown, e)
		}
	}
	return shown
}

// threads gathers entries by incident, the most recently updated first.
func threads(entries []entry) []thread {
	byID := map[string]thread{}
	for _, e := range entries {
		byID[e.id] = append(byID[e.id], e)
	}
	all := make([]thread, 0, len(byID))
	for _, t := range byID {
		all = append(all, once(t))
	}
	slices.SortFunc(all, func(a, b thread) int {
		return cmp.Or(b.latest().update.At.Compare(a.latest().update.At), cmp.Compare(a.id(), b.id()))
	})
	return all
}

// once puts a thread's newest update first and keeps one entry of each update: a
// page reached in two ways has it twice, perhaps for two audiences, and the one
// for the less privileged audience says the less.
func once(t thread) thread {
	slices.SortFunc(t, func(a, b entry) int {
		return cmp.Or(
			cmp.Compare(b.update.Seq, a.update.Seq),
			cmp.Compare(privilege(a), privilege(b)),
			b.published.Compare(a.published),
			cmp.Compare(a.key, b.key),
		)
	})
	return slices.CompactFunc(t, func(a, b entry) bool { return a.update.Seq == b.update.Seq })
}

// privilege orders audiences, the least privileged first.
func privilege(e entry) int {
	return -slices.Index(incident.Audiences(), audienceOf(e))
}

// location is a time zone by its IANA name; UTC for a name nobody knows. "Local"
// would be the zone of this machine, which is nobody's business.
func location(name string) *time.Location {
	if name == "Local" {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}
