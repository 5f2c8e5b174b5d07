package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const base = "/api/v1"

// spec is the API's description, as it is served.
type spec struct{ json, yaml []byte }

func (s *Server) routes() (http.Handler, error) {
	api, err := s.api()
	if err != nil {
		return nil, err
	}
	top := http.NewServeMux()
	top.Handle("/api/", api)
	top.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, health{Status: "ok"}) })
	top.HandleFunc("GET /readyz", s.readyz)
	if s.o.Metrics != nil {
		top.HandleFunc("GET /metrics", s.metrics)
	}
	if s.o.Pages != nil {
		top.Handle("/", s.o.Pages)
	}
	return s.wrap(s.exits(strict(top))), nil
}

// strict answers what a mux has no handler for with a problem document.
func strict(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		probe := &held{header: http.Header{}}
		h.ServeHTTP(probe, r)
		if probe.status != http.StatusMethodNotAllowed {
			writeProblem(w, r, notFound())
			return
		}
		allow := probe.header.Get("Allow")
		p := problem(http.StatusMethodNotAllowed, "This address takes "+allow+" only.")
		p.allow = allow
		writeProblem(w, r, p)
	})
}

// health is the answer of /healthz and /readyz.
type health struct {
	Status string  `json:"status"`
	Checks []Check `json:"checks,omitempty"`
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	h, status := health{Status: "ready"}, http.StatusOK
	if s.o.Ready != nil {
		h.Checks = s.o.Ready(r.Context())
	}
	if s.draining() {
		h.Checks = append(h.Checks, Check{Name: "shutdown", Detail: "this process is shutting down and takes no new updates"})
	}
	for _, c := range h.Checks {
		if !c.OK {
			h.Status, status = "not ready", http.StatusServiceUnavailable
		}
	}
	reply(w, status, h)
}

// reply writes a small JSON document.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever asked may have gone
}

// metrics names customers, so it can be kept to those who may know of all of them.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	if s.o.PrivateMetrics {
		p, err := s.admit(r)
		if err == nil && !p.all {
			err = forbidden()
		}
		if err != nil {
			s.refuse(w, r, err)
			return
		}
	}
	s.o.Metrics.ServeHTTP(w, r)
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := s.explain(err, principal{}).(*Problem) //nolint:errorlint // explain returns nothing else
	if !ok {
		p = unavailable()
	}
	writeProblem(w, r, p)
}

// admit authenticates the caller and keeps it to its rate.
func (s *Server) admit(r *http.Request) (principal, error) {
	p, err := s.authenticate(r)
	if err != nil {
		return p, err
	}
	traceOf(r.Context()).who = p.id
	if p.id == "local" {
		return p, nil
	}
	return p, s.limit("token " + p.id)
}

// limit keeps somebody to the rate.
func (s *Server) limit(who string) error {
	wait, ok := s.limits.take(who, s.o.Rate, s.o.Now())
	if ok {
		return nil
	}
	p := problem(http.StatusTooManyRequests, fmt.Sprintf("That is more than %d requests a minute. Wait as long as Retry-After says.", s.o.Rate.PerMinute))
	p.retry = wait
	return p
}

// api is everything below /api/. Who has no token learns nothing about what there is.
func (s *Server) api() (http.Handler, error) {
	mux := http.NewServeMux()
	if err := s.describe(mux); err != nil {
		return nil, err
	}
	inner := strict(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case strings.HasPrefix(r.URL.Path, base+"/openapi."):
			inner.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, base+"/hooks/"):
			s.body(w, r, inner)
		default:
			p, err := s.admit(r)
			if err != nil {
				s.refuse(w, r, err)
				return
			}
			s.body(w, r.WithContext(context.WithValue(r.Context(), keyPrincipal, p)), inner)
			s.touch(r.Context(), p)
		}
	}), nil
}

// body reads the request whole and hands it on.
func (s *Server) body(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if p := readBody(w, r); p != nil {
		writeProblem(w, r, p)
		return
	}
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Path != base+"/events" {
		tagged(w, r, next)
		return
	}
	next.ServeHTTP(w, r)
}

