package server

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

// CustomerView is a customer of the configuration.
type CustomerView struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	PublicName string   `json:"public_name,omitempty" doc:"What the public may call it."`
	Aliases    []string `json:"aliases,omitempty"`
	Zone       string   `json:"zone,omitempty"`
	Lists      int      `json:"lists"`
}

// ListView is a distribution list.
type ListView struct {
	ID         string            `json:"id"`
	Audience   string            `json:"audience" enum:"internal,customer,public"`
	Severities []string          `json:"severities,omitempty" doc:"Only told of these."`
	Statuses   []string          `json:"statuses,omitempty" doc:"Only told of these."`
	After      string            `json:"after,omitempty" doc:"Told once the incident is older."`
	Recipients []ListedRecipient `json:"recipients"`
}

// ListedRecipient is one address of a list.
type ListedRecipient struct {
	Channel string `json:"channel"`
	Address string `json:"address"`
	Name    string `json:"name,omitempty"`
	Locale  string `json:"locale,omitempty"`
	Zone    string `json:"zone,omitempty"`
	Via     string `json:"via,omitempty" doc:"The included list or file it came from."`

	Required bool `json:"required,omitempty" doc:"It is to be told by contract: it cannot unsubscribe."`
}

// CustomersOutput is the customers a caller may know of.
type CustomersOutput struct {
	Body struct {
		Customers []CustomerView `json:"customers"`
	}
}

// CustomerInput names a customer.
type CustomerInput struct {
	Customer string `path:"customer" doc:"Id, name or alias." maxLength:"200"`
}

// ListsOutput is a customer's lists.
type ListsOutput struct {
	Body struct {
		Customer CustomerView `json:"customer"`
		Lists    []ListView   `json:"lists"`
	}
}

// WhoInput supposes an update.
type WhoInput struct {
	CustomerInput
	Severity string `query:"severity" doc:"As if the incident were SEV1 to SEV5." maxLength:"20"`
	Status   string `query:"status" doc:"As if the update said so." enum:"investigating,identified,monitoring,resolved"`
	Age      string `query:"age" doc:"As if the incident were that old, such as 3h." maxLength:"50"`
}

// WhoOutput is who would be told, by which lists, and who would not and why.
type WhoOutput struct {
	Body struct {
		Customer   string          `json:"customer"`
		Incident   string          `json:"incident,omitempty" doc:"The open incident it answers for."`
		Severity   string          `json:"severity"`
		Status     string          `json:"status"`
		Recipients []RecipientView `json:"recipients"`
		Left       []LeftView      `json:"left"`
	}
}

func (s *Server) listRoutes(api huma.API) {
	register(s, api, huma.Operation{
		OperationID: "list-customers", Method: http.MethodGet, Path: "/customers", Tags: []string{"people"},
		Summary: "The customers this token is for",
	}, Viewer, s.customers)
	register(s, api, huma.Operation{
		OperationID: "get-lists", Method: http.MethodGet, Path: "/customers/{customer}/lists", Tags: []string{"people"},
		Summary: "A customer's distribution lists",
	}, Viewer, s.lists)
	register(s, api, huma.Operation{
		OperationID: "who", Method: http.MethodGet, Path: "/who/{customer}", Tags: []string{"people"},
		Summary:     "Who would get an update, by which list, and why",
		Description: "Without parameters it answers for the customer's open incident as it is now, or for a SEV1 incident that begins now.",
	}, Viewer, s.who)
}

func viewCustomer(p incident.Party) CustomerView {
	v := CustomerView{ID: p.ID, Name: p.Name, PublicName: p.PublicName, Aliases: p.Aliases, Lists: len(p.Lists)}
	if p.Zone != nil {
		v.Zone = p.Zone.String()
	}
	return v
}

func (s *Server) customers(_ context.Context, who principal, _ *struct{}) (*CustomersOutput, error) {
	out := &CustomersOutput{}
	out.Body.Customers = []CustomerView{}
	for _, p := range who.parties(s.o.Setup().Parties) {
		out.Body.Customers = append(out.Body.Customers, viewCustomer(p))
	}
	return out, nil
}

// party is a customer the caller may know of.
func party(who principal, all []incident.Party, name string) (incident.Party, error) {
	all = who.parties(all)
	i := slices.IndexFunc(all, func(p incident.Party) bool { return p.ID == name })
	if i < 0 {
		i = slices.IndexFunc(all, func(p incident.Party) bool { return p.Answers(name) })
	}
	if i < 0 {
		return incident.Party{}, notFound()
	}
	return all[i], nil
}

