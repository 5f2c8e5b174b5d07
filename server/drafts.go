package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sitrep/dispatcher"
	"sitrep/ledger"
)

// DraftView is an update that waits for a person.
type DraftView struct {
	ID       string    `json:"id"`
	Input    string    `json:"input" doc:"The input it came by."`
	Customer string    `json:"customer,omitempty"`
	Incident string    `json:"incident,omitempty"`
	Next     string    `json:"next_update,omitempty" doc:"The promise it is to make."`
	Only     []string  `json:"only,omitempty" doc:"Whom it is for; none: everybody."`
	Source   string    `json:"source" doc:"Markdown, as far as it could be made."`
	Why      string    `json:"why" doc:"Why it was not sent."`
	Received time.Time `json:"received"`
}

func viewDraft(d ledger.Draft) DraftView {
	return DraftView{
		ID: d.ID, Input: d.Input, Customer: d.Customer, Incident: d.Incident, Next: d.Next, Only: d.Only,
		Source: d.Source, Why: d.Why, Received: d.Received,
	}
}

// DraftsInput narrows the drafts.
type DraftsInput struct {
	Customer string `query:"customer" doc:"Only this customer's: their id." maxLength:"100"`
}

// DraftsOutput is drafts.
type DraftsOutput struct {
	Body struct {
		Drafts []DraftView `json:"drafts"`
	}
}

// DraftInput names a draft.
type DraftInput struct {
	ID string `path:"id" maxLength:"64"`
}

// DraftOutput is one draft.
type DraftOutput struct{ Body DraftView }

// SendDraftInput completes a draft.
type SendDraftInput struct {
	DraftInput
	Prefer string `header:"Prefer" doc:"wait=N waits up to N seconds (120 at most) for the finished report." maxLength:"200"`
	Body   *struct {
		Markdown string   `json:"markdown,omitempty" doc:"The update, mended. None: as the draft has it."`
		Next     string   `json:"next_update,omitempty"`
		Only     []string `json:"only,omitempty"`
		Override string   `json:"override,omitempty" doc:"Why it is to be sent although the leak guard objects."`
	}
}

func (s *Server) draftRoutes(api huma.API) {
	register(s, api, huma.Operation{
		OperationID: "list-drafts", Method: http.MethodGet, Path: "/drafts", Tags: []string{"drafts"},
		Summary: "Drafts, newest first",
	}, Author, s.listDrafts)
	register(s, api, huma.Operation{
		OperationID: "get-draft", Method: http.MethodGet, Path: "/drafts/{id}", Tags: []string{"drafts"},
		Summary: "One draft",
	}, Author, s.getDraft)
	register(s, api, huma.Operation{
		OperationID: "send-draft", Method: http.MethodPost, Path: "/drafts/{id}/send", Tags: []string{"drafts"}, DefaultStatus: http.StatusAccepted,
		Summary: "Send a draft, mended or as it is", Description: "It is dropped once the update is accepted.",
		Responses: map[string]*huma.Response{"200": {Description: "Accepted, and nothing is pending any more. As 202 otherwise."}},
	}, Author, s.sendDraft)
	register(s, api, huma.Operation{
		OperationID: "drop-draft", Method: http.MethodDelete, Path: "/drafts/{id}", Tags: []string{"drafts"},
		Summary: "Drop a draft",
	}, Author, s.dropDraft)
}

func (s *Server) listDrafts(ctx context.Context, who principal, in *DraftsInput) (*DraftsOutput, error) {
	out := &DraftsOutput{}
	out.Body.Drafts = []DraftView{}
	for _, c := range who.turns(in.Customer, mark{}) {
		rows, err := s.o.Ledger.Drafts(ctx, c)
		if err != nil {
			return nil, err
		}
		for _, d := range rows {
			out.Body.Drafts = append(out.Body.Drafts, viewDraft(d))
		}
	}
	return out, nil
}

// draft is one that the caller may see. One of no customer is for who may see all.
func (s *Server) draft(ctx context.Context, who principal, id string) (ledger.Draft, error) {
	d, err := s.o.Ledger.Draft(ctx, id)
	if err == nil && !who.may(d.Customer) {
		err = ledger.ErrNotFound
	}
	return d, err
}

func (s *Server) getDraft(ctx context.Context, who principal, in *DraftInput) (*DraftOutput, error) {
	d, err := s.draft(ctx, who, in.ID)
	return &DraftOutput{Body: viewDraft(d)}, err
}

func (s *Server) sendDraft(ctx context.Context, who principal, in *SendDraftInput) (*AcceptedOutput, error) {
	if s.draining() {
		return nil, shuttingDown()
	}
	d, err := s.draft(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	sub := dispatcher.Submission{Source: []byte(d.Source), Incident: d.Incident, Key: d.Key, Next: d.Next, Only: d.Only}
	if b := in.Body; b != nil {
		sub.Source, sub.Next, sub.Override = []byte(first(b.Markdown, d.Source)), first(b.Next, d.Next), signed(b.Override, who)
		if b.Only != nil {
			sub.Only = b.Only
		}
	}
	set := s.o.Setup()
	p, err := s.prepare(ctx, who, set, sub)
	if err != nil {
		return nil, err
	}
	out, err := s.accept(ctx, who, set, sub, p)
	if err != nil {
		return nil, err
	}
	s.sent(ctx, d)
	return out, s.wait(ctx, out, waits(in.Prefer))
}

// sent drops a draft that was sent, unless a newer one has taken its place.
func (s *Server) sent(ctx context.Context, d ledger.Draft) {
	now, err := s.o.Ledger.Draft(ctx, d.ID)
	if err == nil && now.Key == d.Key && now.Received.Equal(d.Received) {
		_, err = s.o.Ledger.DropDraft(ctx, d.ID)
	}
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		s.o.Log.Warn("a draft was sent and could not be dropped; sending it again tells nobody twice", "draft", d.ID, "error", err)
	}
}

func (s *Server) dropDraft(ctx context.Context, who principal, in *DraftInput) (*struct{}, error) {
	d, err := s.draft(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := s.o.Ledger.DropDraft(ctx, d.ID); err != nil {
		return nil, err
	}
	s.o.Log.Info("draft dropped", "request", traceOf(ctx).id, "by", who.id, "draft", d.ID)
	return &struct{}{}, nil
}
