package notify

import (
	"context"
	"errors"
	"net/http"
	"net/mail"
	"strings"

	pd "github.com/PagerDuty/go-pagerduty"
	lib "github.com/nikoksr/notify"
	libpd "github.com/nikoksr/notify/service/pagerduty"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

// PagerDutyConfig is the stanza of notify/pagerduty. The first update of an
// incident opens an incident at PagerDuty, whose later updates are its notes: a
// note pages nobody again.
type PagerDutyConfig struct {
	// Token is a REST API key.
	Token secret.String `yaml:"token"`
	// From is the e-mail address of a PagerDuty user, in whose name it is done.
	From string `yaml:"from"`
	// Urgency is high, low, or empty for the service's own.
	Urgency string `yaml:"urgency"`
	// URL is https://api.pagerduty.com unless set; the EU's is
	// https://api.eu.pagerduty.com.
	URL string `yaml:"url"`
}

func newPagerDuty(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	c := PagerDutyConfig{}
	wrong := decode(&c)
	if c.URL == "" {
		c.URL = "https://api.pagerduty.com"
	}
	site, err := checkSite(c.URL, false)
	errs := errors.Join(wrong, err, required("token", !c.Token.Empty(), "from", c.From != ""))
	if _, err := mail.ParseAddress(c.From); c.From != "" && err != nil {
		errs = errors.Join(errs, errors.New("from must be the e-mail address of a PagerDuty user"))
	}
	if c.Urgency != "" && c.Urgency != "high" && c.Urgency != "low" {
		errs = errors.Join(errs, errors.New("urgency must be high or low"))
	}
	if errs != nil {
		return nil, errs
	}
	return newBridge(protocol{
		name: "PagerDuty", secrets: []secret.String{c.Token}, verdict: pagerDutyVerdict, receipt: pagerDutyReceipt,
		part: 10_000, spec: channels.Spec{Threads: true, Limits: channels.Limits{SubjectRunes: 250}},
		open: func(call *call) (lib.Notifier, error) { return openPagerDuty(c, site, call) },
	}, env), nil
}

func openPagerDuty(c PagerDutyConfig, site string, call *call) (lib.Notifier, error) {
	s, err := libpd.New(c.Token.Reveal())
	if err != nil {
		return nil, channels.Errorf(channels.Unauthorized, "PagerDuty: %w", err)
	}
	api := pd.NewClient(c.Token.Reveal(), pd.WithAPIEndpoint(site))
	api.HTTPClient = call.client
	s.Client = &pager{api: api, key: call.Key, incident: string(call.Thread)}
	s.SetFromAddress(c.From)
	s.SetNotificationType("incident_body") // the only type the API takes; the library's default is another
	s.SetUrgency(c.Urgency)
	s.AddReceivers(call.To.Address)
	return s, nil
}

// pager gives the library's service what it lacks: an incident key, by which a
// repeated attempt opens no second incident, and notes.
type pager struct {
	api           *pd.Client
	key, incident string
}

// CreateIncidentWithContext opens an incident, or adds a note to the one there is.
func (p *pager) CreateIncidentWithContext(ctx context.Context, from string, o *pd.CreateIncidentOptions) (*pd.Incident, error) {
	if p.incident == "" {
		o.IncidentKey = p.key
		return p.api.CreateIncidentWithContext(ctx, from, o)
	}
	note := pd.IncidentNote{Content: joined(o.Title, o.Body.Details), User: pd.APIObject{Summary: from}}
	_, err := p.api.CreateIncidentNoteWithContext(ctx, p.incident, note)
	return nil, err
}

func pagerDutyVerdict(r httpx.Response) meaning {
	doc := decoded[struct {
		Error struct {
			Message string   `json:"message"`
			Errors  []string `json:"errors"`
		} `json:"error"`
	}](r)
	text := strings.ToLower(strings.Join(append(doc.Error.Errors, doc.Error.Message), " "))
	switch {
	case r.Status == http.StatusBadRequest && strings.Contains(text, "matching dedup key already exists"):
		return meaning{fault: delivered}
	case r.Status == http.StatusNotFound, r.Status == http.StatusBadRequest && strings.Contains(text, "service"):
		return meaning{fault: channels.NoRecipient, why: "there is no such PagerDuty service"}
	case r.Status == http.StatusPaymentRequired:
		return meaning{fault: channels.Unauthorized, why: "the PagerDuty account does not include this"}
	default:
		return meaning{}
	}
}

func pagerDutyReceipt(c *call, r httpx.Response) channels.Receipt {
	doc := decoded[struct {
		Incident struct {
			ID   string `json:"id"`
			Link string `json:"html_url"`
		} `json:"incident"`
		Note struct {
			ID string `json:"id"`
		} `json:"note"`
	}](r)
	if doc.Incident.ID == "" { // a note, or an incident opened by an earlier attempt
		return channels.Receipt{RemoteID: doc.Note.ID, Thread: c.Thread}
	}
	return channels.Receipt{RemoteID: doc.Incident.ID, Permalink: doc.Incident.Link, Thread: channels.Thread(doc.Incident.ID)}
}
