package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
)

// rawCustomer is a customer as the file has it.
type rawCustomer struct {
	At         position
	ID         text      `yaml:"id" doc:"Name of the customer for commands and metrics: letters, digits and . _ -."`
	Name       text      `yaml:"name" doc:"What the customer is called in updates. Default: the id."`
	PublicName text      `yaml:"public_name" doc:"What the public may call the customer. Default: nothing; public updates name no customer."`
	Aliases    []text    `yaml:"aliases" doc:"Other names that titles of updates may use."`
	Zone       zoneName  `yaml:"zone" doc:"The customer's time zone, as an IANA name such as America/New_York. Default: the general zone."`
	Lists      []rawList `yaml:"lists" doc:"The customer's distribution lists."`

	Remind   *[]time.Duration `yaml:"remind" doc:"As the general remind, for this customer."`
	Escalate *rawEscalate     `yaml:"escalate" doc:"As the general escalate, for this customer."`
}

type zoneName struct{ text }

// rawList is a distribution list as the file has it.
type rawList struct {
	At         position
	ID         text           `yaml:"id" doc:"Name of the list, unique for its customer."`
	Audience   audienceName   `yaml:"audience" doc:"Who reads it: internal sees every section, customer and public only the summary and the customer impact; public is not told who the customer is. There is no default."`
	Severities []severityName `yaml:"severities" doc:"Join only for these. Default: all."`
	Statuses   []statusName   `yaml:"statuses" doc:"Join only when the update has one of these. Default: all."`
	After      time.Duration  `yaml:"after" doc:"Join once the incident is older than this. Default: from the start."`
	Include    []text         `yaml:"include" doc:"Other lists of the customer whose recipients belong to this one too. This list's audience and conditions apply."`
	To         []addresses    `yaml:"to" doc:"The recipients, channel by channel."`
}

type (
	audienceName struct{ text }
	severityName struct{ text }
	statusName   struct{ text }
)

