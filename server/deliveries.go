package server

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sitrep/channels"
	"sitrep/ledger"
)

// DeliveriesInput narrows the deliveries.
type DeliveriesInput struct {
	Paging
	Customer string    `query:"customer" doc:"Only this customer's: their id." maxLength:"100"`
	Incident string    `query:"incident" maxLength:"64"`
	Update   string    `query:"update" doc:"The whole key." maxLength:"128"`
	Channel  string    `query:"channel" maxLength:"100"`
	Outcome  []string  `query:"outcome" doc:"Any of these: pending, or an outcome." maxItems:"9"`
	Fault    []string  `query:"fault" doc:"The last attempt failed with any of these." maxItems:"6"`
	Since    time.Time `query:"since" doc:"Accepted at or after (RFC 3339)."`
}

// TalliesInput narrows what is counted.
type TalliesInput struct {
	Customer string    `query:"customer" doc:"Only this customer's: their id." maxLength:"100"`
	Incident string    `query:"incident" maxLength:"64"`
	Update   string    `query:"update" doc:"The whole key." maxLength:"128"`
	Channel  string    `query:"channel" maxLength:"100"`
	Outcome  []string  `query:"outcome" doc:"Any of these: pending, or an outcome." maxItems:"9"`
	Since    time.Time `query:"since" doc:"Accepted at or after (RFC 3339)."`
}

// TalliesOutput is deliveries counted.
type TalliesOutput struct {
	Body struct {
		Items []TallyView `json:"items"`
	}
}

// TallyView counts deliveries of one sort.
type TallyView struct {
	Customer string    `json:"customer"`
	Channel  string    `json:"channel"`
	Outcome  string    `json:"outcome" enum:"pending,delivered,failed,bounced,expired,superseded,suppressed,cancelled,unknown"`
	Retrying bool      `json:"retrying,omitempty" doc:"Pending, and at least one attempt has failed."`
	Count    int       `json:"count"`
	Oldest   time.Time `json:"oldest" doc:"When the first of them was accepted."`
}

// DeliveryOutput is one delivery in full.
type DeliveryOutput struct {
	Body struct {
		DeliveryView
		History []AttemptView  `json:"history" doc:"The attempts that did not simply succeed, oldest first."`
		Message *RenderingView `json:"message,omitempty" doc:"What was sent. For authors."`
	}
}

func (s *Server) deliveryRoutes(api huma.API) {
	register(s, api, huma.Operation{
		OperationID: "list-deliveries", Method: http.MethodGet, Path: "/deliveries", Tags: []string{"record"},
		Summary: "Deliveries: who got it, who did not, and why",
		Description: "Update by update in the order of acceptance; for a token of several customers customer by customer. " +
			"A page may hold fewer than asked for, or none, and still have a next: then the search goes on there.",
	}, Viewer, s.deliveries)
	register(s, api, huma.Operation{
		OperationID: "count-deliveries", Method: http.MethodGet, Path: "/tallies", Tags: []string{"record"},
		Summary:     "Deliveries, counted",
		Description: "By customer, channel and outcome. Those that are still being written down are not among them: see unwritten of the updates.",
	}, Viewer, s.tallies)
	register(s, api, huma.Operation{
		OperationID: "get-delivery", Method: http.MethodGet, Path: "/updates/{update}/deliveries/{key}", Tags: []string{"record"},
		Summary: "One delivery, its attempts and its message",
	}, Viewer, s.delivery)
}

// query is the filter as the ledger takes it.
func (in *DeliveriesInput) query() (ledger.DeliveryQuery, error) {
	q := ledger.DeliveryQuery{Update: in.Update, Incident: in.Incident, Channel: in.Channel, Since: in.Since}
	var err error
	if q.Outcomes, err = outcomes(in.Outcome); err != nil {
		return q, err
	}
	for _, word := range in.Fault {
		if !channels.Fault(word).Valid() {
			return q, badRequest("query.fault", strconv.Quote(word)+" is not a fault.", "Write "+joined(channels.Faults())+".")
		}
	}
	return q, nil
}

func outcomes(words []string) (all []ledger.Outcome, err error) {
	for _, word := range words {
		o := ledger.Outcome(word)
		if word == pending {
			o = ledger.Pending
		} else if !o.Valid() {
			return nil, badRequest("query.outcome", strconv.Quote(word)+" is not an outcome.", "Write pending, "+joined(ledger.Outcomes())+".")
		}
		all = append(all, o)
	}
	return all, nil
}