func (s *Server) lists(_ context.Context, who principal, in *CustomerInput) (*ListsOutput, error) {
	p, err := party(who, s.o.Setup().Parties, in.Customer)
	if err != nil {
		return nil, err
	}
	out := &ListsOutput{}
	out.Body.Customer, out.Body.Lists = viewCustomer(p), []ListView{}
	for _, l := range p.Lists {
		out.Body.Lists = append(out.Body.Lists, viewList(l))
	}
	return out, nil
}

func viewList(l incident.List) ListView {
	v := ListView{ID: l.ID, Audience: string(l.Audience), Recipients: []ListedRecipient{}}
	for _, x := range l.Severities {
		v.Severities = append(v.Severities, x.String())
	}
	for _, x := range l.Statuses {
		v.Statuses = append(v.Statuses, string(x))
	}
	if l.After > 0 {
		v.After = l.After.String()
	}
	for _, r := range l.To {
		x := ListedRecipient{Channel: r.Channel, Address: r.Address, Name: r.Name, Locale: r.Locale, Via: r.Via, Required: r.Required}
		if r.Zone != nil {
			x.Zone = r.Zone.String()
		}
		v.Recipients = append(v.Recipients, x)
	}
	return v
}

func (s *Server) who(ctx context.Context, who principal, in *WhoInput) (*WhoOutput, error) {
	p, err := party(who, s.o.Setup().Parties, in.Customer)
	if err != nil {
		return nil, err
	}
	u, err := s.supposed(ctx, p, in)
	if err != nil {
		return nil, err
	}
	gone, err := s.suppressed(ctx)
	if err != nil {
		return nil, err
	}
	told, left, _ := dispatcher.Who(p, u, nil) // without words there are no problems
	out := &WhoOutput{}
	out.Body.Customer, out.Body.Incident, out.Body.Severity, out.Body.Status = p.ID, u.Incident, u.Severity.String(), string(u.Status)
	out.Body.Recipients, out.Body.Left = []RecipientView{}, leftViews(left)
	must := required(p)
	for _, t := range told {
		v := viewTarget(t)
		why := gone[suppressedAt(t.To.Channel, t.To.Address)]
		if v.Required = must[suppressedAt(t.To.Channel, t.To.Address)]; v.Required {
			v.Ignored = why
		} else {
			v.Suppressed = why
		}
		out.Body.Recipients = append(out.Body.Recipients, v)
	}
	return out, nil
}

// required are the addresses of a customer that are to be told by contract.
func required(p incident.Party) map[string]bool {
	all := map[string]bool{}
	for _, l := range p.Lists {
		for _, r := range l.To {
			if r.Required {
				all[suppressedAt(r.Channel, r.Address)] = true
			}
		}
	}
	return all
}

// suppressed is why addresses are not written to.
func (s *Server) suppressed(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	rows, err := s.o.Ledger.Suppressions(ctx, "")
	for _, x := range rows {
		all[suppressedAt(x.Channel, x.Address)] = "not written to since " + x.At.UTC().Format(time.DateOnly) + ": " + x.Reason
	}
	return all, err
}

// supposed is the update that who answers for.
func (s *Server) supposed(ctx context.Context, p incident.Party, in *WhoInput) (incident.Update, error) {
	now := s.o.Now()
	u := incident.Update{Customer: p.ID, CustomerName: p.Name, Severity: 1, Status: incident.Investigating, At: now, Started: now, Zone: p.Zone}
	open, err := s.o.Ledger.Incidents(ctx, ledger.IncidentQuery{Customer: p.ID, Open: true, Limit: 1})
	if err != nil {
		return u, err
	}
	if len(open) == 1 {
		i := dispatcher.IncidentOf(open[0])
		u.Incident, u.Severity, u.Status, u.Started = i.ID, i.Severity, i.Status, i.Started
	}
	if in.Severity != "" {
		if u.Severity, err = incident.ParseSeverity(in.Severity); err != nil {
			return u, badRequest("query.severity", strconv.Quote(in.Severity)+" is not a severity.", "Write SEV1 to SEV5.")
		}
	}
	if in.Status != "" {
		u.Status = incident.Status(in.Status)
	}
	if in.Age != "" {
		d, err := incident.ParseElapsed(in.Age)
		if err != nil {
			return u, badRequest("query.age", err.Error(), "Write a duration, such as 3h.")
		}
		u.Started = now.Add(-d)
	}
	return u, nil
}
