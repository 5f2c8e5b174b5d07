package ledger

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"sitrep/channels"
)

// The most that is kept of what a remote side said, in bytes. A thread or receipt
// beyond it is dropped, for half of one is worth nothing; a detail is cut.
const (
	MaxDetail  = 2 << 10
	MaxReceipt = 2 << 10
	MaxThread  = 8 << 10
)

// Check reports everything that makes an acceptance impossible to record. Every
// engine calls it first; what it finds is a mistake of the program, not of a person.
func (a Acceptance) Check() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	u := a.Update
	refuse(u.Key == "", "the update has no key")
	refuse(u.Incident == "" || u.Incident != a.Incident.ID, "the update is of incident %q, not %q", u.Incident, a.Incident.ID)
	refuse(u.Seq < 1, "the update's sequence number is %d", u.Seq)
	refuse(u.Accepted.IsZero(), "the update has no time of acceptance")
	refuse(!text(u.Key, u.Incident, u.Customer, u.Status, u.Title, u.Source, u.Override, a.Incident.Severity, a.Incident.Status),
		"the update holds text that is not valid UTF-8 without U+0000")
	for i, m := range a.Renderings {
		refuse(!text(string(m.Format), m.Subject, m.Text, m.HTML), "rendering %d holds text that is not valid UTF-8 without U+0000", i)
	}
	if a.Rest != nil {
		errs = append(errs, a.Rest.check())
	}
	for i := range a.Deliveries {
		if err := a.Deliveries[i].check(len(a.Renderings)); err != nil {
			errs = append(errs, fmt.Errorf("delivery %d: %w", i, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("update %q cannot be recorded: %w", u.Key, err)
	}
	return nil
}

func (p *Planned) check(renderings int) error {
	switch {
	case p.Key == "" || p.Channel == "":
		return errors.New("it has no key or no channel")
	case p.Rendering < 0 || p.Rendering >= renderings:
		return fmt.Errorf("there is no rendering %d", p.Rendering)
	case !text(p.Key, p.Channel, p.To.Address, p.To.Name, p.To.Locale, p.To.Zone, p.List, p.Audience, p.Suppressed):
		return errors.New("it holds text that is not valid UTF-8 without U+0000")
	}
	return nil
}

func (r *Rest) check() error {
	switch {
	case r.Roster == "" || !text(r.Roster):
		return fmt.Errorf("the roster cannot be called %q", r.Roster)
	case r.Chunk < 0 || r.Chunk >= r.Chunks:
		return fmt.Errorf("chunk %d of %d is to be written next: there is none", r.Chunk, r.Chunks)
	case r.Count < 1:
		return fmt.Errorf("%d recipients are to be written", r.Count)
	}
	return nil
}

// Check reports a chunk that no engine can record: a mistake of the program. The
// number of renderings is the engine's to know.
func (e Expanded) Check(renderings int) error {
	var errs []error
	if e.Chunk < 0 || e.Count < 0 || e.Now.IsZero() {
		errs = append(errs, fmt.Errorf("its number is %d, its recipients are %d, its time is %v", e.Chunk, e.Count, e.Now))
	}
	for i := range e.Deliveries {
		if err := e.Deliveries[i].check(renderings); err != nil {
			errs = append(errs, fmt.Errorf("delivery %d: %w", i, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("chunk %d of update %q cannot be recorded: %w", e.Chunk, e.Update, err)
	}
	return nil
}

// Check reports what no engine can record of a delivery: a mistake of the program.
func (b Bounce) Check() error {
	switch {
	case b.At.IsZero():
		return errors.New("a bounce has no time")
	case b.Delayed:
		return nil
	case b.Fault != channels.NoRecipient && b.Fault != channels.Rejected && b.Fault != channels.Unavailable:
		return fmt.Errorf("%q is not why a message comes back", b.Fault)
	}
	return nil
}

// Check reports a settlement that no engine can record: a mistake of the program.
func (s Settlement) Check() error {
	if s.Outcome != Pending && !s.Outcome.Valid() {
		return fmt.Errorf("delivery %d: %q is not an outcome", s.ID, s.Outcome)
	}
	if s.Fault != "" && !s.Fault.Valid() {
		return fmt.Errorf("delivery %d: %q is not a fault", s.ID, s.Fault)
	}
	return nil
}

// Clean returns s with what the remote side said made fit to keep: see [CleanText],
// [MaxReceipt] and [MaxThread]. A settlement never fails over such a thing.
func (s Settlement) Clean() Settlement {
	s.Detail = CleanText(s.Detail)
	r := &s.Receipt
	r.RemoteID = fit(r.RemoteID, MaxReceipt)
	r.Permalink = fit(r.Permalink, MaxReceipt)
	if !text(string(r.Thread)) || len(r.Thread) > MaxThread {
		r.Thread = ""
	}
	return s
}

// CleanText returns s as valid UTF-8 without U+0000, cut to [MaxDetail] bytes
// between two characters with an ellipsis at the end.
func CleanText(s string) string {
	if !text(s) {
		s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	}
	if len(s) <= MaxDetail {
		return s
	}
	cut := MaxDetail - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func fit(s string, most int) string {
	if len(s) > most || !text(s) {
		return ""
	}
	return s
}

func text(all ...string) bool {
	for _, s := range all {
		if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
			return false
		}
	}
	return true
}
