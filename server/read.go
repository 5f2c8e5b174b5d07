package server

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sitrep/ledger"
)

// Paging is how a list is asked for page by page.
type Paging struct {
	Cursor string `query:"cursor" doc:"Where the page before ended: its next." maxLength:"400"`
	Limit  int    `query:"limit" doc:"How many at most." minimum:"1" maximum:"5000" default:"100"`
}

// mark is a place in a list. Clients get it as an opaque word.
type mark struct {
	Customer string `json:"c,omitempty"` // of lists that go customer by customer
	Key      string `json:"k,omitempty"`
	At       int64  `json:"t,omitempty"`
}

func (m mark) String() string {
	b, err := json.Marshal(m)
	if err != nil {
		return "" // these always can be written
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func (p Paging) mark() (mark, error) {
	var m mark
	if p.Cursor == "" {
		return m, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil || m.Key == "" && m.Customer == "" {
		return m, badRequest("query.cursor", "This is not a cursor of this list.", "Use the next of the page before, or none for the first page.")
	}
	return m, nil
}

// List is a page of a list.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page. None: this is the last."`
}

// ListOutput is a page of a list.
type ListOutput[T any] struct {
	Link string `header:"Link" doc:"The next page, rel=next (RFC 8288)."`
	Body List[T]
}

// listed is a page, with a link to the one after it.
func listed[T any](items []T, next mark, limit int, here string, params url.Values) *ListOutput[T] {
	out := &ListOutput[T]{Body: List[T]{Items: items}}
	if out.Body.Items == nil {
		out.Body.Items = []T{}
	}
	if next != (mark{}) {
		out.Body.Next = next.String()
		params.Set("cursor", out.Body.Next)
		params.Set("limit", strconv.Itoa(limit))
		out.Link = "<" + base + here + "?" + params.Encode() + `>; rel="next"`
	}
	return out
}

// query is parameters that are not empty.
func query(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// IncidentsInput narrows the incidents.
type IncidentsInput struct {
	Paging
	Customer string `query:"customer" doc:"Only this customer's: their id." maxLength:"100"`
	Open     bool   `query:"open" doc:"Only those that go on."`

	Reminders bool `query:"reminders" doc:"Also the reminders of promised updates, which are kept as incidents of their own."`
}

// IncidentInput names an incident.
type IncidentInput struct {
	ID string `path:"id" maxLength:"64"`
}

// IncidentOutput is one incident.
type IncidentOutput struct{ Body IncidentView }

// UpdatesInput narrows the updates.
type UpdatesInput struct {
	Paging
	Customer string `query:"customer" doc:"Only this customer's: their id." maxLength:"100"`
	Incident string `query:"incident" doc:"Only this incident's." maxLength:"64"`

	Reminders bool `query:"reminders" doc:"Also the reminders of promised updates. Those of an incident that is named by incident are always there."`
}

func (s *Server) readRoutes(api huma.API) {
	register(s, api, huma.Operation{
		OperationID: "list-incidents", Method: http.MethodGet, Path: "/incidents", Tags: []string{"record"},
		Summary: "Incidents, the latest updated first",
	}, Viewer, s.incidents)
	register(s, api, huma.Operation{
		OperationID: "get-incident", Method: http.MethodGet, Path: "/incidents/{id}", Tags: []string{"record"},
		Summary: "One incident and its updates",
	}, Viewer, s.incident)
	register(s, api, huma.Operation{
		OperationID: "list-updates", Method: http.MethodGet, Path: "/updates", Tags: []string{"record"},
		Summary:     "Updates, newest first",
		Description: "For a token of several customers they come customer by customer.",
	}, Viewer, s.updates)
	s.promiseRoutes(api)
	s.deliveryRoutes(api)
}

func (s *Server) incidents(ctx context.Context, who principal, in *IncidentsInput) (*ListOutput[IncidentView], error) {
	m, err := in.mark()
	if err != nil {
		return nil, err
	}
	rows, err := s.o.Ledger.Incidents(ctx, ledger.IncidentQuery{Customer: in.Customer, Open: in.Open})
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(i ledger.Incident) bool { return !who.may(i.Customer) || hidden(i.ID, in.Reminders) })
	slices.SortFunc(rows, func(a, b ledger.Incident) int {
		return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(a.ID, b.ID))
	})
	rows = slices.DeleteFunc(rows, func(i ledger.Incident) bool { return m.Key != "" && !m.before(i) })
	var next mark
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		last := rows[len(rows)-1]
		next = mark{Key: last.ID, At: last.Updated.UnixMicro()}
	}
	var views []IncidentView
	for _, i := range rows {
		views = append(views, viewIncident(i))
	}
	params := query("customer", in.Customer)
	if in.Open {
		params.Set("open", "true")
	}
	if in.Reminders {
		params.Set("reminders", "true")
	}
	return listed(views, next, in.Limit, "/incidents", params), nil
}

