package dispatcher

import "sitrep/incident"

// Group counts the recipients of a plan who are served alike.
type Group struct {
	List      string // the one they are served as
	Audience  incident.Audience
	Channel   string
	Rendering int // index into Plan.Renderings

	Recipients int // all of them
	Suppressed int // of these: not written to any more
	Already    int // of these: told when the update was accepted before; they count as nothing else
}

// Told is how many are written to.
func (g Group) Told() int { return g.Recipients - g.Suppressed - g.Already }

// Groups count all of a plan's recipients, in the order in which they first come. They
// are counted one by one at every call.
func (p Plan) Groups() []Group {
	if p.groups != nil {
		return p.groups
	}
	var all []Group
	at := map[Group]int{}
	for d := range p.Deliveries() {
		of := Group{List: d.Reach[0].List, Audience: d.Audience, Channel: d.To.Channel, Rendering: d.Rendering}
		i, known := at[of]
		if !known {
			i = len(all)
			at[of], all = i, append(all, of)
		}
		all[i].count(d)
	}
	return all
}

func (g *Group) count(d Delivery) {
	g.Recipients++
	switch {
	case d.Already:
		g.Already++
	case d.Suppressed != "":
		g.Suppressed++
	}
}
