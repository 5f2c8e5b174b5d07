package config

import (
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"

	"sitrep/internal/secret"
)

// Traces is where OpenTelemetry traces go. Its zero value means nowhere. It is read
// once, at the start.
type Traces struct {
	Endpoint string                   // of the collector: http:// or https://
	Token    secret.String            // for "Authorization: Bearer"; empty: none
	Headers  map[string]secret.String // added to every request
	CAFile   string                   // absolute; empty: the system's authorities
	Sample   float64                  // share of updates that are traced, 0 to 1
}

type rawTraces struct {
	Endpoint text                     `yaml:"endpoint" doc:"The collector's address for OTLP over HTTP, such as http://localhost:4318."`
	Token    secret.String            `yaml:"token" doc:"Sent as a bearer token. Default: none."`
	Headers  map[string]secret.String `yaml:"headers" doc:"Headers of every request, such as an API key. Default: none."`
	CAFile   string                   `yaml:"ca_file" doc:"Certificates (PEM) of the authority that vouches for the collector. Default: the system's."`
	Sample   *float64                 `yaml:"sample" doc:"Share of updates that are traced, from 0 to 1. Default: 1, all of them."`
}

func (rawTraces) required() []string { return []string{"endpoint"} }

func (c *Config) traces(d *decoder, r *rawTraces, root *yaml.Node) {
	if r == nil {
		return
	}
	place := func(keys ...string) position {
		if n := d.lookup(root, append([]string{"traces"}, keys...)); n != nil {
			return at(n)
		}
		return position{Line: 1}
	}
	c.Traces = Traces{Endpoint: r.Endpoint.Value, Token: r.Token, Headers: r.Headers, CAFile: r.CAFile, Sample: 1}
	if r.Sample != nil {
		c.Traces.Sample = *r.Sample
	}
	if s := c.Traces.Sample; !(s >= 0 && s <= 1) {
		d.problem(place("sample"), "`sample` must be from 0 to 1.", "Write 0.1 for every tenth update, or leave it out for all.")
	}
	c.traceEndpoint(d, r, place())
	if r.CAFile != "" {
		if _, _, err := readSmall(r.CAFile, maxSecret); err != nil {
			d.problem(place("ca_file"), "`ca_file` cannot be used: "+reason(d.display(r.CAFile), err)+".", fileRemedy(err))
		}
	}
	d.traceHeaders(r, place)
}

// traceHeaders finds headers that no request can have. No message shows a value.
func (d *decoder) traceHeaders(r *rawTraces, place func(...string) position) {
	for _, name := range sortedKeys(r.Headers) {
		p := place("headers", name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			d.problem(p, "`"+clip(name)+"` cannot be the name of a header.", "Write it like `x-api-key: ${API_KEY}`.")
		case !httpguts.ValidHeaderFieldValue(r.Headers[name].Reveal()):
			d.problem(p, "The value of the header "+clip(name)+" holds a line break or another sign that no header may have.", "Is it the right one?")
		case strings.EqualFold(name, "Authorization") && !r.Token.Empty():
			d.problem(p, "`token` and the header Authorization say both who we are.", "Keep one of them.")
		}
	}
	if !httpguts.ValidHeaderFieldValue(r.Token.Reveal()) {
		d.problem(place(), "The `token` of traces holds a line break or another sign that no header may have.", "Is it the right one?")
	}
}

func (c *Config) traceEndpoint(d *decoder, r *rawTraces, whole position) {
	e := r.Endpoint
	if e.At == (position{}) {
		d.problem(whole, "`traces` has no `endpoint`.", "Write `endpoint: http://localhost:4318`, or remove `traces` for none.")
		return
	}
	u, err := url.Parse(e.Value)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Scheme != "http" && u.Scheme != "https"):
		d.problem(e.At, "`endpoint` must be the address of a collector, without credentials.", "Write it like http://localhost:4318; what proves who you are goes into `token` or `headers`.")
	case u.Scheme == "http" && !loopback(u.Hostname()) && (!r.Token.Empty() || len(r.Headers) > 0):
		d.problem(e.At, "`endpoint` would send the token or the headers over the network for everybody to read.", "Write it with https://.")
	}
}
