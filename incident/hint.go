package incident

import (
	"fmt"
	"strings"
	"time"
)

// hint is what had to be decided to read a time, and how to write it so that nothing
// has to be; its zero value says that nothing had.
type hint struct{ what, remedy string }

// hint says what was decided to read c as the instant at, on the clock of loc.
func (c Clock) hint(at time.Time, loc *time.Location) hint {
	t := at.In(loc)
	switch other, twice := c.other(t); {
	case c.hour != t.Hour() || c.minute != t.Minute():
		return c.skipped(t)
	case twice:
		return c.shownTwice(t, other)
	case c.half != either && t.IsDST() != (c.half == daylight):
		return c.season(t)
	}
	return hint{}
}

// other is the second instant at which the clock shows what it shows at t, when the
// author did not say which of the two it is.
func (c Clock) other(t time.Time) (time.Time, bool) {
	naive := t.Add(offset(t, t.Location())).UTC()
	before, after := readings(naive, t.Location())
	said := c.half != either && before.IsDST() != after.IsDST()
	return after, !said && !before.Equal(after) && shows(before, naive) && shows(after, naive)
}

func (c Clock) skipped(t time.Time) hint {
	return hint{
		fmt.Sprintf("The clock skipped %s on %s in %s: taken as %s.", c.reading(), t.Format("2 January 2006"), t.Location(), instant(t)),
		fmt.Sprintf("Write the time with its offset, %q, if that is what you mean.", withOffset(t)),
	}
}

func (c Clock) shownTwice(t, later time.Time) hint {
	return hint{
		fmt.Sprintf("The clock showed %s twice on %s in %s: taken as the earlier, %s.", c.reading(), t.Format("2 January 2006"), t.Location(), instant(t)),
		fmt.Sprintf("Write the time with its offset: %q for this one, %q for the later.", withOffset(t), withOffset(later)),
	}
}

// season says that the zone's name speaks of the other half of the year.
func (c Clock) season(t time.Time) hint {
	name, _ := t.Zone()
	return hint{
		fmt.Sprintf("%s is not in force on %s: read as %s %s, the local time of %s.",
			strings.ToUpper(c.zoneText), t.Format("2 January 2006"), t.Format("15:04"), name, c.zone),
		"Write the name without its season (ET, PT, CET) and it is right all year.",
	}
}

// reading is what the author's clock showed.
func (c Clock) reading() string { return fmt.Sprintf("%02d:%02d", c.hour, c.minute) }

func instant(t time.Time) string {
	return t.Format("15:04 MST") + " (" + t.UTC().Format("15:04 UTC") + ")"
}

// withOffset is an instant in words that [ParseClock] reads as that instant only.
func withOffset(t time.Time) string { return t.Format("2006-01-02 15:04 UTC-07:00") }
