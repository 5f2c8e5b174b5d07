package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sitrep/dispatcher"
	"sitrep/ledger"
)

// AcceptedOutput answers an update that is on disk.
type AcceptedOutput struct {
	Status     int
	Location   string `header:"Location" doc:"Where the update and its report are."`
	Preference string `header:"Preference-Applied" doc:"Whether the answer waited."`
	Body       AcceptedView
}

// AcceptedView is what was accepted.
type AcceptedView struct {
	Update     UpdateView `json:"update"`
	Duplicate  bool       `json:"duplicate" doc:"It had been accepted before; added counts only recipients who were not told then."`
	Added      int        `json:"added" doc:"Deliveries that were added, those among them that are still being written down."`
	Superseded int        `json:"superseded" doc:"Older deliveries that it has overtaken."`
	Warnings   []Flaw     `json:"warnings,omitempty"`
	Events     string     `json:"events" doc:"Read /events after this to see everything that becomes of it."`
	Report     *Report    `json:"report,omitempty" doc:"If the request asked to wait."`
}

// UpdateInput names an update.
type UpdateInput struct {
	Key string `path:"key" doc:"The update's key, or the first six or more characters of it." maxLength:"128"`
}

// UpdateOutput is one update.
type UpdateOutput struct{ Body UpdateView }

// RetriedOutput says how much is tried again.
type RetriedOutput struct {
	Body struct {
		Reopened int         `json:"reopened" doc:"Deliveries that are pending again."`
		Left     []AloneView `json:"left" doc:"Those that stay as they ended, and why."`
		Events   string      `json:"events" doc:"Read /events after this to see what becomes of them."`
	}
}

// AloneView is how many are not tried again, and why.
type AloneView struct {
	Count int    `json:"count"`
	Why   string `json:"why"`
}

// CancelledOutput says what was taken back.
type CancelledOutput struct {
	Body struct {
		Cancelled int `json:"cancelled" doc:"Deliveries that were taken back before they were sent, those among them that are still being written down."`
		Unknown   int `json:"unknown" doc:"Deliveries that are not tried again, but may have arrived by an earlier attempt."`
		UnderWay  int `json:"under_way" doc:"Deliveries whose attempt is under way, or about to be. Those under way cannot be called back; the others end as cancelled in a moment, and the report counts them so."`
	}
}

func (s *Server) updateRoutes(api huma.API) {
	register(s, api, huma.Operation{
		OperationID: "send-update", Method: http.MethodPost, Path: "/updates", Tags: []string{"updates"}, DefaultStatus: http.StatusAccepted,
		Summary:     "Send an update",
		Description: "Answers 202 once the update and all its deliveries are on disk, or with Prefer: wait=N 200 once nothing of it is pending. Nothing is sent to anybody if it has a mistake or the leak guard finds something: 422 names everything at once.",
		Responses:   map[string]*huma.Response{"200": {Description: "Accepted, and nothing is pending any more: the report is in it. As 202 otherwise."}},
	}, Author, s.send)
	register(s, api, huma.Operation{
		OperationID: "preview-update", Method: http.MethodPost, Path: "/previews", Tags: []string{"updates"},
		Summary:     "Preview an update",
		Description: "Who would get what, word for word. It records nothing. What the leak guard finds is shown and does not fail the request.",
	}, Author, s.preview)
	kinds := map[string]*huma.MediaType{
		"text/markdown":    {Schema: &huma.Schema{Type: "string"}, Example: exampleUpdate},
		"application/json": {Schema: schemaOf[Submission](api, "Submission"), Example: exampleFields()},
	}
	takes(api, "/updates", kinds, "The update: the team's template, or its fields.")
	takes(api, "/previews", kinds, "The update: the team's template, or its fields.")
	register(s, api, huma.Operation{
		OperationID: "get-update", Method: http.MethodGet, Path: "/updates/{key}", Tags: []string{"record"},
		Summary: "One update and its report",
	}, Viewer, s.getUpdate)
	register(s, api, huma.Operation{
		OperationID: "retry-update", Method: http.MethodPost, Path: "/updates/{key}/retry", Tags: []string{"updates"},
		Summary:     "Try again what failed",
		Description: "Makes deliveries that failed, bounced, expired or are unknown pending again, except where a newer update has reached the recipient, or the recipient has signed off since: those are counted as left.",
	}, Author, s.retry)
	register(s, api, huma.Operation{
		OperationID: "cancel-update", Method: http.MethodPost, Path: "/updates/{key}/cancel", Tags: []string{"updates"},
		Summary:     "Take back what was not sent yet",
		Description: "Deliveries whose attempt is under way are left and counted. What is not written down yet is written down as cancelled. The report has the last word.",
	}, Author, s.cancel)
}

// send takes an update in.
func (s *Server) send(ctx context.Context, who principal, in *SubmitInput) (*AcceptedOutput, error) {
	if s.draining() {
		return nil, shuttingDown()
	}
	set := s.o.Setup()
	sub, composed, err := in.submission(who)
	if err != nil {
		return nil, s.fielded(err, composed, who)
	}
	p, err := s.prepare(ctx, who, set, sub)
	if err != nil {
		return nil, s.fielded(err, composed, who)
	}
	if in.Idempotency != "" && p.Earlier != nil && bare(p.Earlier.Source) != bare(string(sub.Source)) {
		return nil, badRequest("header.Idempotency-Key", "This Idempotency-Key was used for another text.", "Use a new key for a new update.")
	}
	out, err := s.accept(ctx, who, set, sub, p)
	if err != nil {
		return nil, s.fielded(err, composed, who)
	}
	return out, s.wait(ctx, out, waits(in.Prefer))
}

