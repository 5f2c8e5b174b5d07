package incident_test

import (
	"strings"
	"testing"
	"time"

	"sitrep/incident"
)

func TestClockRecent(t *testing.T) {
	for _, c := range []struct{ text, now, zone, want string }{
		{"7:20pm ET", "2026-11-23 00:25", "UTC", "2026-11-23 00:20"},
		{"7:20pmET", "2026-11-23 00:25", "UTC", "2026-11-23 00:20"},
		{"7:20 p.m. ET", "2026-11-23 00:25", "UTC", "2026-11-23 00:20"},
		{"7pm PT", "2026-11-23 04:00", "UTC", "2026-11-23 03:00"},
		{"7pm pt", "2026-07-23 04:00", "UTC", "2026-07-23 02:00"},
		{"7 PM (Eastern Time)", "2026-11-23 00:25", "UTC", "2026-11-23 00:00"},
		{"7pm Eastern Daylight Time", "2026-07-23 00:25", "UTC", "2026-07-22 23:00"},
		{"19:20 UTC", "2026-11-22 20:00", "America/New_York", "2026-11-22 19:20"},
		{"19:20", "2026-11-22 20:00", "Europe/Berlin", "2026-11-22 18:20"},
		{"19:20", "2026-11-22 05:00", "UTC", "2026-11-21 19:20"},
		{"7:20pm ET", "2026-11-22 23:00", "UTC", "2026-11-23 00:20"}, // an hour ahead
		{"2026-11-22 19:20 America/New_York", "2026-11-25 00:00", "UTC", "2026-11-23 00:20"},
		{"2026-11-22 19:20 america/new_york", "2026-11-25 00:00", "UTC", "2026-11-23 00:20"},
		{"2026-11-22T19:20:00Z", "2026-11-25 00:00", "Europe/Berlin", "2026-11-22 19:20"},
		{"2026-11-22T19:20:00.5+01:00", "2026-11-25 00:00", "UTC", "2026-11-22 18:20"},
		{"2026-11-22T19:20:00-0500", "2026-11-25 00:00", "UTC", "2026-11-23 00:20"},
		{"2026-11-22 19:20", "2026-11-25 00:00", "Europe/Berlin", "2026-11-22 18:20"},
		{"Nov 22, 7:20pm ET", "2026-11-25 00:00", "UTC", "2026-11-23 00:20"},
		{"22 November 2026 19:20 CET", "2026-11-25 00:00", "UTC", "2026-11-22 18:20"},
		{"Dec 31 23:50 UTC", "2027-01-01 00:10", "UTC", "2026-12-31 23:50"},
		{"8am ET yesterday", "2026-11-22 20:00", "UTC", "2026-11-21 13:00"},
		{"Friday 8am ET", "2026-11-22 20:00", "UTC", "2026-11-20 13:00"},
		{"noon ET", "2026-11-22 20:00", "UTC", "2026-11-22 17:00"},
		{"12 noon ET", "2026-11-22 20:00", "UTC", "2026-11-22 17:00"},
		{"midnight", "2026-11-22 02:00", "UTC", "2026-11-22 00:00"},
		{"12am UTC", "2026-11-22 02:00", "UTC", "2026-11-22 00:00"},
		{"12:30pm UTC", "2026-11-22 14:00", "UTC", "2026-11-22 12:30"},
		{"19:20 UTC+2", "2026-11-22 20:00", "UTC", "2026-11-22 17:20"},
		{"19:20 +05:30", "2026-11-22 20:00", "UTC", "2026-11-22 13:50"},
		{"19:20 UK", "2026-07-22 20:00", "UTC", "2026-07-22 18:20"},
		{"19:20 CEST", "2026-07-22 20:00", "UTC", "2026-07-22 17:20"},
		{"19:20 GMT", "2026-07-22 20:00", "UTC", "2026-07-22 19:20"},
		// A season's name in the other season is the local time.
		{"7:20pm EST", "2026-07-23 00:25", "UTC", "2026-07-22 23:20"},
		{"7:20pm EDT", "2026-11-23 00:25", "UTC", "2026-11-23 00:20"},
		// Spring: 02:30 does not exist on 8 March 2026 in New York.
		{"2026-03-08 02:30 ET", "2026-03-08 12:00", "UTC", "2026-03-08 07:30"},
		{"2026-03-08 01:59 ET", "2026-03-08 12:00", "UTC", "2026-03-08 06:59"},
		{"2026-03-08 03:00 ET", "2026-03-08 12:00", "UTC", "2026-03-08 07:00"},
		// Autumn: 01:30 is there twice on 1 November 2026.
		{"2026-11-01 01:30 ET", "2026-11-01 12:00", "UTC", "2026-11-01 05:30"},
		{"2026-11-01 01:30 EDT", "2026-11-01 12:00", "UTC", "2026-11-01 05:30"},
		{"2026-11-01 01:30 EST", "2026-11-01 12:00", "UTC", "2026-11-01 06:30"},
		{"2026-10-25 02:30 CEST", "2026-11-01 12:00", "UTC", "2026-10-25 00:30"},
		{"2026-10-25 02:30 CET", "2026-11-01 12:00", "UTC", "2026-10-25 00:30"},
		{"2026-10-04 02:15 Australia/Lord_Howe", "2026-11-01 12:00", "UTC", "2026-10-03 15:45"},
	} {
		clock, err := incident.ParseClock(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got, _ := clock.Recent(utc(c.now), zone(c.zone)); !got.Equal(utc(c.want)) {
			t.Errorf("%q at %s: %s, want %s", c.text, c.now, got.UTC(), c.want)
		}
	}
}

func TestClockAfter(t *testing.T) {
	for _, c := range []struct{ text, ref, zone, want string }{
		{"8am ET", "2026-11-23 00:20", "UTC", "2026-11-23 13:00"},
		{"8amET.", "2026-11-23 00:20", "UTC", "2026-11-23 13:00"},
		{"8am ET", "2026-11-22 13:00", "UTC", "2026-11-23 13:00"}, // not now: tomorrow
		{"8am ET tomorrow", "2026-11-23 00:20", "UTC", "2026-11-23 13:00"},
		{"tomorrow at 8am", "2026-11-22 05:00", "Europe/Berlin", "2026-11-23 07:00"},
		{"8:30pm ET", "2026-11-23 00:20", "UTC", "2026-11-23 01:30"},
		{"14:30 UTC", "2026-11-22 14:29", "UTC", "2026-11-22 14:30"},
		{"Monday 9am ET", "2026-11-22 05:00", "UTC", "2026-11-23 14:00"},
		{"Sunday 9am ET", "2026-11-22 15:00", "UTC", "2026-11-29 14:00"},
		{"midnight tonight", "2026-11-22 15:00", "UTC", "2026-11-23 00:00"},
		{"midnight", "2026-11-22 15:00", "UTC", "2026-11-23 00:00"},
		{"8am ET", "2026-03-07 14:00", "UTC", "2026-03-08 12:00"}, // the clocks change in the night
	} {
		clock, err := incident.ParseClock(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got, _ := clock.After(utc(c.ref), zone(c.zone)); !got.Equal(utc(c.want)) {
			t.Errorf("%q after %s: %s, want %s", c.text, c.ref, got.UTC(), c.want)
		}
	}
}

func TestClockNotes(t *testing.T) {
	for text, says := range map[string]string{
		"2026-07-22 19:20 EST":  "EST is not in force",
		"2026-11-22 19:20 EDT":  "19:20 EST",
		"2026-11-22 19:20 CEST": "Europe/Berlin",
		"2026-11-22 19:20 EST":  "",
		"2026-07-22 19:20 ET":   "",
		"2026-07-22 19:20 CET":  "",
		// A reading that is not there, or twice, and names that say which.
		"2026-03-08 02:30 ET":                  "skipped 02:30 on 8 March 2026 in America/New_York: taken as 03:30 EDT (07:30 UTC)",
		"2026-11-01 01:30 ET":                  "showed 01:30 twice on 1 November 2026 in America/New_York: taken as the earlier, 01:30 EDT (05:30 UTC)",
		"2026-10-25 02:30 CET":                 "taken as the earlier, 02:30 CEST (00:30 UTC)",
		"2026-10-04 02:15 Australia/Lord_Howe": "skipped 02:15",
		"2026-11-01 01:30 EST":                 "",
		"2026-11-01 01:30 EDT":                 "",
		"2026-11-01 01:30 UTC-5":               "",
		"2026-11-01 01:30 UTC":                 "",
		"2026-11-01 00:59 ET":                  "",
		"2026-11-01 02:00 ET":                  "",
		"2026-03-08 01:59 ET":                  "",
		"2026-03-08 03:00 ET":                  "",
		"2026-11-01T01:30:00-05:00":            "",
	} {
		c, err := incident.ParseClock(text)
		if err != nil {
			t.Fatal(err)
		}
		_, note := c.Recent(utc("2026-08-01 00:00"), nil)
		if (note == "") != (says == "") || !strings.Contains(note, says) {
			t.Errorf("%q: note %q, want %q", text, note, says)
		}
	}
}

func TestClockErrors(t *testing.T) {
	for text, says := range map[string]string{
		"":                             "not a time",
		"soon":                         "not a time",
		"initial":                      "not a time",
		"9":                            "not a time",
		"24/7":                         "not a time",
		"25:00":                        `No clock shows "25:00"`,
		"7:61pm":                       "No clock shows",
		"19:20pm":                      "Write 7:20pm or 19:20",
		"0am":                          "No clock shows",
		"2026-02-30 19:20":             "no date",
		"2026-13-01 19:20":             "no date",
		"31 April 19:20":               "no date",
		"2026-11-22":                   "no time of day",
		"7:20pm XT":                    `no time zone "XT"`,
		"7:20pm America/NewYork":       "Did you mean America/New_York",
		"19:20 UTC+15":                 "no time zone",
		"7pm ET 8pm PT":                "nothing is known",
		"19:20 ../../etc/passwd":       "no time zone",
		"19:20 Local":                  "no time zone",
		strings.Repeat("7pm ", 100000): "",
	} {
		if _, err := incident.ParseClock(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.30q: %v, want %q", text, err, says)
		}
	}
}

func TestParseZone(t *testing.T) {
	for text, want := range map[string]string{
		"ET": "America/New_York", "est": "America/New_York", "Pacific Time": "America/Los_Angeles", "CT": "America/Chicago",
		"MDT": "America/Denver", "CET": "Europe/Berlin", "UK": "Europe/London", "BST": "Europe/London", "Z": "UTC",
		"Asia/Kolkata": "Asia/Kolkata", "america/argentina/buenos_aires": "America/Argentina/Buenos_Aires",
		"AEDT": "Australia/Sydney", "(PT)": "America/Los_Angeles", "UTC+0": "UTC", "GMT-5": "UTC-05:00", "CEDT": "Europe/Berlin",
	} {
		if loc, err := incident.ParseZone(text); err != nil || loc.String() != want {
			t.Errorf("%q: %v, %v; want %s", text, loc, err, want)
		}
	}
}

func TestParseElapsed(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"9 hours": 9 * time.Hour, "9": 9 * time.Hour, "1.5h": 90 * time.Minute, "1,5 h": 90 * time.Minute, "2 days": 48 * time.Hour,
		"90 minutes": 90 * time.Minute, "1 day 3 hours": 27 * time.Hour, "1 day, 3 hours and 5 min": 27*time.Hour + 5*time.Minute,
		"1h30m": 90 * time.Minute, "about 9 hours": 9 * time.Hour, "~9h": 9 * time.Hour, "9+ hours": 9 * time.Hour, "9 hrs.": 9 * time.Hour,
		"an hour": time.Hour, "half an hour": 30 * time.Minute, "two hours": 2 * time.Hour, "0.5": 30 * time.Minute,
		"9 hours since it began": 9 * time.Hour, "1 week": 7 * 24 * time.Hour, "9\u00a0hours": 9 * time.Hour,
	} {
		if got, err := incident.ParseElapsed(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a while", "9 parsecs", "-1 hours", "99999 weeks", "9 hours of sleep", strings.Repeat("99999 weeks ", 5000)} {
		if got, err := incident.ParseElapsed(text); err == nil {
			t.Errorf("%.30q: %v, want an error", text, got)
		}
	}
}

// TestClockNotesRemedy: what a warning tells the author to write is read as what it
// says, without another warning.
func TestClockNotesRemedy(t *testing.T) {
	for at, want := range map[string][]string{
		"2027-03-14 02:30 ET":                  {"2027-03-14 07:30"},
		"2027-11-07 01:30 ET":                  {"2027-11-07 05:30", "2027-11-07 06:30"},
		"2027-04-04 01:45 Australia/Lord_Howe": {"2027-04-03 14:45", "2027-04-03 15:15"},
	} {
		_, _, warnings := resolve(write("19:20 ET", "Identified", "x\n#### Incident Time: 1h\n#### Next Update: "+at), known())
		if len(warnings) != 1 {
			t.Errorf("%s: warnings %v", at, warnings)
			continue
		}
		for i, text := range strings.Split(warnings[0].Remedy, `"`)[1:] {
			if i%2 == 1 {
				continue
			}
			c, err := incident.ParseClock(text)
			if err != nil {
				t.Fatal(err)
			}
			if got, note := c.Recent(utc("2026-11-23 00:00"), nil); note != "" || !got.Equal(utc(want[i/2])) {
				t.Errorf("%s: %q is %s, %q; want %s", at, text, got.UTC(), note, want[i/2])
			}
		}
	}
}