// describe registers every operation and fixes the description.
func (s *Server) describe(mux *http.ServeMux) error {
	api := humago.New(mux, config())
	s.updateRoutes(api)
	s.readRoutes(api)
	s.listRoutes(api)
	s.suppressionRoutes(api)
	s.tokenRoutes(api)
	s.draftRoutes(api)
	s.hookRoutes(api)
	s.eventRoutes(api)
	schemas := api.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel") // the framework's own form of errors, which no answer has
	delete(schemas, "ErrorDetail")
	doc, err := json.MarshalIndent(api.OpenAPI(), "", "  ")
	if err != nil {
		return fmt.Errorf("server: describe the API: %w", err)
	}
	s.spec.json = append(doc, '\n')
	if s.spec.yaml, err = api.OpenAPI().YAML(); err != nil {
		return fmt.Errorf("server: describe the API: %w", err)
	}
	mux.HandleFunc("GET "+base+"/openapi.json", document("application/openapi+json", s.spec.json))
	mux.HandleFunc("GET "+base+"/openapi.yaml", document("application/openapi+yaml", s.spec.yaml))
	return nil
}

func document(kind string, text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tagged(w, r, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(text) // it is kept in memory
		}))
	}
}

// OpenAPI is the API's description (OpenAPI 3.1, JSON), as docs/openapi.json has it.
func (s *Server) OpenAPI() []byte { return s.spec.json }

func config() huma.Config {
	c := huma.DefaultConfig("sitrep", "1")
	c.Info.Description = "One incident update in; everyone who should know has it, once; nobody who should not know does; and the sender can prove it."
	c.Info.License = &huma.License{Name: "Apache License 2.0", Identifier: "Apache-2.0"}
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{fromHuma, named}
	c.Servers = []*huma.Server{{URL: "/", Description: "this server"}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		byToken: {Type: "http", Scheme: "bearer", Description: "A token from `sitrep token new`. A caller on the Unix socket needs none."},
		byInput: {Type: "http", Scheme: "bearer", Description: "The secret of an input. It is also read as a basic password, as the last part of the address, or from a signature."},
	}
	c.Tags = []*huma.Tag{
		{Name: "updates", Description: "Send, preview, retry and cancel."},
		{Name: "record", Description: "What was sent, and what became of it."},
		{Name: "people", Description: "Who is told what, and why."},
		{Name: "events", Description: "Every change as it happens."},
		{Name: "drafts", Description: "What other tools handed in and a person must complete."},
		{Name: "inputs", Description: "What other tools send."},
		{Name: "tokens", Description: "Who may use this API."},
	}
	return c
}

// named gives a problem the name of its request.
func named(ctx huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*Problem)
	if !ok {
		return v, nil
	}
	out := *p
	out.Instance = instance(ctx.Context())
	return &out, nil
}

// register adds an operation for callers of a role.
func register[I, O any](s *Server, api huma.API, op huma.Operation, need Role, handle func(context.Context, principal, *I) (*O, error)) {
	op.Path = base + op.Path
	op.Security = []map[string][]string{{byToken: {}}}
	op.Description = strings.TrimSpace(op.Description + "\n\nFor the role " + string(need) + ".")
	op.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		if !caller(ctx.Context()).role.covers(need) {
			r, w := humago.Unwrap(ctx)
			writeProblem(w, r, forbidden())
			return
		}
		next(ctx)
	}}
	public(s, api, op, func(ctx context.Context, in *I) (*O, error) { return handle(ctx, caller(ctx), in) })
}

// public adds an operation that finds out itself who calls.
func public[I, O any](s *Server, api huma.API, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.MaxBodyBytes, op.BodyReadTimeout = maxBody+1, -1
	fails(api, &op)
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		return out, s.explain(err, caller(ctx))
	})
}

// takes documents bodies of several kinds: what the handler reads itself.
func takes(api huma.API, path string, kinds map[string]*huma.MediaType, description string) {
	op := api.OpenAPI().Paths[base+path].Post
	op.RequestBody = &huma.RequestBody{Description: description, Required: true, Content: kinds}
}

func schemaOf[T any](api huma.API, name string) *huma.Schema {
	return api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, name)
}
