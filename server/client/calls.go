package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sitrep/server"
)

// Submission is an update to send or preview. Empty fields leave the word to its text.
type Submission struct {
	Source                        []byte // the Markdown
	Incident, Key, Next, Override string
	Only                          []string
}

func (s Submission) call(path string, out any) call {
	q := values("incident", s.Incident, "key", s.Key, "next", s.Next, "override", s.Override, "only", strings.Join(s.Only, ","))
	return call{method: http.MethodPost, path: path, query: q, kind: "text/markdown; charset=utf-8", body: s.Source, out: out}
}

// values are parameters that are not empty.
func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// Preview asks what would be sent. It counts all recipients, and names so many (10,000 at
// most) after leaving out others.
func (c *Client) Preview(ctx context.Context, s Submission, recipients, skip int) (v server.PreviewView, err error) {
	q := s.call("/previews", &v)
	q.query.Set("recipients", strconv.Itoa(recipients))
	q.query.Set("skip", strconv.Itoa(skip))
	return v, c.do(ctx, q)
}

// Send has an update accepted. What was on its way when the connection broke is sent
// again under the same key.
func (c *Client) Send(ctx context.Context, s Submission) (v server.AcceptedView, err error) {
	return v, c.do(ctx, s.call("/updates", &v))
}

// Update is an update and its report.
func (c *Client) Update(ctx context.Context, key string) (v server.UpdateView, err error) {
	return v, c.do(ctx, get("/updates/"+url.PathEscape(key), nil, &v))
}

// Retried is how much is tried again and what is left as it ended, and after which event
// to see what becomes of it.
type Retried struct {
	Reopened int                `json:"reopened"`
	Left     []server.AloneView `json:"left"`
	Events   string             `json:"events"`
}

// Retry tries an update's failed deliveries again. It is not repeated by itself.
func (c *Client) Retry(ctx context.Context, key string) (v Retried, err error) {
	return v, c.do(ctx, call{method: http.MethodPost, path: "/updates/" + url.PathEscape(key) + "/retry", out: &v, once: true})
}

// Cancelled is how many deliveries were taken back, how many may have arrived before, and
// of how many an attempt is under way.
type Cancelled struct {
	Cancelled int `json:"cancelled"`
	Unknown   int `json:"unknown"`
	UnderWay  int `json:"under_way"`
}

// Cancel takes back what of an update was not sent yet. It is not repeated by itself.
func (c *Client) Cancel(ctx context.Context, key string) (v Cancelled, err error) {
	return v, c.do(ctx, call{method: http.MethodPost, path: "/updates/" + url.PathEscape(key) + "/cancel", out: &v, once: true})
}

// Incident is one incident with its updates.
func (c *Client) Incident(ctx context.Context, id string) (v server.IncidentView, err error) {
	return v, c.do(ctx, get("/incidents/"+url.PathEscape(id), nil, &v))
}

// Incidents streams incidents, the latest updated first.
func (c *Client) Incidents(ctx context.Context, customer string, open bool) iter.Seq2[server.IncidentView, error] {
	q := values("customer", customer)
	if open {
		q.Set("open", "true")
	}
	return pages[server.IncidentView](ctx, c, "/incidents", q)
}

// Updates streams updates, newest first.
func (c *Client) Updates(ctx context.Context, customer, incident string) iter.Seq2[server.UpdateView, error] {
	return pages[server.UpdateView](ctx, c, "/updates", values("customer", customer, "incident", incident))
}

// Promises are how often the next update came when it was promised, by customer: of one
// or, with an empty one, of all that the caller may know of.
func (c *Client) Promises(ctx context.Context, customer string) ([]server.CustomerPromises, error) {
	var v struct {
		Customers []server.CustomerPromises `json:"customers"`
	}
	err := c.do(ctx, get("/promises", values("customer", customer), &v))
	return v.Customers, err
}

// Narrow is which deliveries are wanted. Its zero value means all.
type Narrow struct {
	Customer, Incident, Update, Channel string
	Outcomes                            []string // "pending" for those without one
	Since                               time.Time
}

// Deliveries streams deliveries in the order of acceptance.
func (c *Client) Deliveries(ctx context.Context, n Narrow) iter.Seq2[server.DeliveryView, error] {
	return pages[server.DeliveryView](ctx, c, "/deliveries", n.query())
}

