package dispatcher

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
)

// selection is everything that makes deliveries of an update out of the places of a
// roster. It is kept with the update (ledger.Rest.Plan), so that those made later, by
// whatever process, follow from what was decided when it was accepted.
type selection struct {
	choice

	Update string `json:"update"` // its key
	Zone   string `json:"zone,omitempty"`

	// Renderings are those of the acceptance, in its order. None are what there is
	// knowingly no rendering of: such recipients are not told.
	Renderings []request `json:"renderings"`
	None       []request `json:"none,omitempty"`

	Expire map[string]time.Time `json:"expire"` // by channel
}

// request is what makes a rendering a different one.
type request struct {
	Channel  string            `json:"channel"`
	Audience incident.Audience `json:"audience"`
	Locale   string            `json:"locale,omitempty"`
	Zone     string            `json:"zone,omitempty"`
}

func (s *selection) request(of class, v serving) request {
	return request{of.channel, v.audience, v.locale, or(v.zone, s.Zone)}
}

var errSelection = errors.New("what was decided about its recipients cannot be read: the ledger is damaged, or of a newer version of sitrep")

func readSelection(plan []byte) (*selection, error) {
	s := &selection{}
	if err := json.Unmarshal(plan, s); err != nil {
		return nil, fmt.Errorf("%w (%w)", errSelection, err)
	}
	for _, l := range s.Lists {
		if !l.Audience.Valid() {
			return nil, errSelection
		}
	}
	if s.Update == "" || len(s.Renderings) == 0 {
		return nil, errSelection
	}
	return s, nil
}

// maker makes the deliveries of an update out of seats. It is the same for those
// that are written with the update and for those that are written later. It is for
// one goroutine.
type maker struct {
	*selection
	classes    []class
	servings   []serving // of the classes
	keys       *keyer
	suppressed map[place]string // why a place is not written to
}

// maker binds the selection to the classes of some seats. A class that is told and
// of which nothing was decided is an error: nobody is told anything by guess.
func (s *selection) maker(classes []class, suppressed map[place]string) (*maker, error) {
	m := &maker{selection: s, classes: classes, keys: newKeyer(s.Update), suppressed: suppressed}
	for _, c := range classes {
		v := s.serve(c)
		if v.told {
			want := s.request(c, v)
			v.rendering = slices.Index(s.Renderings, want)
			if v.rendering < 0 && !slices.Contains(s.None, want) {
				return nil, fmt.Errorf("%w: there is no message for %s recipients on %s", errSelection, want.Audience, want.Channel)
			}
			v.told = v.rendering >= 0
		}
		m.servings = append(m.servings, v)
	}
	return m, nil
}

// planned is the delivery for a seat, or false: it is not told.
func (m *maker) planned(x seat) (ledger.Planned, bool) {
	v := &m.servings[x.class]
	if !v.told {
		return ledger.Planned{}, false
	}
	of := &m.classes[x.class]
	address := x.contacts[v.order[0]].address
	where := placeOf(of.channel, address)
	p := ledger.Planned{
		Key: m.keys.key(where), Channel: of.channel,
		To:   channels.Recipient{Address: address, Name: v.name(x.contacts), Locale: v.locale, Zone: or(v.zone, m.Zone)},
		List: m.Lists[of.mentions[v.order[0]].list].ID, Audience: string(v.audience),
		Rendering: v.rendering, Expire: m.Expire[of.channel],
	}
	if !of.required {
		p.Suppressed = m.suppressed[where]
	}
	return p, true
}
