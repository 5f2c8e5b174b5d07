package statuspage

import (
	"fmt"
	"strings"
	"time"

	"sitrep/incident"
)

// stamp is an instant as people and programs read it.
type stamp struct {
	ISO   string // for the datetime attribute
	Local string // in the page's zone: "Sun 22 Nov, 19:20 EST"
	UTC   string // the same in UTC, with the day of the week where it is another day; empty if the zone is UTC
}

// clock reads instants in one zone.
type clock struct {
	now  time.Time
	zone *time.Location
}

// at reads an instant. The year is said only where it is not this one.
func (c clock) at(t time.Time) stamp {
	local, utc := t.In(c.zone), t.UTC()
	s := stamp{ISO: utc.Format(time.RFC3339), Local: local.Format(c.date(local)+", 15:04 ") + zoneName(local)}
	switch {
	case zoneName(local) == "UTC":
	case sameDay(local, utc):
		s.UTC = utc.Format("15:04 UTC")
	default:
		s.UTC = utc.Format("Mon 15:04 UTC")
	}
	return s
}

func (c clock) date(t time.Time) string {
	if t.Year() == c.now.In(c.zone).Year() {
		return "Mon 2 Jan"
	}
	return "Mon 2 Jan 2006"
}

// day is the calendar day of an instant, always with the year.
func (c clock) day(t time.Time) string { return t.In(c.zone).Format("Monday, 2 January 2006") }

func sameDay(a, b time.Time) bool {
	ay, am, ad := a.Date()
	by, bm, bd := b.Date()
	return ay == by && am == bm && ad == bd
}

// zoneName is the zone's abbreviation, or its offset where the zone has none: Go
// then gives "-03", which could be taken for a part of the time.
func zoneName(t time.Time) string {
	name, _ := t.Zone()
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return "UTC" + strings.Replace(t.Format("-07:00"), "-", "−", 1)
	}
	return name
}

// promise is what a page says about the next update.
type promise struct {
	When stamp
	Late bool
	Gap  string // "in 45 minutes" or "12 minutes ago"
}

// promised reads a promise at c.now; nil where none was made.
func (c clock) promised(next time.Time) *promise {
	if next.IsZero() {
		return nil
	}
	p := &promise{When: c.at(next)}
	gap := next.Sub(c.now)
	switch {
	case gap >= time.Minute:
		p.Gap = "in " + span(gap)
	case gap > -time.Minute:
		p.Gap = "now"
	default:
		p.Late, p.Gap = true, span(-gap)+" ago"
	}
	return p
}

// span is a duration to or from a promise: to the minute below the hour, for it
// stands beside the time it is reckoned from.
func span(d time.Duration) string {
	switch m := int(d.Minutes()); {
	case m == 1:
		return "1 minute"
	case m < 60:
		return fmt.Sprintf("%d minutes", m)
	default:
		return incident.Hours(d)
	}
}

// counted is "1 open incident", "2 open incidents", "No open incidents".
func counted(n int) string {
	switch n {
	case 0:
		return "No open incidents"
	case 1:
		return "1 open incident"
	default:
		return fmt.Sprintf("%d open incidents", n)
	}
}
