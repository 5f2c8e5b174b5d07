package incident

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// idForm is what an incident may be called: fit for file names, links and shells.
var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// freshIncident asks for a new incident although others may be open.
const freshIncident = "new"

// incident finds out which incident the update is about.
func (r *resolution) incident() {
	wish, line := r.k.Incident, 0
	if wish == "" {
		wish, line = r.d.Front.Incident.Text, r.d.Front.Incident.Line
	}
	open := r.open()
	switch {
	case wish != "" && !strings.EqualFold(wish, freshIncident):
		r.byID(wish, line)
	case !r.known || wish != "" || len(open) == 0:
		r.begin("")
	case len(open) == 1:
		r.follow(open[0])
	default:
		r.several(open)
	}
}

// open is the customer's open incidents, oldest first.
func (r *resolution) open() []Incident {
	var open []Incident
	for _, i := range r.k.Open {
		if i.Customer == r.party.ID && i.Open() {
			open = append(open, i)
		}
	}
	slices.SortStableFunc(open, func(a, b Incident) int { return a.Started.Compare(b.Started) })
	return open
}

func (r *resolution) find(id string) (Incident, bool) {
	for _, i := range r.k.Open {
		if strings.EqualFold(i.ID, id) {
			return i, true
		}
	}
	if r.k.Find == nil {
		return Incident{}, false
	}
	return r.k.Find(id)
}

func (r *resolution) byID(id string, line int) {
	if !idForm.MatchString(id) {
		r.problem(line, fmt.Sprintf("%q cannot be the id of an incident.", short(id)), "Write up to 64 letters, digits, dots, hyphens and underscores, such as INC-42.")
		return
	}
	inc, ok := r.find(id)
	switch {
	case !ok:
		r.begin(id)
		r.warnNew(id, line)
	case r.known && inc.Customer != r.party.ID:
		r.problem(line, fmt.Sprintf("The incident %s is %s's, and this update is about %s.", inc.ID, r.nameOf(inc.Customer), r.party.Name),
			"Name another incident, or another customer.")
	default:
		r.follow(inc)
	}
}

func (r *resolution) nameOf(customer string) string {
	for _, p := range r.k.Parties {
		if p.ID == customer {
			return p.Name
		}
	}
	return customer
}

// warnNew says that an id nobody knows begins an incident: it may be a slip.
func (r *resolution) warnNew(id string, line int) {
	var ids []string
	for _, i := range r.open() {
		ids = append(ids, i.ID)
	}
	remedy := ""
	if len(ids) > 0 {
		remedy = "To follow an open one, name " + list(ids, "or") + "."
	}
	r.warn(line, fmt.Sprintf("There is no incident %s yet: this update begins it.", id), remedy)
}

func (r *resolution) follow(inc Incident) {
	r.inc = inc
	r.u.Incident, r.u.Seq = inc.ID, inc.Seq+1
	if r.u.Severity == 0 {
		r.u.Severity = inc.Severity
	}
	if r.u.At.Before(inc.Updated) {
		r.warn(r.d.Time.Line, fmt.Sprintf("This update speaks at %s, before the incident's last update (%s).", r.clock(r.u.At), r.clock(inc.Updated)),
			"Check the time in the title.")
	}
	if !inc.Open() && r.u.Status != Resolved && r.u.Status != "" {
		r.warn(r.d.Status.Line, fmt.Sprintf("The incident %s was resolved: this update opens it again.", inc.ID), "")
	}
}

// begin starts an incident. Its name is made in [resolution.started], when the
// start is known, unless the author gave one.
func (r *resolution) begin(id string) {
	r.u.Incident, r.u.Seq = id, 1
	if r.u.Status == Resolved {
		r.warn(r.d.Status.Line, "This update begins an incident and resolves it.", "If it ends an earlier one, name it: `--incident ID`.")
	}
}

func (r *resolution) several(open []Incident) {
	var each, ids []string
	for _, i := range open {
		each = append(each, fmt.Sprintf("%s (%s, since %s)", i.ID, i.Status, r.clock(i.Started)))
		ids = append(ids, i.ID)
	}
	r.problem(0, fmt.Sprintf("%s has %d open incidents: %s.", r.party.Name, len(open), list(each, "and")),
		fmt.Sprintf("Say which one with `--incident %s` or `incident: %s` in the front matter; `new` begins another.", ids[0], ids[0]))
}

// newID names a new incident.
func (r *resolution) newID() string {
	if r.k.NewID != nil {
		return r.k.NewID(r.party.ID, r.u.Started)
	}
	prefix := r.party.ID + "-" + r.u.Started.In(r.zoneOr()).Format("20060102") + "-"
	for n := 1; ; n++ {
		id := fmt.Sprint(prefix, n)
		if _, taken := r.find(id); !taken || n > 9999 {
			return id
		}
	}
}

func (r *resolution) zoneOr() *time.Location {
	if r.zone == nil {
		return time.UTC
	}
	return r.zone
}

// clock is how messages to the author give an instant.
func (r *resolution) clock(t time.Time) string {
	return t.In(r.zoneOr()).Format("2 January 15:04 MST")
}
