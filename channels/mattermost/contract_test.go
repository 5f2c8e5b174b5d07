package mattermost_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/channeltest"
	"sitrep/channels/mattermost"
	"sitrep/channels/mattermost/mmfake"
	"sitrep/internal/secret"
)

const token = "tok-correct-horse-battery"

// decode is a stanza already read.
func decode(c mattermost.Config) channels.Decode {
	return func(v any) error {
		reflect.ValueOf(v).Elem().Set(reflect.ValueOf(c))
		return nil
	}
}

// rig is one fake server and the channel that talks to it.
type rig struct {
	*mmfake.Server
	channel channels.Channel
	url     string
	log     *bytes.Buffer
	ahead   atomic.Int64 // how far the server's clock runs ahead
	posts   atomic.Int64 // requests that would make a post, the card aside
}

// start runs a fake with two teams; conf makes the stanza from the server's URL.
func start(t *testing.T, conf func(url string) mattermost.Config) *rig {
	t.Helper()
	r := &rig{log: &bytes.Buffer{}}
	r.Server = mmfake.New(mmfake.Options{
		Now:   func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) },
		Token: token, Hook: token, Users: []string{"alice"},
		Rooms: []mmfake.Room{
			{Team: "ops", Name: "sev1-abc"},
			{Team: "ops", Name: "town-square"},
			{Team: "dev", Name: "town-square"},
			{Team: "ops", Name: "old", Archived: true},
			{Team: "ops", Name: "closed", Closed: true},
		},
	})
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	r.url = srv.URL
	ch, err := mattermost.New(decode(conf(srv.URL)), channels.Env{ID: "chat", Agent: "sitrep/test", Log: slog.New(slog.NewTextHandler(r.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ch.(channels.Closer).Close() })
	r.channel = ch
	return r
}

func asBot(url string) mattermost.Config {
	var c mattermost.Config
	c.URL = url
	c.Token = secret.New(token)
	return c
}

func asHook(url string) mattermost.Config {
	var c mattermost.Config
	c.Webhook = secret.New(url + "/hooks/" + token)
	return c
}

func message(texts ...string) channels.Message {
	p := channels.Posts{Card: channels.Post{Text: "card: " + texts[len(texts)-1]}, Priority: "urgent"}
	for _, text := range texts {
		p.Posts = append(p.Posts, channels.Post{Text: text})
	}
	p.Posts[0].Attachments = []channels.Attachment{{Fallback: "SEV1", Color: "#F2A100", Fields: []channels.Field{{Title: "Next update", Value: "8:00", Short: true}}}}
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return channels.Message{Format: channels.FormatMattermost, Text: strings.Join(texts, "\n"), Payload: raw}
}

func envelope(n int, address string, texts ...string) channels.Envelope {
	return channels.Envelope{Key: channeltest.Key(n), To: channels.Recipient{Address: address}, Message: message(texts...)}
}

// isPost reports a request that would make a post; card, that it is a thread's root.
func isPost(r *http.Request) (post, card bool) {
	if r.Method != http.MethodPost || (r.URL.Path != "/api/v4/posts" && !strings.HasPrefix(r.URL.Path, "/hooks/")) {
		return false, false
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true, strings.Contains(string(body), `"sitrep_part":0`)
}

func reply(w http.ResponseWriter, status int, id string) bool {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(map[string]any{"id": id, "message": "told about " + token, "status_code": status}) == nil
}

// behave makes the server do as the scenario says, and counts.
func (r *rig) behave(t *testing.T, s channeltest.Scenario, webhook bool) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		post, card := isPost(req)
		if !post {
			return false
		}
		if s != channeltest.Accept || !card {
			r.posts.Add(1)
		}
		switch s {
		case channeltest.Busy:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "limit exceeded", http.StatusTooManyRequests)
			return true
		case channeltest.BadPayload:
			return reply(w, http.StatusBadRequest, map[bool]string{
				false: "model.post.is_valid.message_length.app_error", true: "web.incoming_webhook.decode.app_error",
			}[webhook])
		case channeltest.Silent:
			<-hang
			return true
		case channeltest.Cut:
			r.Take(httptest.NewRecorder(), req)
			panic(http.ErrAbortHandler)
		default:
			return false
		}
	})
	r.SetDatabase(s != channeltest.Down) // the trap: 403 and 400
}

