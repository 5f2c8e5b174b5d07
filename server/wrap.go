package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// How long a client may take, and how much it may send.
const (
	bodyPatience  = 30 * time.Second // to send a request
	writePatience = 30 * time.Second // to take an answer
	maxBody       = 4 << 20          // incident.MaxSource, escaped in JSON, and room
)

// trace is what is known of a request for the log.
type trace struct {
	id      string
	who     string
	path    string // instead of the request's, which is secret; or empty
	control *http.ResponseController
}

func traceOf(ctx context.Context) *trace {
	if t, ok := ctx.Value(keyTrace).(*trace); ok {
		return t
	}
	return &trace{}
}

// instance is how a problem document names the request.
func instance(ctx context.Context) string {
	if id := traceOf(ctx).id; id != "" {
		return "urn:sitrep:request:" + id
	}
	return ""
}

// extend gives a client that waits more time to take its answer.
func extend(ctx context.Context, d time.Duration) {
	if c := traceOf(ctx).control; c != nil {
		_ = c.SetWriteDeadline(time.Now().Add(d)) // not every writer can
	}
}

var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// wrap is around everything: it names the request, logs it and contains panics.
func (s *Server) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := &trace{id: r.Header.Get("X-Request-Id")}
		if !requestIDForm.MatchString(t.id) {
			t.id = strings.ToLower(rand.Text())[:16]
		}
		w.Header().Set("X-Request-Id", t.id)
		r = r.WithContext(context.WithValue(r.Context(), keyTrace, t))
		seen := &watched{ResponseWriter: w}
		t.control = http.NewResponseController(seen)
		begun := time.Now()
		defer func() {
			s.contain(seen, r, recover())
			s.o.Log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request", t.id), slog.String("method", method(r)),
				slog.String("path", cmp.Or(t.path, loggable(r.URL.Path))), slog.Int("status", seen.code()), slog.String("by", t.who),
				slog.Duration("took", time.Since(begun)))
		}()
		next.ServeHTTP(seen, r)
	})
}

// contain turns a panic into an answer, if there is still time for one.
func (s *Server) contain(w *watched, r *http.Request, v any) {
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint,err113 // it is compared as net/http does
		panic(v)
	}
	if r.Context().Err() != nil {
		return // whoever asked has gone, and the framework says so in this way
	}
	s.o.Log.Error("a request met a mistake in the program: please report it", "request", traceOf(r.Context()).id,
		"panic", v, "stack", string(debug.Stack()))
	if w.status == 0 {
		writeProblem(w, r, problem(http.StatusInternalServerError, "A mistake in the program: please report it. The log has the details."))
	}
}

// method is the request's, unless it is something made up.
func method(r *http.Request) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, r.Method) {
		return r.Method
	}
	return "other"
}

// loggable is a path without what may be secret in it: links of private pages and
// addresses of inputs.
func loggable(path string) string {
	for _, prefix := range []string{"/api/v1/hooks/", "/c/"} {
		if i := strings.Index(path, prefix); i >= 0 {
			return path[:i] + prefix + "…"
		}
	}
	if len(path) > 200 {
		return path[:200] + "…"
	}
	return path
}

// watched remembers the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (w *watched) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *watched) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// readBody reads the whole body, within bounds of size and time, and puts it back for
// the handler. After it no deadline for reading is left: it would end the request.
func readBody(w http.ResponseWriter, r *http.Request) *Problem {
	control := http.NewResponseController(w)
	defer func() {
		_ = control.SetReadDeadline(time.Time{}) // not every writer can
		_ = control.SetWriteDeadline(time.Now().Add(writePatience))
	}()
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return problem(http.StatusUnsupportedMediaType, "The body is encoded in a way that is not read here. Send it without a Content-Encoding.")
	}
	_ = control.SetReadDeadline(time.Now().Add(bodyPatience))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return problem(http.StatusRequestEntityTooLarge, "The body is larger than 4 MiB. An update is at most 1 MiB.")
	}
	if err != nil {
		return problem(http.StatusBadRequest, "The body did not arrive whole. Send it again.")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	return nil
}

// tagged adds an entity tag to what a GET answers with, and answers 304 to whoever has
// that already (RFC 9110, 13.1.2).
func tagged(w http.ResponseWriter, r *http.Request, next http.Handler) {
	held := &held{header: w.Header()}
	next.ServeHTTP(held, r)
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("Vary", "Authorization, Accept")
	if held.status == http.StatusOK || held.status == 0 {
		sum := sha256.Sum256(held.body.Bytes())
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		w.Header().Set("ETag", tag)
		if matches(r.Header.Values("If-None-Match"), tag) {
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if held.status != 0 {
		w.WriteHeader(held.status)
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(held.body.Bytes()) // whoever asked may have gone
	}
}

// matches compares weakly, as If-None-Match wants it.
func matches(values []string, tag string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part == "*" || strings.TrimPrefix(part, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// held keeps an answer back. Answers to GET are pages of bounded size.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (h *held) Header() http.Header { return h.header }

// WriteHeader implements [http.ResponseWriter].
func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

// Write implements [http.ResponseWriter].
func (h *held) Write(b []byte) (int, error) { return h.body.Write(b) }
