package renderers

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Moment is an instant in words, in the reader's zone with UTC beside it.
type Moment struct {
	Both  string // "7:20 pm EST (00:20 UTC, Nov 23)"
	Local string // "7:20 pm EST"
	UTC   string // "00:20 UTC"
	ISO   string // RFC 3339 in UTC, for <time datetime>
}

// clock writes times for one reader.
type clock struct {
	zone *time.Location
	us   bool
}

func newClock(r Request) clock {
	zone := r.Zone
	if zone == nil {
		zone = r.Update.Zone
	}
	if zone == nil {
		zone = time.UTC
	}
	return clock{zone: zone, us: american(r.Locale, zone)}
}

// american reports whether the reader reads times as in the United States. Who
// said no locale is judged by the zone.
func american(locale string, zone *time.Location) bool {
	if locale == "" {
		return americanZone(zone.String())
	}
	l := strings.ToLower(strings.ReplaceAll(locale, "_", "-"))
	return l == "en-us" || strings.HasPrefix(l, "en-us-")
}

func americanZone(name string) bool {
	if strings.HasPrefix(name, "US/") || strings.HasPrefix(name, "America/Indiana/") ||
		strings.HasPrefix(name, "America/Kentucky/") || strings.HasPrefix(name, "America/North_Dakota/") {
		return true
	}
	return slices.Contains([]string{
		"America/New_York", "America/Detroit", "America/Chicago", "America/Menominee",
		"America/Denver", "America/Boise", "America/Phoenix", "America/Los_Angeles",
		"America/Anchorage", "America/Juneau", "America/Sitka", "America/Nome",
		"America/Adak", "Pacific/Honolulu", "EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT",
	}, name)
}

// time is t by the clock, without a date: "7:20 pm EST" or "19:20 CET".
func (c clock) time(t time.Time) string {
	t = t.In(c.zone)
	if c.us {
		return t.Format("3:04 pm ") + zoneName(t)
	}
	return t.Format("15:04 ") + zoneName(t)
}

// day is t's date without the year.
func (c clock) day(t time.Time) string {
	if c.us {
		return t.Format("Jan 2")
	}
	return t.Format("2 Jan")
}

// full is t with its date: "Sun, Nov 22, 2026, 7:20 pm EST (00:20 UTC, Nov 23)".
func (c clock) full(t time.Time) Moment {
	date := t.In(c.zone).Format("Mon 2 Jan 2006")
	if c.us {
		date = t.In(c.zone).Format("Mon, Jan 2, 2006")
	}
	m := c.moment(t)
	m.Both = date + ", " + c.time(t) + c.beside(t)
	return m
}

// near is t seen from the day of ref: the date is written only if it is another.
// Of another year, the year is written as well.
func (c clock) near(t, ref time.Time) Moment {
	m := c.moment(t)
	m.Both = c.time(t)
	if local := t.In(c.zone); !sameDay(local, ref.In(c.zone)) {
		m.Both += ", " + local.Format("Mon ") + c.day(local)
		if local.Year() != ref.In(c.zone).Year() {
			m.Both += local.Format(" 2006")
		}
	}
	m.Both += c.beside(t)
	return m
}

func (c clock) moment(t time.Time) Moment {
	return Moment{
		Local: c.time(t),
		UTC:   t.UTC().Format("15:04 UTC"),
		ISO:   t.UTC().Format(time.RFC3339),
	}
}

// beside is the same instant in UTC, in brackets, or nothing for who reads UTC.
func (c clock) beside(t time.Time) string {
	local, utc := t.In(c.zone), t.UTC()
	if zoneName(local) == "UTC" {
		return ""
	}
	if sameDay(local, utc) {
		return utc.Format(" (15:04 UTC)")
	}
	return utc.Format(" (15:04 UTC, ") + c.day(utc) + ")"
}

func sameDay(a, b time.Time) bool {
	return a.YearDay() == b.YearDay() && a.Year() == b.Year()
}

// zoneName is what people call t's zone then: "EST", or "UTC-3" where the zone has
// no letters of its own.
func zoneName(t time.Time) string {
	name, offset := t.Zone()
	if name != "" && !strings.ContainsAny(name, "+-0123456789") {
		return name
	}
	if offset == 0 {
		return "UTC"
	}
	sign, minutes := "+", offset/60
	if minutes < 0 {
		sign, minutes = "-", -minutes
	}
	if minutes%60 == 0 {
		return fmt.Sprintf("UTC%s%d", sign, minutes/60)
	}
	return fmt.Sprintf("UTC%s%d:%02d", sign, minutes/60, minutes%60)
}
