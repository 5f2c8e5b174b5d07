package statuspage

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sitrep/channels"
	"sitrep/incident"
)

const (
	// recently is how long a resolved incident stays on the page as a whole: for as
	// long as the fix is usually watched.
	recently = 24 * time.Hour

	// lately is how far back the page itself lists what is over; all of it is in
	// the history.
	lately = 30 * 24 * time.Hour
)

// pageView is a page: what goes on and what is over.
type pageView struct {
	frame
	Banner   string
	Beneath  string // what else can be said in one line
	Open     []incidentView
	Recent   []incidentView
	Days     []dayView
	LateDays int
	Earlier  bool // the history has more
	Reported bool // anything at all
}

// incidentView is an incident with all its updates.
type incidentView struct {
	Title, Severity, Link string
	Mark                  mark
	Lasted                string // "Open for 9 hours", "Lasted 2.5 hours"; or empty
	Started               *stamp
	Open                  bool
	Promise               *promise
	Updates               []updateView
}

// updateView is one update.
type updateView struct {
	Anchor, Link string
	Mark         mark
	At           stamp
	Elapsed      string // "9 hours in"; or empty
	Sections     []sectionView
}

type sectionView struct {
	Heading string
	Body    template.HTML
}

// dayView is what ended on one day.
type dayView struct {
	Day  string
	Over []overView
}

type overView struct {
	Title, Severity, Link, Lasted string
	Mark                          mark
	At                            stamp
}

// mark is a status by word, icon and colour: Class chooses the latter two.
type mark struct{ Word, Class string }

func markOf(status string) mark {
	if s := incident.Status(status); slices.Contains(incident.Statuses(), s) {
		return mark{Word: s.Title(), Class: status}
	}
	return mark{Word: "Update", Class: "other"}
}

// clockOf reads times as the newest update of the page does. It goes by the minute:
// nothing on a page is finer, and so it is the same page for all who ask within it.
func (s *site) clockOf(all []thread) clock {
	c := clock{now: s.now().Truncate(time.Minute), zone: time.UTC}
	if len(all) > 0 {
		c.zone = all[0].zone()
	}
	return c
}

func (s *site) showPage(w http.ResponseWriter, r *http.Request, p place, entries []entry) {
	if p.path == "/p/"+publicAddress {
		http.Redirect(w, r, s.root+"/", http.StatusPermanentRedirect)
		return
	}
	all := threads(entries)
	c := s.clockOf(all)
	v := pageView{LateDays: int(lately.Hours() / 24), Reported: len(all) > 0}
	var over []thread
	for _, t := range all {
		switch {
		case !t.resolved():
			v.Open = append(v.Open, s.incident(c, p, t))
		case c.now.Sub(t.latest().update.At) < recently:
			v.Recent = append(v.Recent, s.incident(c, p, t))
		case c.now.Sub(t.latest().update.At) < lately:
			over = append(over, t)
		default:
			v.Earlier = true
		}
	}
	v.Banner, v.Days = counted(len(v.Open)), s.days(c, p, over)
	v.frame = s.frame(p, v.Banner, c.at(c.now))
	v.Beneath, v.Alarm = beneath(c, all, len(v.Open)), len(v.Open) > 0
	v.reload(r, v.Alarm)
	s.html(w, r, http.StatusOK, "page", v)
}

// beneath is the line under "No open incidents": what the ledger knows, no more.
func beneath(c clock, all []thread, open int) string {
	switch {
	case open > 0:
		return ""
	case len(all) == 0:
		return "Nothing has been reported on this page so far."
	default:
		return "The latest was resolved on " + c.day(all[0].latest().update.At) + "."
	}
}

// reload reads whether the reader wants the page to reload by itself. Nobody gets
// that without asking: it takes the place away from those who read slowly.
func (f *frame) reload(r *http.Request, useful bool) {
	switch {
	case !useful:
	case r.URL.Query().Get("reload") == "60":
		f.Reload = "on"
	default:
		f.Reload = "off"
	}
}

// incidentPage is one incident by itself.
type incidentPage struct {
	frame
	Incident incidentView
}

