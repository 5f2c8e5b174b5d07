package mattermost

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

// server is one Mattermost as the API shows it to one token (or to nobody).
type server struct {
	site  string
	token secret.String
	web   *httpx.Client
}

// problem is Mattermost's error document; ID is a literal, Message is translated.
type problem struct {
	ID      string `json:"id"`
	Message string `json:"message"`
}

func problemOf(r httpx.Response) (p problem) {
	_ = json.Unmarshal(r.Body, &p) // a proxy's page is no problem document; then p is empty
	return p
}

// worded is r with the problem in place of the document, for people to read. The id
// stays, it can be searched for.
func worded(r httpx.Response) httpx.Response {
	if p := problemOf(r); p.Message != "" {
		r.Body = fmt.Appendf(nil, "%s (%s)", p.Message, p.ID)
	}
	return r
}

// call makes one request and decodes its answer into out. A failure is an
// *channels.Error. safe is as in httpx.Request.
func (s *server) call(ctx context.Context, method, path string, in, out any, safe bool) error {
	r, err := s.raw(ctx, method, path, in, safe)
	if err != nil {
		return err
	}
	if !r.OK() {
		return s.fault(ctx, r)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(r.Body, out); err != nil {
		r.Broken = true
		broken := r.Fail("")
		return channels.Errorf(broken.Fault, "%w (it is not the JSON a Mattermost answers with; is the url right?)", broken)
	}
	return nil
}

func (s *server) raw(ctx context.Context, method, path string, in any, safe bool) (httpx.Response, error) {
	req := httpx.Request{}
	if in != nil {
		req = httpx.JSON("", in)
	} else {
		req.Header = http.Header{}
	}
	if !s.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+s.token.Reveal())
	}
	req.Method, req.URL, req.Safe = method, s.site+"/api/v4"+path, safe
	return s.web.Do(ctx, req)
}

// well asks whether the server and its database are up: the only answer of a
// Mattermost that can be believed while its database is down.
func (s *server) well(ctx context.Context) error {
	r, err := s.raw(ctx, http.MethodGet, "/system/ping?get_server_status=true", nil, true)
	if err != nil {
		return channels.Errorf(channels.Unavailable, "the server's status cannot be asked: %w", err)
	}
	if !r.OK() {
		return channels.Errorf(channels.Unavailable, "the server is not well: %w", r.Fail(channels.Unavailable))
	}
	return nil
}

// fault says what an answer means that is not a success.
func (s *server) fault(ctx context.Context, r httpx.Response) error {
	id := problemOf(r).ID
	r = worded(r)
	switch {
	case r.Status >= 500:
		return serverFault(r, id)
	case r.Status < 400 || slices.Contains([]int{http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests}, r.Status):
		return r.Fail("")
	}
	if err := s.well(ctx); err != nil {
		why := channels.Errorf(channels.Unavailable, "%w (it had %s, which it also does when its database is down)", err, statusText(r.Status))
		why.RetryAfter = r.RetryAfter
		return why
	}
	switch {
	case r.Status == http.StatusUnauthorized:
		return explain(r, channels.Unauthorized, "the token is not accepted; make a new one, or enable the bot's account")
	case r.Status == http.StatusNotFound:
		return explain(r, channels.NoRecipient, "it does not exist, or the bot may not see it")
	case strings.Contains(id, "can_not_post_to_deleted"):
		return explain(r, channels.NoRecipient, "the room is archived; unarchive it, or take it off the list")
	case r.Status == http.StatusForbidden:
		return explain(r, channels.Rejected, "the bot lacks a permission here; add it to the team and invite it to the room")
	default:
		return r.Fail(channels.Rejected)
	}
}

// serverFault sorts 5xx. Several of Mattermost's 500s come every time.
func serverFault(r httpx.Response, id string) error {
	switch {
	case strings.Contains(id, "deduplicate_create_post.pending"):
		e := explain(r, channels.Ambiguous, "an earlier attempt of the same post is still being saved")
		e.RetryAfter = max(e.RetryAfter, 2*time.Second)
		return e
	case strings.Contains(id, "persistent_notification"):
		return r.Fail(channels.Rejected)
	default:
		return r.Fail("")
	}
}

func explain(r httpx.Response, f channels.Fault, why string) *channels.Error {
	e := r.Fail(f)
	return &channels.Error{Fault: f, RetryAfter: e.RetryAfter, Err: fmt.Errorf("%s (%w)", why, e.Err)}
}

func statusText(code int) string { return fmt.Sprintf("answered %d %s", code, http.StatusText(code)) }

// again puts words before an error and keeps its fault and wait.
func again(err error, format string, args ...any) *channels.Error {
	f, wait := channels.FaultOf(err)
	return &channels.Error{Fault: f, RetryAfter: wait, Err: fmt.Errorf(format+": %w", append(args, err)...)}
}
