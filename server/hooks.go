package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

// HookInput is what a tool sends.
type HookInput struct {
	ID      string `path:"id" maxLength:"64"`
	RawBody []byte

	headers http.Header
}

// Resolve implements huma.Resolver: signatures are in headers of several names.
func (in *HookInput) Resolve(ctx huma.Context) []error {
	r, _ := humago.Unwrap(ctx)
	in.headers = r.Header
	return nil
}

// SecretHookInput is what a tool sends that can do no more than call an address.
type SecretHookInput struct {
	HookInput
	Secret string `path:"secret" maxLength:"200"`
}

// HookOutput is what became of it.
type HookOutput struct {
	Body struct {
		Results []HookResult `json:"results"`
	}
}

// HookResult is what became of one customer's part.
type HookResult struct {
	Customer string `json:"customer,omitempty"`
	Incident string `json:"incident,omitempty"`
	Update   string `json:"update,omitempty" doc:"The key of the update that was accepted."`
	Added    int    `json:"added,omitempty" doc:"Deliveries that were added."`
	Draft    string `json:"draft,omitempty" doc:"The draft that a person must complete."`
	Ignored  string `json:"ignored,omitempty" doc:"Why there is nothing to tell."`
}

func (s *Server) hookRoutes(api huma.API) {
	kinds := map[string]struct {
		summary string
		schema  *huma.Schema
	}{
		Alertmanager: {"Alertmanager's webhook, version 4", schemaOf[AlertGroup](api, "AlertGroup")},
		Playbooks:    {"The Mattermost Playbooks webhook for status updates", schemaOf[PlaybookRun](api, "PlaybookRun")},
	}
	const how = "Becomes an update of the customer that the input is configured for, or a draft when something required is missing or the leak guard objects. " +
		"Admitted by the input's secret: as a bearer token or basic password, as the last part of the address, or by a signature " +
		"(Standard Webhooks; or HMAC-SHA256 of the body in X-Hub-Signature-256, X-Sitrep-Signature or X-Grafana-Alerting-Signature). " +
		"503 asks to be tried again; what is answered with 4xx will not do better."
	for _, kind := range []string{Alertmanager, Playbooks} {
		public(s, api, huma.Operation{
			OperationID: "hook-" + kind, Method: http.MethodPost, Path: base + "/hooks/" + kind + "/{id}", Tags: []string{"inputs"},
			Summary: kinds[kind].summary, Description: how, DefaultStatus: http.StatusAccepted,
			Security: []map[string][]string{{byInput: {}}, {}},
		}, func(ctx context.Context, in *HookInput) (*HookOutput, error) { return s.hook(ctx, kind, in, "") })
		public(s, api, huma.Operation{
			OperationID: "hook-" + kind + "-secret", Method: http.MethodPost, Path: base + "/hooks/" + kind + "/{id}/{secret}", Tags: []string{"inputs"},
			Summary: kinds[kind].summary + ", by secret address", Description: how, DefaultStatus: http.StatusAccepted,
			Security: []map[string][]string{{}},
		}, func(ctx context.Context, in *SecretHookInput) (*HookOutput, error) {
			return s.hook(ctx, kind, &in.HookInput, in.Secret)
		})
		for _, path := range []string{"/hooks/" + kind + "/{id}", "/hooks/" + kind + "/{id}/{secret}"} {
			takes(api, path, map[string]*huma.MediaType{"application/json": {Schema: kinds[kind].schema}}, "As the tool sends it.")
		}
	}
}

// hook takes in what a tool sends. An input that is not there and a wrong secret get
// the same answer.
func (s *Server) hook(ctx context.Context, kind string, h *HookInput, path string) (*HookOutput, error) {
	set := s.o.Setup()
	i := slices.IndexFunc(set.Inputs, func(in Input) bool { return in.Kind == kind && in.ID == h.ID })
	var in Input
	if i >= 0 {
		in = set.Inputs[i].filled()
	}
	if !authentic(in.Secret, path, h.headers, h.RawBody, s.o.Now()) {
		return nil, unauthorized()
	}
	if err := s.limit("input " + kind + "/" + in.ID); err != nil {
		return nil, err
	}
	if s.draining() {
		return nil, shuttingDown()
	}
	traceOf(ctx).who = "input:" + in.ID
	read := s.alerts
	if kind == Playbooks {
		read = s.playbook
	}
	notices, err := read(ctx, set, in, h.RawBody)
	if err != nil {
		return nil, err
	}
	return s.notices(ctx, set, notices)
}