func (audienceName) words() []string { return words(incident.Audiences()) }
func (statusName) words() []string   { return words(incident.Statuses()) }
func (severityName) words() []string { return []string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5"} }

func words[T ~string](of []T) []string {
	out := make([]string, len(of))
	for i, w := range of {
		out[i] = string(w)
	}
	return out
}

// customers checks every customer and takes it over.
func (c *Config) customers(d *decoder, raw []rawCustomer) {
	if len(raw) == 0 {
		d.warn(position{Line: 1}, "There are no `customers`, so nobody is told of anything.", "Add one: config.example.yaml shows how.")
	}
	n := names{d: d, taken: map[string]taken{}}
	pages := pageUse{}
	files := csvFiles{}
	for i := range raw {
		r := &raw[i]
		r.oneLine(d)
		n.claim(r, i)
		p := incident.Party{
			ID: r.ID.Value, Name: r.Name.Value, PublicName: r.PublicName.Value, Aliases: values(r.Aliases), Zone: c.Zone,
		}
		if p.Name == "" {
			p.Name = p.ID
		}
		if r.Zone.At != (position{}) && r.Zone.Value != "" {
			if z := d.zone(r.Zone.Value, r.Zone.spot(d, "zone")); z != nil {
				p.Zone = z
			}
		}
		if len(r.Lists) == 0 {
			d.warn(r.At, "Customer "+clip(p.Name)+" has no `lists`, so nobody is told of its incidents.", "Add one with the people to tell.")
		}
		u := unfolder{c: c, d: d, lists: r.Lists, files: files}
		p.Lists = u.unfold()
		pages.note(u.used, i)
		c.Customers = append(c.Customers, p)
	}
	pages.check(c, d)
}

// oneLine refuses names that are no line.
func (r *rawCustomer) oneLine(d *decoder) {
	r.Name.oneLine(d, "name")
	r.PublicName.oneLine(d, "public_name")
	for i := range r.Aliases {
		r.Aliases[i].oneLine(d, "aliases")
	}
}

func values(ts []text) []string {
	var out []string
	for _, t := range ts {
		if t.Value != "" {
			out = append(out, t.Value)
		}
	}
	return out
}

// names sees to it that no name means two customers: an update of the one would
// go to the other.
type names struct {
	d     *decoder
	taken map[string]taken
}

type taken struct {
	customer int
	id       string
	line     int
}

func (n names) claim(r *rawCustomer, customer int) {
	n.d.identifier(&r.ID, "customer", r.At)
	n.name(r.ID, r, customer, "id")
	if r.Name.Value != "" && !strings.EqualFold(r.Name.Value, r.ID.Value) {
		n.name(r.Name, r, customer, "name")
	}
	for _, a := range r.Aliases {
		n.name(a, r, customer, "alias")
	}
}

func (n names) name(t text, r *rawCustomer, customer int, what string) {
	key := strings.ToLower(strings.TrimSpace(t.Value))
	if key == "" {
		return
	}
	first, ok := n.taken[key]
	switch {
	case !ok:
		n.taken[key] = taken{customer, r.ID.Value, t.At.Line}
	case first.customer != customer:
		n.d.problem(t.At, fmt.Sprintf("The %s %s already means the customer %s (line %d).", what, t.Shown, clip(first.id), first.line),
			"A name may mean only one customer, in any case: change one of them.")
	case what == "alias":
		n.d.warn(t.At, "The alias "+t.Shown+" is already a name of this customer.", "Remove it.")
	}
}

// head checks what a list says about itself.
func (r *rawList) head(d *decoder) incident.List {
	l := incident.List{ID: r.ID.Value, After: r.After}
	d.identifier(&r.ID, "list", r.At)
	switch a := incident.Audience(r.Audience.Value); {
	case r.Audience.At == (position{}):
		d.problem(r.At, "The list "+clip(l.ID)+" has no `audience`.", "Write internal, customer or public; there is no default, so that nothing leaks by accident.")
	case a.Valid():
		l.Audience = a
	case r.Audience.Value != "":
		d.problem(r.Audience.At, r.Audience.Shown+" is not an audience.", didYouMean(r.Audience.Value, r.Audience.words()))
	}
	for _, s := range r.Severities {
		if sev, err := incident.ParseSeverity(s.Value); err == nil {
			l.Severities = append(l.Severities, sev)
		} else if s.Value != "" {
			d.problem(s.At, s.Shown+" is not a severity.", "Write SEV1 to SEV5.")
		}
	}
	for _, s := range r.Statuses {
		if st := incident.Status(strings.ToLower(s.Value)); slices.Contains(incident.Statuses(), st) {
			l.Statuses = append(l.Statuses, st)
		} else if s.Value != "" {
			d.problem(s.At, s.Shown+" is not a status.", didYouMean(s.Value, s.words()))
		}
	}
	if r.After < 0 {
		d.problem(r.At, "In the list "+clip(l.ID)+", `after` is negative.", "Write the age at which the list joins: `after: 1h`.")
	}
	return l
}

// pageKind is the kind whose addresses are shared on purpose: whoever looks at a
// page sees all that was sent to it.
const pageKind = "page"

// pageUse is who publishes to which page.
type pageUse map[[2]string][]use

type use struct {
	recipient incident.Recipient
	audience  incident.Audience
	place     Problem
	customer  int
}

func (p pageUse) note(used []use, customer int) {
	for _, u := range used {
		u.customer = customer
		key := [2]string{u.recipient.Channel, u.recipient.Address}
		p[key] = append(p[key], u)
	}
}

// check refuses a page that two audiences or, unless it is public, two customers
// would read.
func (p pageUse) check(c *Config, d *decoder) {
	for key, uses := range p {
		if ch, ok := c.Channel(key[0]); !ok || ch.Kind != pageKind {
			continue
		}
		first := uses[0]
		for _, u := range uses[1:] {
			mistake := u.place
			switch {
			case u.audience != first.audience && u.audience != "" && first.audience != "":
				mistake.What = fmt.Sprintf("The page %s is for the audience %s here and for %s in line %d.", clip(key[1]), u.audience, first.audience, first.place.Line)
				mistake.Remedy = "Give each audience a page of its own."
			case u.customer != first.customer && u.audience != incident.Public:
				mistake.What = fmt.Sprintf("The page %s is for another customer in line %d.", clip(key[1]), first.place.Line)
				mistake.Remedy = "Give each customer a page of its own."
			default:
				continue
			}
			d.out.add(mistake)
		}
	}
}