func shuttingDown() *Problem {
	p := problem(http.StatusServiceUnavailable, "This process is shutting down and takes no new updates. Nothing was sent: try again.")
	p.retry = 2 * time.Second
	return p
}

// fielded is err for a caller whose update came as fields: lines of a text that they
// never saw are left out.
func (s *Server) fielded(err error, composed bool, who principal) error {
	err = s.explain(err, who)
	p, ok := errors.AsType[*Problem](err)
	if !ok || !composed {
		return err
	}
	for i := range p.Problems {
		p.Problems[i].Line = 0
	}
	return p
}

// accept publishes what was prepared.
func (s *Server) accept(ctx context.Context, who principal, set Setup, sub dispatcher.Submission, p dispatcher.Prepared) (*AcceptedOutput, error) {
	from, err := s.o.Ledger.Latest(ctx)
	if err != nil {
		return nil, err
	}
	got, err := s.publish(ctx, who, set, sub, p)
	if err != nil {
		return nil, err
	}
	s.o.Log.Info("update accepted", "request", traceOf(ctx).id, "by", who.id, "customer", got.Update.Customer,
		"incident", got.Update.Incident, "update", got.Update.Key, "added", got.Added, "duplicate", got.Duplicate)
	out := &AcceptedOutput{Status: http.StatusAccepted, Location: base + "/updates/" + got.Update.Key}
	out.Body = AcceptedView{
		Update: viewUpdate(got.Update, who), Duplicate: got.Duplicate, Added: got.Added, Superseded: len(got.Superseded),
		Warnings: mistakes(p.Warnings).Problems, Events: from,
	}
	return out, nil
}

// wait adds the finished report, if the caller asked to wait for it.
func (s *Server) wait(ctx context.Context, out *AcceptedOutput, most time.Duration) error {
	if most <= 0 {
		return nil
	}
	extend(ctx, most+writePatience)
	u := ledger.Update{Key: out.Body.Update.Key, Incident: out.Body.Update.Incident}
	done, err := s.await(ctx, u.Key, most)
	if err == nil {
		out.Body.Report, err = s.report(ctx, u)
	}
	if err != nil {
		// The update is on disk: that must not read like a failure.
		s.o.Log.Warn("waiting for a report failed", "update", u.Key, "error", err)
		return nil
	}
	out.Body.Update.Unwritten = out.Body.Report.Unwritten
	out.Preference = "wait=" + seconds(most)
	if done {
		out.Status = http.StatusOK
	}
	return nil
}

// find is the update that a caller names, if there is exactly one that it may see.
func (s *Server) find(ctx context.Context, who principal, key string) (ledger.Update, error) {
	rows, err := s.o.Ledger.Updates(ctx, ledger.UpdateQuery{Key: key})
	if err != nil {
		return ledger.Update{}, err
	}
	rows = slices.DeleteFunc(rows, func(u ledger.Update) bool { return !who.may(u.Customer) || !strings.HasPrefix(u.Key, key) })
	if i := slices.IndexFunc(rows, func(u ledger.Update) bool { return u.Key == key }); i >= 0 {
		return rows[i], nil
	}
	if len(rows) != 1 {
		return ledger.Update{}, notFound()
	}
	return rows[0], nil
}

func (s *Server) getUpdate(ctx context.Context, who principal, in *UpdateInput) (*UpdateOutput, error) {
	u, err := s.find(ctx, who, in.Key)
	if err != nil {
		return nil, err
	}
	out := &UpdateOutput{Body: viewUpdate(u, who)}
	if who.role.covers(Author) {
		out.Body.Source = u.Source
	}
	out.Body.Report, err = s.report(ctx, u)
	return out, err
}

func (s *Server) retry(ctx context.Context, who principal, in *UpdateInput) (*RetriedOutput, error) {
	u, err := s.find(ctx, who, in.Key)
	if err != nil {
		return nil, err
	}
	out := &RetriedOutput{}
	if out.Body.Events, err = s.o.Ledger.Latest(ctx); err != nil {
		return nil, err
	}
	again, err := s.o.Setup().Dispatcher.TryAgain(ctx, u.Key)
	if err != nil {
		return nil, err
	}
	out.Body.Reopened, out.Body.Left = again.Reopened, []AloneView{}
	left := 0
	for _, l := range again.Left {
		out.Body.Left = append(out.Body.Left, AloneView{Count: l.Count, Why: l.Why})
		left += l.Count
	}
	s.o.Log.Info("update tried again", "request", traceOf(ctx).id, "by", who.id, "update", u.Key, "reopened", again.Reopened, "left", left)
	return out, nil
}

func (s *Server) cancel(ctx context.Context, who principal, in *UpdateInput) (*CancelledOutput, error) {
	u, err := s.find(ctx, who, in.Key)
	if err != nil {
		return nil, err
	}
	got, err := s.o.Setup().Dispatcher.Cancel(ctx, u.Key)
	if err != nil {
		return nil, err
	}
	out := &CancelledOutput{}
	out.Body.UnderWay = got.UnderWay
	out.Body.Cancelled = got.Unwritten // they are written down as such
	for _, e := range got.Ended {
		if e.Outcome == ledger.Cancelled {
			out.Body.Cancelled++
		} else {
			out.Body.Unknown++
		}
	}
	s.o.Log.Info("update cancelled", "request", traceOf(ctx).id, "by", who.id, "update", u.Key, "cancelled", out.Body.Cancelled,
		"unknown", out.Body.Unknown, "under_way", got.UnderWay)
	return out, nil
}
