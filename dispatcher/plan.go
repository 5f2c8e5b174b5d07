package dispatcher

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

// Plan is who gets what of an update: what preview and --dry-run show, and what
// Publish hands to the ledger. It holds nothing for each recipient: they are made
// one by one as they are asked for.
type Plan struct {
	Renderings []Rendering
	Left       []Left

	told   []int // recipients of each rendering
	draft  *draft
	given  []Delivery // instead of a draft, see PlanOf
	groups []Group    // beside given
}

// Delivery is one delivery to be.
type Delivery struct {
	Target
	Key       string // deterministic: of the update's key, the channel and the address
	Rendering int    // index into Plan.Renderings
	Expire    time.Time

	// Suppressed is why the recipient is not written to, or empty.
	Suppressed string
	// Already: the update was accepted before with this delivery in it.
	Already bool
}

// Rendering is one message, for all recipients who get it word for word.
type Rendering struct {
	Channel  string
	Format   channels.Format
	Audience incident.Audience
	Locale   string
	Zone     string // IANA name
	Threads  bool   // the channel answers in an incident's thread, see channels.Spec
	Message  channels.Message

	// Fallback is why the built-in template was used instead of an operator's.
	Fallback error
}

// PlanOf is a plan that somebody else has made, for showing it: it cannot be
// published. groups count all recipients, deliveries need not have all of them, and
// recipients are those of each rendering.
func PlanOf(renderings []Rendering, recipients []int, groups []Group, deliveries []Delivery, left []Left) Plan {
	if groups == nil {
		groups = []Group{}
	}
	return Plan{Renderings: renderings, Left: left, given: deliveries, groups: groups, told: recipients}
}

// planning is all that a plan depends on.
type planning struct {
	update     incident.Update
	roster     *roster
	only       []string
	lanes      []Lane
	render     func(renderers.Request) (renderers.Rendered, error)
	guard      func(incident.Update, incident.Audience, channels.Message) []renderers.Finding
	suppressed map[place]string
	now        time.Time
}

// plan is pure: the same planning gives the same plan.
func plan(in planning) (Plan, []renderers.Finding, incident.Problems) {
	c, left, problems := in.roster.choose(in.update, in.only)
	if len(problems) > 0 {
		return Plan{Left: left}, nil, problems
	}
	p := planner{
		planning: in, Plan: Plan{Left: left},
		selection: newSelection(c, in.update.Key, in.roster.party.Zone, in.lanes, in.now),
	}
	servings := in.roster.serve(&c)
	p.Left = append(p.Left, in.roster.leftOut(&c, servings, in.only)...)
	told := false
	for i, v := range servings {
		if v.told {
			told = true
			p.add(in.roster.classes[i], v, in.roster.count[i])
		}
	}
	if !told {
		p.problems = append(p.problems, nobody(in.roster.party, p.Left))
	}
	p.draft = &draft{roster: in.roster, selection: p.selection, suppressed: in.suppressed, new: p.Count()}
	return p.Plan, p.findings, p.problems
}

// newSelection has no renderings yet.
func newSelection(c choice, update string, zone *time.Location, lanes []Lane, now time.Time) *selection {
	s := &selection{choice: c, Update: update, Zone: zoneName(zone), Expire: map[string]time.Time{}}
	for _, l := range lanes {
		s.Expire[l.ID] = now.Add(l.Expire)
	}
	return s
}

type planner struct {
	planning
	Plan
	selection *selection
	findings  []renderers.Finding
	problems  incident.Problems
}

// add sees to the rendering for a class.
func (p *planner) add(of class, v serving, places int) {
	want := p.selection.request(of, v)
	lane := slices.IndexFunc(p.lanes, func(l Lane) bool { return l.ID == of.channel })
	if lane < 0 {
		p.selection.None = append(p.selection.None, want)
		p.problem(fmt.Sprintf("List %s names the channel %q, which is not configured.", p.selection.reach(of, v)[0].List, of.channel),
			"Add the channel to the configuration or correct the list.")
		return
	}
	if slices.Contains(p.selection.None, want) {
		return
	}
	i := slices.Index(p.selection.Renderings, want)
	if i < 0 {
		if i = p.make(want, p.lanes[lane]); i < 0 {
			return
		}
	}
	p.told[i] += places
}

// make makes a rendering and returns its index; -1 if it cannot be made.
func (p *planner) make(want request, lane Lane) int {
	spec := lane.Channel.Spec()
	made, err := p.render(renderers.Request{
		Update: p.update, Format: spec.Format, Limits: spec.Limits,
		Channel: lane.ID, Audience: want.Audience, Locale: want.Locale, Zone: p.roster.zones[want.Zone],
	})
	if err != nil {
		p.selection.None = append(p.selection.None, want)
		p.cannotRender(want, err)
		return -1
	}
	p.Plan.drawn(p.selection, want, Rendering{Format: spec.Format, Threads: spec.Threads, Message: made.Message, Fallback: made.Fallback})
	if want.Audience != incident.Internal {
		p.find(want.Audience, made.Message)
	}
	return len(p.Renderings) - 1
}

// drawn adds a rendering to the plan and its selection.
func (p *Plan) drawn(s *selection, of request, r Rendering) {
	r.Channel, r.Audience, r.Locale, r.Zone = of.Channel, of.Audience, of.Locale, of.Zone
	s.Renderings = append(s.Renderings, of)
	p.Renderings, p.told = append(p.Renderings, r), append(p.told, 0)
}

func (p *planner) find(a incident.Audience, m channels.Message) {
	for _, f := range p.guard(p.update, a, m) {
		if !slices.Contains(p.findings, f) {
			p.findings = append(p.findings, f)
		}
	}
}

// cannotRender reports a rendering that failed. What the author can mend comes as
// problems of its own, with lines.
func (p *planner) cannotRender(r request, err error) {
	theirs, ok := errors.AsType[incident.Problems](err)
	if !ok {
		p.problem(fmt.Sprintf("The message for the channel %s (%s) cannot be made: %v.",
			r.Channel, r.Audience, strings.TrimSuffix(err.Error(), ".")),
			"Mend the template or the text it does not fit.")
		return
	}
	for _, x := range theirs {
		if !slices.Contains(p.problems, x) {
			p.problems = append(p.problems, x)
		}
	}
}

func (p *planner) problem(what, remedy string) {
	x := incident.Problem{What: what, Remedy: remedy}
	if !slices.Contains(p.problems, x) {
		p.problems = append(p.problems, x)
	}
}

// nobody says why an update would reach no one.
func nobody(p incident.Party, left []Left) incident.Problem {
	if len(p.Lists) == 0 {
		return incident.Problem{
			What:   fmt.Sprintf("Nobody would be told: %s has no distribution lists.", p.ID),
			Remedy: "Give the customer a list in the configuration.",
		}
	}
	var why []string
	for _, l := range left {
		why = append(why, fmt.Sprintf("%s (%s)", l.List, l.Why))
	}
	return incident.Problem{
		What:   "Nobody would be told: " + strings.Join(why, "; ") + ".",
		Remedy: "Look at the lists with `sitrep who " + p.ID + "`, or name other recipients with --only.",
	}
}
