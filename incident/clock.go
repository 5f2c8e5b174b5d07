package incident

import (
	"fmt"
	"strings"
	"time"
)

// Clock is a time as people write it: an hour, perhaps with a zone, perhaps with a
// day. It becomes an instant once a reference is known: [Clock.Recent] for what has
// happened, [Clock.After] for what is promised.
type Clock struct {
	hour, minute, second int
	hasTime              bool

	year     int // 0: not written
	month    time.Month
	day      int
	hasDate  bool
	shift    int // days from the reference's: tomorrow is 1
	hasShift bool
	weekday  time.Weekday
	hasWeek  bool

	zone     *time.Location // nil: not written
	half     half
	zoneText string
}

const clockRemedy = "Write a time such as 7:20pm ET, 19:20 UTC or 2026-11-22 19:20 America/New_York."

// ParseClock reads a time: "7:20pm ET", "7:20pmET", "7pm PT", "19:20 UTC", "19:20",
// "noon", "8am ET tomorrow", "Monday 9am", "Nov 22, 7pm", "2026-11-22 19:20
// America/New_York", RFC 3339. Errors are sentences for the author and end in what
// to write instead.
func ParseClock(text string) (Clock, error) {
	t := normalTime(text)
	c, n, err := scanClock(t)
	if err != nil {
		return Clock{}, err
	}
	rest := strings.Trim(t[n:], " .,;")
	switch {
	case !c.hasTime && (n == 0 || rest != ""):
		return Clock{}, &refusal{fmt.Sprintf("%q is not a time.", short(text)), clockRemedy}
	case !c.hasTime:
		return Clock{}, &refusal{fmt.Sprintf("%q says no time of day.", short(text)), clockRemedy}
	case rest != "" && c.zone == nil:
		_, _, err := parseZone(rest)
		if err == nil { // a zone, but one that stands apart from the time
			err = &refusal{fmt.Sprintf("%q is not a time.", short(text)), clockRemedy}
		}
		return Clock{}, err
	case rest != "":
		return Clock{}, &refusal{fmt.Sprintf("%q is not a time: nothing is known of %q.", short(text), short(rest)), clockRemedy}
	}
	return c, nil
}

// Zone is the zone that was written, or nil.
func (c Clock) Zone() *time.Location { return c.zone }

// Recent is the instant that c means in a report made at ref: without a day, the
// latest such instant that is not more than 12 hours after ref. Zone counts where
// none was written; nil is UTC. The note is empty or says what had to be decided.
func (c Clock) Recent(ref time.Time, zone *time.Location) (at time.Time, note string) {
	at, h := c.recent(ref, zone)
	return at, h.what
}

func (c Clock) recent(ref time.Time, zone *time.Location) (at time.Time, note hint) {
	loc := c.in(zone)
	y, m, d := ref.In(loc).Date()
	switch {
	case c.hasDate:
		at = c.dated(ref, loc)
	case c.hasShift:
		at = c.on(y, m, d+c.shift, loc)
	case c.hasWeek:
		back := (int(ref.In(loc).Weekday()) - int(c.weekday) + 7) % 7
		at = c.on(y, m, d-back, loc)
	default:
		for day := d + 1; day >= d-1; day-- {
			if at = c.on(y, m, day, loc); !at.After(ref.Add(12 * time.Hour)) {
				break
			}
		}
	}
	return at, c.hint(at, loc)
}

// After is the instant that c promises in a report that speaks at ref: without a
// day, the next such instant. With a day it may lie before ref; that is for the
// caller to refuse. Zone and note are as for [Clock.Recent].
func (c Clock) After(ref time.Time, zone *time.Location) (at time.Time, note string) {
	at, h := c.after(ref, zone)
	return at, h.what
}

func (c Clock) after(ref time.Time, zone *time.Location) (at time.Time, note hint) {
	loc := c.in(zone)
	y, m, d := ref.In(loc).Date()
	switch {
	case c.hasDate:
		at = c.dated(ref, loc)
	case c.hasShift:
		at = c.on(y, m, d+c.shift, loc)
		if c.shift == 0 && c.hour+c.minute == 0 && !at.After(ref) {
			at = c.on(y, m, d+1, loc) // "midnight tonight" ends the day
		}
	default:
		for day := d; day <= d+8; day++ {
			at = c.on(y, m, day, loc)
			if at.After(ref) && (!c.hasWeek || at.In(loc).Weekday() == c.weekday) {
				break
			}
		}
	}
	return at, c.hint(at, loc)
}

func (c Clock) in(zone *time.Location) *time.Location {
	switch {
	case c.zone != nil:
		return c.zone
	case zone != nil:
		return zone
	}
	return time.UTC
}

func (c Clock) on(y int, m time.Month, d int, loc *time.Location) time.Time {
	return place(y, m, d, c.hour, c.minute, c.second, loc, c.half)
}

// dated places a reading with a date. A date without a year is the one nearest to
// ref.
func (c Clock) dated(ref time.Time, loc *time.Location) time.Time {
	if c.year != 0 {
		return c.on(c.year, c.month, c.day, loc)
	}
	best := c.on(ref.In(loc).Year(), c.month, c.day, loc)
	for _, y := range []int{-1, 1} {
		if t := c.on(ref.In(loc).Year()+y, c.month, c.day, loc); t.Sub(ref).Abs() < best.Sub(ref).Abs() {
			best = t
		}
	}
	return best
}