func (s *site) showIncident(w http.ResponseWriter, r *http.Request, p place, entries []entry) {
	all := threads(entries)
	i := slices.IndexFunc(all, func(t thread) bool { return t.id() == r.PathValue("incident") })
	if i < 0 {
		s.notFound(w, r)
		return
	}
	c := s.clockOf(all[i : i+1])
	v := incidentPage{Incident: s.incident(c, p, all[i])}
	v.frame = s.frame(p, v.Incident.Mark.Word+": "+v.Incident.Title, c.at(c.now))
	v.Alarm = v.Incident.Open
	v.reload(r, v.Alarm)
	s.html(w, r, http.StatusOK, "incident", v)
}

// historyView is all that is over.
type historyView struct {
	frame
	Days []dayView
}

func (s *site) showHistory(w http.ResponseWriter, r *http.Request, p place, entries []entry) {
	all := threads(entries)
	c := s.clockOf(all)
	over := slices.DeleteFunc(slices.Clone(all), func(t thread) bool { return !t.resolved() })
	v := historyView{frame: s.frame(p, "History", c.at(c.now)), Days: s.days(c, p, over)}
	s.html(w, r, http.StatusOK, "history", v)
}

func (s *site) incident(c clock, p place, t thread) incidentView {
	u := t.latest().update
	v := incidentView{
		Title: titled(u), Severity: severity(u), Link: s.root + incidentPath(p.path, t.id()),
		Mark: markOf(u.Status), Open: !t.resolved(), Lasted: lasted(t, c.now),
	}
	if !u.Started.IsZero() {
		began := c.at(u.Started)
		v.Started = &began
	}
	if v.Open {
		v.Promise = c.promised(u.Next)
	}
	for _, e := range t {
		v.Updates = append(v.Updates, s.update(c, p, e))
	}
	return v
}

// titled is the title as a heading. The public's begins with what the public may call
// the customer, often common words such as "a large customer": the first of these gets
// its capital. Names such as iCloud stay as they are.
func titled(u channels.PageUpdate) string {
	if u.Title == "" {
		return "Incident"
	}
	word, _, _ := strings.Cut(u.Title, " ")
	if u.Audience != string(incident.Public) || word != strings.ToLower(word) {
		return u.Title
	}
	first, size := utf8.DecodeRuneInString(u.Title)
	return string(unicode.ToTitle(first)) + u.Title[size:]
}

// severity is what stands beside the title: nothing if the title says it.
func severity(u channels.PageUpdate) string {
	if strings.Contains(strings.ToUpper(u.Title), strings.ToUpper(u.Severity)) {
		return ""
	}
	return u.Severity
}

func lasted(t thread, now time.Time) string {
	d := t.lasted(now)
	switch {
	case d < 0:
		return ""
	case t.resolved():
		return "Lasted " + incident.Hours(d)
	default:
		return "Open for " + incident.Hours(d)
	}
}

func (s *site) update(c clock, p place, e entry) updateView {
	u := e.update
	v := updateView{Anchor: anchor(e.id, u.Seq), Link: s.root + updatePath(p.path, e.id, u.Seq), Mark: markOf(u.Status), At: c.at(u.At)}
	if !u.Started.IsZero() && !u.At.Before(u.Started) {
		v.Elapsed = incident.Hours(u.At.Sub(u.Started)) + " in"
	}
	for _, section := range u.Sections {
		level := 4
		if section.Heading == "" {
			level = 3
		}
		v.Sections = append(v.Sections, sectionView{Heading: section.Heading, Body: s.safe(section.HTML, section.Text, level)})
	}
	return v
}

// days groups threads, which are in the order of their end, by the day they ended.
func (s *site) days(c clock, p place, over []thread) []dayView {
	var days []dayView
	for _, t := range over {
		u := t.latest().update
		day := c.day(u.At)
		if len(days) == 0 || days[len(days)-1].Day != day {
			days = append(days, dayView{Day: day})
		}
		last := &days[len(days)-1]
		last.Over = append(last.Over, overView{
			Title: titled(u), Severity: severity(u), Link: s.root + incidentPath(p.path, t.id()),
			Lasted: summed(lasted(t, c.now), len(t)), Mark: markOf(u.Status), At: c.at(u.At),
		})
	}
	return days
}

// summed says how long it lasted and in how many updates it was reported.
func summed(lasted string, updates int) string {
	n := fmt.Sprintf("%d updates", updates)
	if updates == 1 {
		n = "1 update"
	}
	if lasted == "" {
		return n
	}
	return lasted + ", " + n
}
