package mmfake_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/channels/mattermost/mmfake"
)

// ask makes a request with the bot's token and returns status and body.
func ask(t *testing.T, s *mmfake.Server, method, path string, body any) (int, map[string]any) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(method, path, bytes.NewReader(raw))
	req.Header.Set("Authorization", "Bearer demo-token")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		doc = map[string]any{"text": w.Body.String()}
	}
	return w.Code, doc
}

func TestPendingPostIDIsRememberedFor30Seconds(t *testing.T) {
	var now atomic.Int64
	s := mmfake.New(mmfake.Options{
		Rooms: []mmfake.Room{{Team: "ops", Name: "sev1"}},
		Now:   func() time.Time { return time.Unix(now.Load(), 0) },
	})
	post := map[string]any{"channel_id": mmfake.ID("room", "ops", "sev1"), "message": "x", "pending_post_id": "any string"}
	_, first := ask(t, s, "POST", "/api/v4/posts", post)
	for _, step := range []struct {
		at   int64
		same bool
	}{{1, true}, {29, true}, {31, false}} {
		now.Store(step.at)
		status, got := ask(t, s, "POST", "/api/v4/posts", post)
		if status != http.StatusCreated || (got["id"] == first["id"]) != step.same {
			t.Errorf("after %d s: %d, same post: %v", step.at, status, got["id"] == first["id"])
		}
	}
	if n := len(s.Posts()); n != 2 {
		t.Errorf("%d posts", n)
	}
}

func TestLimits(t *testing.T) {
	s := mmfake.New(mmfake.Options{Rooms: []mmfake.Room{{Team: "ops", Name: "sev1"}}})
	room := mmfake.ID("room", "ops", "sev1")
	for _, tt := range []struct {
		path, text string
		status     int
		posts      int
	}{
		{"/api/v4/posts", strings.Repeat("ü", 16_383), http.StatusCreated, 1},
		{"/api/v4/posts", strings.Repeat("ü", 16_384), http.StatusBadRequest, 1},
		{"/api/v4/posts", strings.Repeat("x", 300_000), http.StatusRequestEntityTooLarge, 1},
		{"/hooks/demo-hook", strings.Repeat("ü", 16_383), http.StatusOK, 2},
		{"/hooks/demo-hook", strings.Repeat("ü", 16_384), http.StatusOK, 4},
		{"/hooks/demo-hook", strings.Repeat("x", 300_000), http.StatusBadRequest, 4},
		{"/hooks/demo-hook", "", http.StatusBadRequest, 4},
		{"/hooks/other", "x", http.StatusBadRequest, 4},
	} {
		body := map[string]any{"message": tt.text, "channel_id": room}
		if strings.HasPrefix(tt.path, "/hooks/") {
			body = map[string]any{"text": tt.text}
		}
		status, _ := ask(t, s, "POST", tt.path, body)
		if status != tt.status || len(s.Posts()) != tt.posts {
			t.Errorf("%s with %d bytes: %d and %d posts, want %d and %d", tt.path, len(tt.text), status, len(s.Posts()), tt.status, tt.posts)
		}
	}
}

func TestDatabaseDown(t *testing.T) {
	s := mmfake.New(mmfake.Options{Rooms: []mmfake.Room{{Team: "ops", Name: "sev1"}}})
	s.SetDatabase(false)
	for path, want := range map[string]int{
		"/api/v4/users/me": http.StatusForbidden, "/api/v4/system/ping": http.StatusOK,
		"/api/v4/system/ping?get_server_status=true": http.StatusInternalServerError,
	} {
		if got, _ := ask(t, s, "GET", path, nil); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func TestWebhookForm(t *testing.T) {
	s := mmfake.New(mmfake.Options{Rooms: []mmfake.Room{{Team: "ops", Name: "sev1"}}})
	changed := s.Changed()
	srv := httptest.NewServer(s)
	defer srv.Close()
	got, err := http.PostForm(srv.URL+"/hooks/demo-hook", map[string][]string{"payload": {`{"text":"**x**"}`}})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, _ := io.ReadAll(got.Body)
	if got.StatusCode != http.StatusOK || string(body) != "ok" || len(s.Posts()) != 1 {
		t.Errorf("%d %q, %d posts", got.StatusCode, body, len(s.Posts()))
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told of the change")
	}
}