// notices sends each, or keeps it as a draft.
func (s *Server) notices(ctx context.Context, set Setup, all []notice) (*HookOutput, error) {
	out := &HookOutput{}
	out.Body.Results = []HookResult{}
	if len(all) == 0 {
		out.Body.Results = append(out.Body.Results, HookResult{Ignored: "this event makes no update"})
	}
	for _, n := range all {
		r, err := s.notice(ctx, set, n)
		if err != nil {
			return nil, err
		}
		out.Body.Results = append(out.Body.Results, r)
	}
	return out, nil
}

// principal is who acts for the input: it knows of the one customer that it is about,
// so that what is said in a draft names no other. Where none is known, only those who
// may know of all get to see the draft.
func (n notice) principal() principal {
	p := principal{id: "input:" + n.input.ID, name: "input " + n.input.ID, role: Author}
	if n.party.ID == "" {
		p.all = true
	} else {
		p.customers = []string{n.party.ID}
	}
	return p
}

func (s *Server) notice(ctx context.Context, set Setup, n notice) (HookResult, error) {
	r := HookResult{Customer: n.party.ID, Incident: n.incident}
	if n.source == nil {
		r.Ignored = "the alerts are resolved, and no open incident is known of them"
		return r, nil
	}
	who := n.principal()
	sub := dispatcher.Submission{Source: n.source, Incident: n.incident, Key: n.key, Next: n.next, Only: n.input.Only}
	p, err := s.prepare(ctx, who, set, sub)
	if p.Earlier != nil && err == nil && p.New == 0 {
		r.Update, r.Ignored = p.Earlier.Key, "it was told before"
		return r, nil
	}
	if err == nil && p.Update.Customer != n.party.ID {
		n.why = append(n.why, "The text is about another customer than the input is for.")
	}
	if n.input.Draft {
		n.why = append(n.why, "A person is to look at what this input sends.")
	}
	why, err := objections(err, who)
	if err != nil {
		return r, err
	}
	if n.why = append(n.why, why...); len(n.why) > 0 {
		r.Draft, err = s.keep(ctx, n)
		return r, err
	}
	got, err := s.accept(ctx, who, set, sub, p)
	if why, err = objections(err, who); err != nil {
		return r, err
	} else if len(why) > 0 { // another update came in between
		n.why = why
		r.Draft, err = s.keep(ctx, n)
		return r, err
	}
	r.Update, r.Added = got.Body.Update.Key, got.Body.Added
	return r, nil
}

// objections is what a person can mend, apart from what nobody can.
func objections(err error, who principal) ([]string, error) {
	if err == nil {
		return nil, nil
	}
	var why []string
	if all, ok := errors.AsType[incident.Problems](err); ok {
		for _, p := range all {
			why = append(why, p.String())
		}
		return why, nil
	}
	if r, ok := errors.AsType[*dispatcher.Refusal](err); ok {
		for _, f := range flaws(r.Findings, who.all) {
			why = append(why, fmt.Sprintf("The leak guard, for %s: “%s”: %s %s", f.Audience, f.Text, f.What, f.Remedy))
		}
		return slices.Compact(why), nil
	}
	return nil, err
}

// keep makes a draft. What the same input says later about the same incident takes its
// place, so drafts do not pile up.
func (s *Server) keep(ctx context.Context, n notice) (string, error) {
	d := ledger.Draft{
		ID: short(n.input.Kind, n.input.ID, n.incident, n.party.ID), Input: n.input.ID, Customer: n.party.ID,
		Incident: n.incident, Key: n.key, Next: n.next, Only: n.input.Only,
		Source: strings.ToValidUTF8(strings.ReplaceAll(string(n.source), "\x00", "\uFFFD"), "\uFFFD"),
		Why:    strings.Join(n.why, "\n"), Received: s.o.Now(),
	}
	if err := s.o.Ledger.PutDraft(ctx, d); err != nil {
		return "", err
	}
	s.o.Log.Info("draft kept", "request", traceOf(ctx).id, "input", d.Input, "customer", d.Customer, "draft", d.ID)
	return d.ID, nil
}
