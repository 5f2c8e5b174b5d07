package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// world is what a random test knows of what it has done.
type world struct {
	*rand.Rand
	now       time.Time
	untils    map[string]time.Time // by owner: the end of its leases
	incidents []*happening
	claims    []ledger.Claim
	keys      []string
	number    int
	second    int  // how often the second handle is used, in percent
	calm      bool // little is done that unpacks
}

// happening is an incident and its updates.
type happening struct {
	ledger.Incident
	updates []*report
}

type report struct {
	ledger.Acceptance
	next, chunks int // of those to be written
	scheme       int // of keys
}

var owners = []string{"ann", "bob", "cyd"}

func newWorld(r *rand.Rand) *world {
	w := &world{Rand: r, now: at, untils: map[string]time.Time{}}
	w.second, w.calm = pick(w, 0, 3, 25), w.chance(70)
	for range 3 {
		w.happen()
	}
	return w
}

func (w *world) happen() {
	w.number++
	w.incidents = append(w.incidents, &happening{Incident: ledger.Incident{
		ID: fmt.Sprint("INC-", w.number), Customer: pick(w, "abc", "xyz"), Started: at, Status: "investigating",
	}})
}

func pick[T any](w *world, of ...T) T { return of[w.IntN(len(of))] }

// chance is true so often in a hundred times.
func (w *world) chance(percent int) bool { return w.IntN(100) < percent }

// until is when a lease of an owner ends that begins now. All of its leases that have not
// ended do so at one time: of a pack it is the latest that counts.
func (w *world) until(owner string) time.Time {
	if !w.untils[owner].After(w.now) {
		w.untils[owner] = w.now.Add(time.Duration(5+w.IntN(10)) * time.Minute)
	}
	return w.untils[owner]
}

// report makes an incident's next update.
func (w *world) report(h *happening) *report {
	w.number++
	i := h.Incident
	i.Seq++
	i.Updated = w.now
	i.Status = pick(w, "investigating", "monitoring", "resolved")
	if w.chance(5) {
		i.Seq++
	}
	r := &report{scheme: w.IntN(3), Acceptance: ledger.Acceptance{
		Incident: i,
		Update: ledger.Update{
			Key: fmt.Sprint("update-", w.number), Incident: i.ID, Customer: i.Customer, Seq: i.Seq, Status: i.Status, At: w.now, Accepted: w.now,
		},
		Renderings: []channels.Message{{Format: channels.FormatText, Text: fmt.Sprint("one ", w.number)}, {Format: channels.FormatText, Text: "two"}},
	}}
	if w.calm {
		r.scheme = 1
	}
	r.Deliveries = w.planned(r, pick(w, 0, 1, 2, 3, 5, 10, 30, 60, 90, 90))
	if w.chance(35) {
		r.chunks = 1 + w.IntN(4)
		r.Rest = &ledger.Rest{Roster: fmt.Sprint("roster ", r.chunks), Chunks: r.chunks, Count: 10 * r.chunks}
	}
	return r
}

// planned are deliveries of an update, most of them of the same class; some are for
// recipients who have one already, and few have the key of another.
func (w *world) planned(r *report, n int) []ledger.Planned {
	all := make([]ledger.Planned, n)
	class := ledger.Planned{Channel: pick(w, "mail", "mail", "chat"), List: "list", Audience: "customer"}
	order := w.Perm(100)
	for i := range all {
		switch w.IntN(40) {
		case 0:
			if !w.calm {
				class.Channel = pick(w, "mail", "chat")
			}
		case 1:
			class.List, class.To.Locale = pick(w, "list", "other"), pick(w, "", "de-DE")
		case 2:
			class.Rendering = w.IntN(2)
		case 3:
			class.Suppressed = pick(w, "", "", "signed off")
		case 4:
			class.Expire = w.now.Add(time.Duration(w.IntN(10)) * time.Hour)
		}
		all[i] = class
		who := order[i%100]
		if !w.calm && w.chance(1) || w.IntN(2000) == 0 {
			who = w.IntN(100)
		}
		all[i].To.Address, all[i].To.Name = fmt.Sprintf("a%02d", who), pick(w, "", fmt.Sprint("Ann ", r.Update.Key))
		all[i].Key = w.key(r, all[i].Channel, all[i].To.Address)
		w.keys = append(w.keys, all[i].Key)
	}
	return all
}

func (w *world) key(r *report, channel, address string) string {
	if w.IntN(1000) == 0 && len(w.keys) > 0 && !w.calm {
		return pick(w, w.keys...)
	}
	switch r.scheme {
	case 0:
		return fmt.Sprintf("%s/%s/%s", address, channel, r.Update.Key) // among those of others
	case 1:
		return fmt.Sprintf("%s %s %s", r.Update.Key, channel, address)
	}
	return fmt.Sprintf("%08d %s %s", w.number, channel, address) // of a chunk, say
}

// someone is any update there is.
func (w *world) someone() (*happening, *report) {
	var all []*happening
	for _, h := range w.incidents {
		if len(h.updates) > 0 {
			all = append(all, h)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	h := pick(w, all...)
	if w.chance(50) {
		return h, h.updates[len(h.updates)-1]
	}
	return h, pick(w, h.updates...)
}

// settlement is what might become of a claim.
func (w *world) settlement(c ledger.Claim) ledger.Settlement {
	s := arrived(c, w.now)
	n := w.IntN(30)
	if w.calm && w.chance(70) {
		n = 30
	}
	switch n {
	case 0, 1, 2:
		s = again(c, w.now)
		s.Fault = pick(w, channels.Unavailable, channels.Ambiguous)
		s.Due = w.now.Add(time.Duration(w.IntN(30)-5) * time.Minute)
	case 3:
		s = again(c, w.now)
		s.Untried, s.Due = true, w.now.Add(time.Duration(w.IntN(3))*time.Minute)
	case 4:
		s.Outcome, s.Fault, s.Detail, s.Suppress = ledger.Failed, channels.NoRecipient, "nobody", w.chance(70)
	case 5:
		s.Outcome, s.Fault = pick(w, ledger.Failed, ledger.Unknown, ledger.Expired), channels.Rejected
	case 6:
		s.Detail = "queued"
	case 7:
		s.Owner = pick(w, owners...)
	case 8:
		s.Attempt += w.IntN(3) - 1
	case 9:
		s.ID = int64(w.IntN(2000)) - 5
	case 10:
		s.Receipt.RemoteID, s.Receipt.Thread = "bad \x00 \xff", channels.Thread(fmt.Sprint("bad \x00", c.Key))
	case 11:
		s.Suppress, s.Detail = true, "left"
	case 12:
		s.Untried = true
	}
	return s
}