func suite(conf func(string) mattermost.Config, webhook bool) channeltest.Suite {
	return channeltest.Suite{Open: func(t *testing.T, s channeltest.Scenario) channeltest.Rig {
		r := start(t, func(url string) mattermost.Config {
			c := conf(url)
			if s == channeltest.BadCredentials {
				c.Token = secret.New(token + "-wrong")
				if webhook {
					c = mattermost.Config{}
					c.Webhook = secret.New(url + "/hooks/" + token + "-wrong")
				}
			}
			return c
		})
		r.behave(t, s, webhook)
		to := "sev1-abc"
		if s == channeltest.UnknownRecipient {
			to = "nowhere"
		}
		return channeltest.Rig{
			Channel: r.channel, To: channels.Recipient{Address: to}, Message: message("Investigating."),
			Secret: token, Attempts: func() int { return int(r.posts.Load()) },
		}
	}}
}

func TestBotContract(t *testing.T)     { channeltest.Run(t, suite(asBot, false)) }
func TestWebhookContract(t *testing.T) { channeltest.Run(t, suite(asHook, true)) }

func TestConfigReportsEveryMistake(t *testing.T) {
	tests := []struct {
		name string
		conf func(*mattermost.Config)
		says []string
	}{
		{"nothing", func(*mattermost.Config) {}, []string{"token", "url is empty"}},
		{"both", func(c *mattermost.Config) {
			c.URL = "https://x"
			c.Webhook = secret.New("https://x/hooks/" + token)
		}, []string{"exclude each other"}},
		{"no encryption", func(c *mattermost.Config) { *c = asBot("http://chat.example.com") }, []string{"allow_http"}},
		{"not a hook", func(c *mattermost.Config) { c.Webhook = secret.New("https://x/" + token) }, []string{"/hooks/"}},
		{"several", func(c *mattermost.Config) { c.URL, c.Team, c.Username = "chat", "My Team", "x" }, []string{"token", "url", "team", "username"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c mattermost.Config
			tt.conf(&c)
			_, err := mattermost.New(decode(c), channels.Env{})
			if err == nil {
				t.Fatal("taken")
			}
			for _, s := range tt.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not mention %q", err, s)
				}
			}
			channeltest.NoLeak(t, err, token)
		})
	}
	if _, err := mattermost.New(func(any) error { return errors.New("line 7: unknown key") }, channels.Env{}); err == nil || !strings.Contains(err.Error(), "line 7") {
		t.Errorf("the decoder's own mistake is lost: %v", err)
	}
}

func TestAddress(t *testing.T) {
	for _, a := range []string{"sev1-abc", "ops/sev1-abc", "@alice", "@alice.b-c_d", "-", mmfake.ID("room", "ops", "sev1-abc"), "a.b_c"} {
		if err := mattermost.Address(a); err != nil {
			t.Errorf("%q: %v", a, err)
		}
	}
	for a, says := range map[string]string{
		"": "use team/room", "Sev1": "lower case", "Ops/Sev1": "lower case", "#sev1": "without", "~sev1": "without",
		"a/b/c": "use team/room", "sev 1": "use team/room", "@": "use team/room", "https://chat/x": "URL", "../x": "use", "a?b": "use", "ops/@alice": "use",
	} {
		if err := mattermost.Address(a); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want a hint with %q", a, err, says)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, a := range []string{"ops/sev1", "@alice", "-", "#x", "a/b/c", "\x00", "ü"} {
		f.Add(a)
	}
	f.Fuzz(func(t *testing.T, a string) {
		if mattermost.Address(a) == nil && strings.ContainsAny(a, "?#%\\ \r\n\x00") {
			t.Errorf("%q was taken", a)
		}
	})
}

// late is a time limit for a call that should not need one.
const late = 10 * time.Second
