package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/renderers"
)

// Problem is an error as RFC 9457 has it, with everything that is wrong at once.
type Problem struct {
	Type     string `json:"type" format:"uri-reference" doc:"What sort of problem it is: about:blank says no more than the status."`
	Title    string `json:"title" doc:"The sort of problem in words."`
	Status   int    `json:"status" doc:"The HTTP status."`
	Detail   string `json:"detail,omitempty" doc:"What happened, why, and what to do next."`
	Instance string `json:"instance,omitempty" format:"uri-reference" doc:"The request, as it is called in the log."`
	Problems []Flaw `json:"problems,omitempty" doc:"Everything that is wrong, at once."`

	retry time.Duration // for Retry-After
	allow string
}

// Flaw is one thing that is wrong.
type Flaw struct {
	Line     int    `json:"line,omitempty" doc:"The line of the update, from 1."`
	Where    string `json:"where,omitempty" doc:"The parameter, header or field; for the text of an update its section."`
	Text     string `json:"text,omitempty" doc:"The words of the update that it is about."`
	Audience string `json:"audience,omitempty" doc:"Who would have seen it." enum:"internal,customer,public"`
	Kind     string `json:"kind,omitempty" doc:"What sort of thing the leak guard found." enum:"mention,address,host,customer,code,query,word"`
	What     string `json:"what" doc:"What is wrong and why."`
	Remedy   string `json:"remedy,omitempty" doc:"What to write or do instead."`
}

// The sorts of problems, beside about:blank.
const (
	typeBlank  = "about:blank"
	typeUpdate = "urn:sitrep:problem:update" // the update has mistakes
	typeLeak   = "urn:sitrep:problem:leak-guard"
	typeInput  = "urn:sitrep:problem:request" // the request has mistakes
)

// Error implements error.
func (p *Problem) Error() string { return strings.TrimSpace(p.Title + ": " + p.Detail) }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retry > 0 {
		h.Set("Retry-After", seconds(p.retry))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="sitrep"`)
	}
	return h
}

// seconds is d as Retry-After wants it: whole, and never too short.
func seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

func problem(status int, detail string) *Problem {
	return &Problem{Type: typeBlank, Title: http.StatusText(status), Status: status, Detail: detail}
}

// These say the same whatever the reason, so that nothing can be learnt from them.
func unauthorized() *Problem {
	return problem(http.StatusUnauthorized, "This needs a valid token: send it as Authorization: Bearer TOKEN.")
}

func forbidden() *Problem { return problem(http.StatusForbidden, "This token does not permit that.") }

func notFound() *Problem {
	return problem(http.StatusNotFound, "There is nothing at this address, or this token does not show it.")
}

// badRequest is a mistake in one place of the request.
func badRequest(where, what, remedy string) *Problem {
	return &Problem{
		Type: typeInput, Title: "The request cannot be understood", Status: http.StatusUnprocessableEntity,
		Detail: what, Problems: []Flaw{{Where: where, What: what, Remedy: remedy}},
	}
}

// unavailable is a ledger that does not answer. What it says of itself is for the
// log: it may name files and hosts.
func unavailable() *Problem {
	p := problem(http.StatusServiceUnavailable, "The ledger does not answer just now, so nothing was done. Try again in a moment; the operator finds the reason in the log.")
	p.retry = 5 * time.Second
	return p
}

// mistakes is what an author can mend in an update.
func mistakes(all incident.Problems) *Problem {
	p := &Problem{
		Type: typeUpdate, Title: "The update has mistakes", Status: http.StatusUnprocessableEntity,
		Detail: "Nothing was sent. Mend what is listed and send it again.",
	}
	for _, x := range all {
		p.Problems = append(p.Problems, Flaw{Line: x.Line, What: x.What, Remedy: x.Remedy})
	}
	return p
}

// refusal is what the leak guard says.
func refusal(findings []renderers.Finding, all bool) *Problem {
	p := &Problem{
		Type: typeLeak, Title: "The leak guard refuses the update", Status: http.StatusUnprocessableEntity,
		Detail: "Nothing was sent: the text holds things that readers outside the team must not see. " +
			"Mend it; send it to your own people only (only: internal); or say why it is right all the same (override), which is put on record.",
	}
	p.Problems = flaws(findings, all)
	return p
}

// flaws is findings for a caller. To one who may not know of all customers, that a
// word is the name of another customer is not said.
func flaws(findings []renderers.Finding, all bool) []Flaw {
	list := []Flaw{}
	for _, f := range findings {
		x := Flaw{Line: f.Line, Where: f.Section, Text: f.Text, Audience: string(f.Audience), Kind: string(f.Kind), What: f.Why, Remedy: f.Remedy}
		if f.Kind == renderers.FoundCustomer && !all {
			x.Kind = string(renderers.FoundWord)
			x.What = "The configuration forbids this word outside the team (leak_guard.words)."
			x.Remedy = "Use another word, or move it to the technical notes."
		}
		list = append(list, x)
	}
	return list
}

// explain turns an error from below into a problem. A problem stays as it is; what it
// does not know is a ledger that does not answer, which is logged.
func (s *Server) explain(err error, who principal) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if r, ok := errors.AsType[*dispatcher.Refusal](err); ok {
		return refusal(r.Findings, who.all)
	}
	if all, ok := errors.AsType[incident.Problems](err); ok {
		return mistakes(all)
	}
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return notFound()
	case errors.Is(err, ledger.ErrSequence):
		p := problem(http.StatusConflict, "Several updates of this incident came at once. Nothing was sent: try again.")
		p.retry = time.Second
		return p
	}
	s.o.Log.Error("a request could not be answered", "error", err)
	return unavailable()
}

// fromHuma turns what the framework found wrong into our form.
func fromHuma(_ huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := problem(e.Status, sentence(e.Detail))
	if e.Status >= 500 {
		p.Detail = "Something went wrong on this side. The operator finds the reason in the log."
		return p, nil
	}
	for _, d := range e.Errors {
		if d != nil {
			p.Problems = append(p.Problems, flaw(d))
		}
	}
	if len(p.Problems) > 0 {
		p.Type, p.Title, p.Detail = typeInput, "The request cannot be understood", "Mend what is listed and send it again."
	}
	return p, nil
}

// flaw is one of these mistakes. What the framework says of times speaks to those who
// know Go.
func flaw(d *huma.ErrorDetail) Flaw {
	if strings.Contains(d.Message, "2006-01-02") {
		return Flaw{Where: d.Location, What: "This is not a time.", Remedy: "Write it like 2026-11-22T14:00:00Z."}
	}
	return Flaw{Where: d.Location, What: sentence(d.Message)}
}

func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

// writeProblem answers with p, outside the framework.
func writeProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	h := w.Header()
	for k, v := range p.GetHeaders() {
		h[k] = v
	}
	out := *p
	out.Instance = instance(r.Context())
	body, err := json.Marshal(out)
	if err != nil {
		body = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500}`) // texts always can be written
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // whoever asked may have gone
}