func joined[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

// A page looks at no more rows than this for those with a fault that is asked for, so
// that a rare one does not make one request read everything.
const looked = 20_000

func (s *Server) deliveries(ctx context.Context, who principal, in *DeliveriesInput) (*ListOutput[DeliveryView], error) {
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	m, err := in.mark()
	if err != nil {
		return nil, err
	}
	page := deliveryPage{in: in, left: looked}
	for _, c := range who.turns(in.Customer, m) {
		q.Customer, q.After = c, ""
		if c == m.Customer {
			q.After = m.Key
		}
		if more, err := page.fill(s.o.Ledger.Deliveries(ctx, q), c); more || err != nil {
			return listed(page.views, page.last, in.Limit, "/deliveries", in.params()), err
		}
	}
	return listed(page.views, mark{}, in.Limit, "/deliveries", nil), nil
}

// deliveryPage is a page while it is filled.
type deliveryPage struct {
	in    *DeliveriesInput
	views []DeliveryView
	last  mark // behind which the next page begins
	left  int  // rows to look at
}

// fill takes rows until the page is full, and reports whether there are more.
func (p *deliveryPage) fill(rows func(func(ledger.Delivery, error) bool), customer string) (more bool, err error) {
	for d, err := range rows {
		if err != nil {
			return false, err
		}
		if len(p.views) == p.in.Limit || p.left == 0 {
			return true, nil
		}
		p.left--
		p.last = mark{Customer: customer, Key: d.Key}
		if len(p.in.Fault) == 0 || slices.Contains(p.in.Fault, string(d.Fault)) {
			p.views = append(p.views, viewDelivery(d))
		}
	}
	return false, nil
}

func (in *DeliveriesInput) params() (v map[string][]string) {
	v = query("customer", in.Customer, "incident", in.Incident, "update", in.Update, "channel", in.Channel,
		"outcome", strings.Join(in.Outcome, ","), "fault", strings.Join(in.Fault, ","))
	if !in.Since.IsZero() {
		v["since"] = []string{in.Since.Format(time.RFC3339Nano)}
	}
	return v
}

func (s *Server) tallies(ctx context.Context, who principal, in *TalliesInput) (*TalliesOutput, error) {
	of, err := outcomes(in.Outcome)
	if err != nil {
		return nil, err
	}
	out := &TalliesOutput{}
	out.Body.Items = []TallyView{}
	for _, c := range who.turns(in.Customer, mark{}) {
		rows, err := s.o.Ledger.Tally(ctx, ledger.DeliveryQuery{
			Customer: c, Incident: in.Incident, Update: in.Update, Channel: in.Channel, Outcomes: of, Since: in.Since,
		})
		if err != nil {
			return nil, err
		}
		for _, t := range rows {
			out.Body.Items = append(out.Body.Items, TallyView{t.Customer, t.Channel, outcomeWord(t.Outcome), t.Retrying, t.Count, t.Oldest})
		}
	}
	return out, nil
}

// OneDelivery names a delivery of an update.
type OneDelivery struct {
	Update string `path:"update" doc:"The update's key, or the first six or more characters of it." maxLength:"128"`
	Key    string `path:"key" maxLength:"128"`
}

func (s *Server) delivery(ctx context.Context, who principal, in *OneDelivery) (*DeliveryOutput, error) {
	u, err := s.find(ctx, who, in.Update)
	if err != nil {
		return nil, err
	}
	for d, err := range s.o.Ledger.Deliveries(ctx, ledger.DeliveryQuery{Update: u.Key}) {
		if err != nil {
			return nil, err
		}
		if d.Key == in.Key {
			return s.whole(ctx, who, d)
		}
	}
	return nil, notFound()
}

// whole is a delivery in full.
func (s *Server) whole(ctx context.Context, who principal, d ledger.Delivery) (*DeliveryOutput, error) {
	out := &DeliveryOutput{}
	out.Body.DeliveryView, out.Body.History = viewDelivery(d), []AttemptView{}
	attempts, err := s.o.Ledger.Attempts(ctx, d.Key)
	if err != nil {
		return nil, err
	}
	for _, a := range attempts {
		out.Body.History = append(out.Body.History, AttemptView{
			Number: a.Number, Fault: string(a.Fault), Interrupted: a.Interrupted, Reason: a.Detail, Started: a.Started, Ended: a.Ended,
		})
	}
	if !who.role.covers(Author) {
		return out, nil
	}
	m, err := s.o.Ledger.Rendering(ctx, d.Rendering)
	if err != nil {
		return nil, err
	}
	v := viewMessage(m)
	v.Channel, v.Audience, v.Locale, v.Zone, v.Recipients = d.Channel, d.Audience, d.To.Locale, d.To.Zone, 1
	out.Body.Message = &v
	return out, nil
}