// before reports whether the mark comes before an incident in the list's order.
func (m mark) before(i ledger.Incident) bool {
	at := time.UnixMicro(m.At)
	return i.Updated.Before(at) || i.Updated.Equal(at) && i.ID > m.Key
}

func (s *Server) incident(ctx context.Context, who principal, in *IncidentInput) (*IncidentOutput, error) {
	rows, err := s.o.Ledger.Incidents(ctx, ledger.IncidentQuery{ID: in.ID})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || !who.may(rows[0].Customer) {
		return nil, notFound()
	}
	out := &IncidentOutput{Body: viewIncident(rows[0])}
	updates, err := s.o.Ledger.Updates(ctx, ledger.UpdateQuery{Incident: in.ID})
	for _, u := range updates {
		if who.may(u.Customer) {
			out.Body.Updates = append(out.Body.Updates, viewUpdate(u, who))
		}
	}
	out.Body.withPromises(updates, s.o.Now())
	return out, err
}

// turns are the customers that a list goes through, one after the other: so that the
// engine leaves out everything else, and a cursor holds nothing of it. The empty one
// stands for all.
func (p principal) turns(wanted string, from mark) []string {
	all := []string{""}
	switch {
	case wanted != "" && !p.may(wanted):
		return nil
	case wanted != "":
		all = []string{wanted}
	case !p.all:
		all = slices.Sorted(slices.Values(p.customers))
	}
	return slices.DeleteFunc(all, func(c string) bool { return c < from.Customer })
}

func (s *Server) updates(ctx context.Context, who principal, in *UpdatesInput) (*ListOutput[UpdateView], error) {
	m, err := in.mark()
	if err != nil {
		return nil, err
	}
	wanted := in.Reminders || hidden(in.Incident, false)
	params := query("customer", in.Customer, "incident", in.Incident)
	if in.Reminders {
		params.Set("reminders", "true")
	}
	var views []UpdateView
	var next mark
	for _, c := range who.turns(in.Customer, m) {
		q := ledger.UpdateQuery{Customer: c, Incident: in.Incident, Limit: in.Limit + 1}
		if c == m.Customer {
			q.Before = m.Key
		}
		for u, err := range s.eachUpdate(ctx, q) {
			switch {
			case err != nil:
				return nil, err
			case hidden(u.Incident, wanted):
				continue
			case len(views) == in.Limit:
				return listed(views, next, in.Limit, "/updates", params), nil
			}
			views = append(views, viewUpdate(u, who))
			next = mark{Customer: c, Key: u.Key}
		}
	}
	return listed(views, mark{}, in.Limit, "/updates", nil), nil
}

// eachUpdate streams updates, q.Limit at a time.
func (s *Server) eachUpdate(ctx context.Context, q ledger.UpdateQuery) iter.Seq2[ledger.Update, error] {
	return func(yield func(ledger.Update, error) bool) {
		for {
			rows, err := s.o.Ledger.Updates(ctx, q)
			if err != nil {
				yield(ledger.Update{}, err)
				return
			}
			for _, u := range rows {
				if !yield(u, nil) {
					return
				}
				q.Before = u.Key
			}
			if len(rows) < q.Limit {
				return
			}
		}
	}
}
