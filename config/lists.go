package config

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"sitrep/incident"
)

// origin is where an address stands, for Check.
type origin struct {
	channel, address, shown string
	place                   Problem
}

// unfolder turns the lists of one customer into plain recipients.
type unfolder struct {
	c     *Config
	d     *decoder
	lists []rawList
	files csvFiles
	own   [][]member // of each list, without its includes
	used  []use
}

// member is a recipient with its place.
type member struct {
	incident.Recipient
	shown string
	place Problem
}

func (u *unfolder) unfold() []incident.List {
	lists := make([]incident.List, len(u.lists))
	for i := range u.lists {
		r := &u.lists[i]
		lists[i] = r.head(u.d)
		if first := u.index(r.ID.Value); first < i && r.ID.Value != "" {
			u.d.problem(r.ID.At, fmt.Sprintf("The list %s is defined twice, first in line %d.", r.ID.Shown, u.lists[first].At.Line), "Give one of them another id.")
		}
		u.own = append(u.own, u.recipients(r))
	}
	for i := range lists {
		u.finish(&lists[i], i)
	}
	return lists
}

func (u *unfolder) index(id string) int {
	return slices.IndexFunc(u.lists, func(r rawList) bool { return r.ID.Value == id })
}

// finish gives a list its recipients: its own, and those of the lists it includes.
func (u *unfolder) finish(l *incident.List, i int) {
	seen := map[[2]string]int{}
	add := func(f member, via string) {
		key := [2]string{f.Channel, f.Address}
		if j, twice := seen[key]; twice {
			l.To[j].Required = l.To[j].Required || f.Required
			return
		}
		seen[key] = len(l.To)
		f.Via = join(via, f.Via)
		l.To = append(l.To, f.Recipient)
		u.used = append(u.used, use{recipient: f.Recipient, audience: l.Audience, place: f.place})
	}
	u.repeated(u.own[i])
	for _, f := range u.own[i] {
		add(f, "")
	}
	for _, j := range u.included(i, l.Audience) {
		for _, f := range u.own[j] {
			add(f, u.lists[j].ID.Value)
		}
	}
	if len(l.To) == 0 && u.lists[i].plain() {
		u.d.warn(u.lists[i].At, "The list "+clip(l.ID)+" is empty, so nobody is told by it.", "Add recipients with `to` or `include`.")
	}
}

// plain reports that the list is empty as written, not because of a mistake.
func (r *rawList) plain() bool {
	return len(r.Include) == 0 && !slices.ContainsFunc(r.To, func(a addresses) bool { return len(a.entries) > 0 })
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

func (u *unfolder) repeated(own []member) {
	first := map[[2]string]member{}
	for _, f := range own {
		key := [2]string{f.Channel, f.Address}
		if before, twice := first[key]; twice {
			w := f.place
			w.What = "`" + clip(f.shown) + "` is on this list twice, first in " + before.place.where() + "."
			w.Remedy = "It is told once; remove one."
			u.d.warnings.add(w)
			continue
		}
		first[key] = f
	}
}

func (p Problem) where() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// included are the lists that list i includes, directly or not.
func (u *unfolder) included(i int, audience incident.Audience) []int {
	var out []int
	path := []int{i}
	var walk func(from int)
	walk = func(from int) {
		for _, inc := range u.lists[from].Include {
			j := u.index(inc.Value)
			switch {
			case inc.Value == "":
			case j < 0:
				u.unknownList(inc)
			case slices.Contains(path, j):
				u.cycle(inc, path, j)
			case slices.Contains(out, j):
			case u.raises(inc, audience, i, j):
			default:
				out, path = append(out, j), append(path, j)
				walk(j)
				path = path[:len(path)-1]
			}
		}
	}
	walk(i)
	return out
}

func (u *unfolder) unknownList(inc text) {
	var ids []string
	for _, l := range u.lists {
		if l.ID.Value != "" {
			ids = append(ids, l.ID.Value)
		}
	}
	u.d.problem(inc.At, inc.Shown+" is not a list of this customer.", didYouMean(inc.Value, ids))
}

// cycle names a circle of lists once, at the list of it that stands first.
func (u *unfolder) cycle(inc text, path []int, back int) {
	circle := path[slices.Index(path, back):]
	if back != slices.Min(circle) {
		return
	}
	var ids []string
	for _, i := range append(slices.Clone(circle), back) {
		ids = append(ids, clip(u.lists[i].ID.Value))
	}
	u.d.problem(inc.At, "Lists include each other: "+strings.Join(ids, " → ")+".", "Take one `include` out of the circle.")
}

// raises refuses to show people more than their own list would.
func (u *unfolder) raises(inc text, audience incident.Audience, i, j int) bool {
	theirs := incident.Audience(u.lists[j].Audience.Value)
	if !audience.Valid() || !theirs.Valid() || audience.Least(theirs) == audience {
		return false
	}
	u.d.problem(inc.At, fmt.Sprintf("The list %s is for the audience %s and includes %s, which is for %s: its people would see more than they may.",
		clip(u.lists[i].ID.Value), audience, inc.Shown, theirs), "Include only lists of the same or a more privileged audience.")
	return true
}

// recipients are those that a list itself names, files read.
func (u *unfolder) recipients(r *rawList) []member {
	var out []member
	for _, a := range r.To {
		for _, e := range a.entries {
			if _, ok := u.c.Channel(e.channel.Value); !ok {
				u.unknownChannel(e.channel)
				continue
			}
			if e.file.Value != "" {
				out = append(out, u.fromFile(e)...)
				continue
			}
			out = append(out, u.single(e))
		}
	}
	for _, f := range out {
		u.c.origins = append(u.c.origins, origin{f.Channel, f.Address, f.shown, f.place})
	}
	return out
}

func (u *unfolder) unknownChannel(channel text) {
	var ids []string
	for _, ch := range u.c.Channels {
		ids = append(ids, ch.ID)
	}
	u.d.problem(channel.At, "There is no channel "+channel.Shown+".", didYouMean(channel.Value, ids))
}

func (u *unfolder) single(e entry) member {
	f := member{
		Recipient: incident.Recipient{Channel: e.channel.Value, Address: e.address.Value, Name: e.name.Value, Required: e.required},
		shown:     e.address.Value,
		place:     Problem{File: u.d.file, Line: e.address.At.Line, Column: e.address.At.Column},
	}
	if strings.Contains(e.address.Shown, "${") {
		f.shown = strings.Trim(e.address.Shown, "`")
	}
	if e.zone.Value != "" {
		f.Zone = u.d.zone(e.zone.Value, e.zone.spot(u.d, "zone"))
	}
	f.Locale = u.d.locale(e.locale.Value, e.locale.spot(u.d, "locale"))
	return f
}

func (u *unfolder) fromFile(e entry) []member {
	var out []member
	for _, row := range u.files.read(u.d, e.file) {
		row.Channel, row.Via = e.channel.Value, e.file.Value
		out = append(out, row)
	}
	return out
}

// locale checks a BCP 47 language tag and spells it properly.
func (d *decoder) locale(s string, at spot) string {
	if s == "" {
		return ""
	}
	tag, err := language.Parse(s)
	if err != nil {
		at.problem("must be a language tag, and "+at.shown+" is none.", "Write it like en-US, de or pt-BR.")
		return ""
	}
	return tag.String()
}
