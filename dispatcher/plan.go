package dispatcher

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/renderers"
)

// Plan is who gets what of an update: what preview and --dry-run show, and what
// Publish hands to the ledger.
type Plan struct {
	Deliveries []Delivery
	Renderings []Rendering
	Left       []Left
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
	Message  channels.Message

	// Fallback is why the built-in template was used instead of an operator's.
	Fallback error
}

// planning is all that a plan depends on.
type planning struct {
	update     incident.Update
	party      incident.Party
	only       []string
	lanes      []Lane
	render     func(renderers.Request) (renderers.Rendered, error)
	guard      func(incident.Update, incident.Audience, channels.Message) []renderers.Finding
	suppressed map[place]string
	now        time.Time
}

// plan is pure: the same planning gives the same plan.
func plan(in planning) (Plan, []renderers.Finding, incident.Problems) {
	told, left, problems := Who(in.party, in.update, in.only)
	if len(problems) > 0 {
		return Plan{Left: left}, nil, problems
	}
	p := planner{planning: in, Plan: Plan{Left: left}, at: map[request]int{}}
	for _, t := range told {
		p.add(t)
	}
	if len(told) == 0 {
		p.problems = append(p.problems, nobody(in.party, left))
	}
	return p.Plan, p.findings, p.problems
}

type planner struct {
	planning
	Plan
	at       map[request]int // index of the rendering, -1: it failed
	findings []renderers.Finding
	problems incident.Problems
}

// request is what makes a rendering a different one.
type request struct {
	channel  string
	audience incident.Audience
	locale   string
	zone     string
}

func (p *planner) add(t Target) {
	lane := slices.IndexFunc(p.lanes, func(l Lane) bool { return l.ID == t.To.Channel })
	if lane < 0 {
		p.problem(fmt.Sprintf("List %s names the channel %q, which is not configured.", t.Reach[0].List, t.To.Channel),
			"Add the channel to the configuration or correct the list.")
		return
	}
	if t.To.Zone == nil {
		t.To.Zone = p.party.Zone
	}
	r := p.rendering(t, p.lanes[lane])
	if r < 0 {
		return
	}
	p.Deliveries = append(p.Deliveries, Delivery{
		Target: t, Rendering: r,
		Key:        DeliveryKey(p.update.Key, t.To.Channel, t.To.Address),
		Expire:     p.now.Add(p.lanes[lane].Expire),
		Suppressed: p.suppressed[placeOf(t.To.Channel, t.To.Address)],
	})
}

// rendering is the index of the rendering for t, made if it is the first of its
// sort; -1 if it cannot be made.
func (p *planner) rendering(t Target, lane Lane) int {
	want := request{lane.ID, t.Audience, t.To.Locale, zoneName(t.To.Zone)}
	if i, ok := p.at[want]; ok {
		return i
	}
	spec := lane.Channel.Spec()
	made, err := p.render(renderers.Request{
		Update: p.update, Format: spec.Format, Limits: spec.Limits,
		Channel: lane.ID, Audience: t.Audience, Locale: t.To.Locale, Zone: t.To.Zone,
	})
	if err != nil {
		p.at[want] = -1
		p.cannotRender(want, err)
		return -1
	}
	p.at[want] = len(p.Renderings)
	p.Renderings = append(p.Renderings, Rendering{
		Channel: lane.ID, Format: spec.Format, Audience: t.Audience,
		Locale: want.locale, Zone: want.zone, Message: made.Message, Fallback: made.Fallback,
	})
	if t.Audience != incident.Internal {
		p.find(t.Audience, made.Message)
	}
	return p.at[want]
}

func zoneName(z *time.Location) string {
	if z == nil {
		return ""
	}
	return z.String()
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
			r.channel, r.audience, strings.TrimSuffix(err.Error(), ".")),
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

// DeliveryKey is the key of a delivery: 26 characters of [a-z2-7] that follow from
// the update's key, the channel and the address (in whatever case) alone. So the
// same update sent again, from anywhere, is the same delivery. The first eight are
// the update's, so that the keys of one update lie side by side in the ledger.
func DeliveryKey(update, channel, address string) string {
	where := placeOf(channel, address)
	return digest(update)[:8] + digest(update, where.channel, where.address)[:18]
}

// digest is a hash of words in the characters of a key.
func digest(words ...string) string {
	h := sha256.New()
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s", len(w), w) // lengths: no two lists of words read the same
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(h.Sum(nil)))
}

// acceptance is what is new of the plan, as the ledger takes it.
func (p Plan) acceptance(i ledger.Incident, u ledger.Update) ledger.Acceptance {
	a := ledger.Acceptance{
		Incident: i, Update: u,
		Renderings: make([]channels.Message, len(p.Renderings)),
		Deliveries: make([]ledger.Planned, 0, len(p.Deliveries)),
	}
	for i, r := range p.Renderings {
		a.Renderings[i] = r.Message
	}
	for _, d := range p.Deliveries {
		if d.Already {
			continue
		}
		a.Deliveries = append(a.Deliveries, ledger.Planned{
			Key: d.Key, Channel: d.To.Channel,
			To: channels.Recipient{
				Address: d.To.Address, Name: d.To.Name, Locale: d.To.Locale, Zone: zoneName(d.To.Zone),
			},
			List: d.Reach[0].List, Audience: string(d.Audience),
			Rendering: d.Rendering, Expire: d.Expire, Suppressed: d.Suppressed,
		})
	}
	return a
}
