package incident

import (
	"fmt"
	"time"
)

const (
	future      = 15 * time.Minute // an update from further ahead is pointed out
	contradicts = time.Hour        // so is an incident time that is further off
)

// when reads the time of the title; without one the update speaks now.
func (r *resolution) when() {
	r.u.At = r.k.Now.Truncate(time.Second)
	r.u.Zone = r.zoneOr()
	f := r.d.Time
	if f.Text == "" {
		return
	}
	if p, ok := unfilled(f); ok {
		r.problems = append(r.problems, p)
		return
	}
	c, err := ParseClock(f.Text)
	if err != nil {
		r.problems = append(r.problems, problemOf(f.Line, err))
		return
	}
	at, note := c.recent(r.k.Now, r.zone)
	r.u.At = at
	if z := c.Zone(); z != nil && named(z) {
		r.u.Zone = z
	}
	r.noteZone(f.Line, note)
	if at.Sub(r.k.Now) > future {
		r.warn(f.Line, fmt.Sprintf("The title's time, %s, is %s ahead.", r.clock(at), Hours(at.Sub(r.k.Now))), "Check the hour, am and pm, and the zone.")
	}
}

func (r *resolution) noteZone(line int, note hint) {
	if note.what != "" {
		r.warn(line, note.what, note.remedy)
	}
}

// named reports whether a zone can be found again by its name.
func named(z *time.Location) bool {
	_, err := time.LoadLocation(z.String())
	return err == nil
}

// started finds out when the incident began. What earlier updates said stands;
// what this one says fixes the start of a new incident.
func (r *resolution) started() {
	given, line := r.givenStart()
	known := r.inc.Started
	switch {
	case known.IsZero() && given.IsZero():
		r.u.Started = r.u.At
		if r.u.Seq == 1 {
			r.warn(0, "The update does not say when the incident began, so its time counts from this update.", "Write `#### Incident Time: 2 hours`, or `started` in the front matter.")
		}
	case known.IsZero():
		r.u.Started = given
	default:
		r.u.Started = known
		r.contradiction(given, known, line, "earlier updates")
	}
	if r.u.Seq == 1 && r.u.Incident == "" && r.known {
		r.u.Incident = r.newID()
	}
}

// givenStart is the start of the incident as this update has it: zero if it does
// not say.
func (r *resolution) givenStart() (time.Time, int) {
	var counted, stated time.Time
	e, f := r.d.Elapsed, r.d.Front.Started
	if p, ok := unfilled(e); ok {
		r.problems = append(r.problems, p)
	} else if e.Text != "" {
		if d, err := ParseElapsed(e.Text); err != nil {
			r.problems = append(r.problems, problemOf(e.Line, err))
		} else {
			counted = r.u.At.Add(-d)
		}
	}
	if f.Text != "" {
		stated = r.statedStart(f)
	}
	if stated.IsZero() {
		return counted, e.Line
	}
	r.contradiction(counted, stated, e.Line, "the front matter")
	return stated, f.Line
}

func (r *resolution) statedStart(f Field) time.Time {
	c, err := ParseClock(f.Text)
	if err != nil {
		r.problems = append(r.problems, problemOf(f.Line, err))
		return time.Time{}
	}
	t, note := c.recent(r.u.At, r.zone)
	if !c.hasDate && !c.hasShift && t.After(r.u.At) {
		t, note = c.recent(r.u.At.Add(-24*time.Hour), r.zone)
	}
	r.noteZone(f.Line, note)
	if t.After(r.u.At.Add(skew)) {
		r.problem(f.Line, fmt.Sprintf("The incident cannot have started at %s, after this update (%s).", r.clock(t), r.clock(r.u.At)), "Correct `started`, or the time in the title.")
		return time.Time{}
	}
	return t
}

// contradiction points out a start that is more than an hour off the one that
// counts.
func (r *resolution) contradiction(given, counts time.Time, line int, who string) {
	if given.IsZero() || given.Sub(counts).Abs() <= contradicts {
		return
	}
	r.warn(line, fmt.Sprintf("This update puts the incident's start at %s (%s ago); %s put it at %s (%s ago), which stands.",
		r.clock(given), Hours(r.u.At.Sub(given)), who, r.clock(counts), Hours(r.u.At.Sub(counts))), "Correct the incident time if it is a slip.")
}

// next finds out when the next update is due. The first place that says so wins.
func (r *resolution) next() {
	for _, f := range []Field{{r.k.Next, 0}, r.d.Front.Next, r.d.Next} {
		if f.Text == "" || undecided.MatchString(f.Text) {
			continue
		}
		r.stated(f)
		return
	}
	if r.u.Status == Resolved {
		return
	}
	for _, f := range []Field{r.d.Summary, r.d.PublicSummary, r.d.CustomerImpact} {
		if p, line, ok := findPromise(f); ok {
			r.promise(p, line)
			return
		}
	}
	r.noNext()
}

func (r *resolution) stated(f Field) {
	if p, ok := unfilled(f); ok {
		r.problems = append(r.problems, p)
		return
	}
	p, err := parsePromise(f.Text)
	if err != nil {
		bad := problemOf(f.Line, err)
		bad.What = "When is the next update? " + bad.What
		r.problems = append(r.problems, bad)
		return
	}
	if !p.whole {
		r.warn(f.Line, "Of the next update only the time is shown to readers.", "Write the rest into the summary.")
	}
	if r.u.Status == Resolved {
		r.warn(f.Line, "The update resolves the incident, so it promises nothing: its next update is left out.",
			"Remove it, and say in the summary if a report will follow; or write Monitoring if you will go on with updates.")
		return
	}
	if p.isSpan && f.Line == 0 && r.k.Now.After(r.u.At) {
		p.span += r.k.Now.Sub(r.u.At) // asked for now, not when the update was written
	}
	r.promise(p, f.Line)
}

func (r *resolution) promise(p promise, line int) {
	at, note := p.at(r.u.At, r.zone)
	r.noteZone(line, note)
	if !at.After(r.u.At) {
		r.problem(line, fmt.Sprintf("The next update is promised for %s, which is not after this one (%s).", r.clock(at), r.clock(r.u.At)), "Write a later time.")
		return
	}
	r.u.Next = at
	if at.Before(r.k.Now) {
		r.warn(line, fmt.Sprintf("The next update is promised for %s, which has passed.", r.clock(at)), "Write a later time.")
	}
}

func (r *resolution) noNext() {
	p := Problem{0, "The update does not say when the next one comes.", "Write `#### Next Update: 8am ET`, or send with `--next 45m`."}
	if r.k.RequireNext {
		p.What += " The configuration requires it (require_next_update)."
		r.problems = append(r.problems, p)
		return
	}
	r.warnings = append(r.warnings, p)
}