// Tallies counts deliveries.
func (c *Client) Tallies(ctx context.Context, n Narrow) ([]server.TallyView, error) {
	var v struct {
		Items []server.TallyView `json:"items"`
	}
	err := c.do(ctx, get("/tallies", n.query(), &v))
	return v.Items, err
}

func (n Narrow) query() url.Values {
	q := values("customer", n.Customer, "incident", n.Incident, "update", n.Update, "channel", n.Channel, "outcome", strings.Join(n.Outcomes, ","))
	if !n.Since.IsZero() {
		q.Set("since", n.Since.Format(time.RFC3339Nano))
	}
	return q
}

// Delivery is one delivery with its attempts.
func (c *Client) Delivery(ctx context.Context, update, key string) (history []server.AttemptView, err error) {
	var v struct {
		History []server.AttemptView `json:"history"`
	}
	err = c.do(ctx, get("/updates/"+url.PathEscape(update)+"/deliveries/"+url.PathEscape(key), nil, &v))
	return v.History, err
}

// Customers are those that the caller may know of.
func (c *Client) Customers(ctx context.Context) ([]server.CustomerView, error) {
	var v struct {
		Customers []server.CustomerView `json:"customers"`
	}
	err := c.do(ctx, get("/customers", nil, &v))
	return v.Customers, err
}

// Lists are a customer and their distribution lists.
func (c *Client) Lists(ctx context.Context, name string) (server.CustomerView, []server.ListView, error) {
	var v struct {
		Customer server.CustomerView `json:"customer"`
		Lists    []server.ListView   `json:"lists"`
	}
	err := c.do(ctx, get("/customers/"+url.PathEscape(name)+"/lists", nil, &v))
	return v.Customer, v.Lists, err
}

// Suppressions are the addresses that are not written to any more: those of one channel
// or, with an empty one, all that the caller may know of.
func (c *Client) Suppressions(ctx context.Context, channel string) ([]server.SuppressionView, error) {
	var v struct {
		Suppressions []server.SuppressionView `json:"suppressions"`
	}
	err := c.do(ctx, get("/suppressions", values("channel", channel), &v))
	return v.Suppressions, err
}

// Suppress has an address not written to from the next update on.
func (c *Client) Suppress(ctx context.Context, channel, address, reason string) (v server.SuppressedView, err error) {
	body, err := json.Marshal(map[string]string{"channel": channel, "address": address, "reason": reason})
	if err != nil {
		return v, err
	}
	return v, c.do(ctx, call{method: http.MethodPost, path: "/suppressions", kind: "application/json", body: body, out: &v})
}

// Unsuppress has an address written to again.
func (c *Client) Unsuppress(ctx context.Context, channel, address string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/suppressions", query: values("channel", channel, "address", address)})
}

// Who is who would be told of a customer's open incident as it is now.
func (c *Client) Who(ctx context.Context, name string) ([]server.RecipientView, error) {
	var v struct {
		Recipients []server.RecipientView `json:"recipients"`
	}
	err := c.do(ctx, get("/who/"+url.PathEscape(name), nil, &v))
	return v.Recipients, err
}

// Grant asks for a token.
type Grant struct {
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Customers []string  `json:"customers"`
	Expires   time.Time `json:"expires,omitzero"`
}

// NewToken issues a token. It is not repeated by itself.
func (c *Client) NewToken(ctx context.Context, g Grant) (token string, v server.TokenView, err error) {
	body, err := json.Marshal(g)
	if err != nil {
		return "", v, err
	}
	var out struct {
		Secret string           `json:"secret"`
		Token  server.TokenView `json:"token"`
	}
	err = c.do(ctx, call{method: http.MethodPost, path: "/tokens", kind: "application/json", body: body, out: &out, once: true})
	return out.Secret, out.Token, err
}

// Tokens are those that the caller may manage, revoked ones too.
func (c *Client) Tokens(ctx context.Context) ([]server.TokenView, error) {
	var v struct {
		Tokens []server.TokenView `json:"tokens"`
	}
	err := c.do(ctx, get("/tokens", nil, &v))
	return v.Tokens, err
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/tokens/" + url.PathEscape(id)})
}

func get(path string, q url.Values, out any) call {
	return call{method: http.MethodGet, path: path, query: q, out: out}
}

const pageSize = 5000

// pages streams a list page by page.
func pages[T any](ctx context.Context, c *Client, path string, q url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q.Set("limit", strconv.Itoa(pageSize))
		for {
			var page server.List[T]
			if err := c.do(ctx, get(path, q, &page)); err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Set("cursor", page.Next)
		}
	}
}
