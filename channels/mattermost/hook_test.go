package mattermost_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"sitrep/channels"
	"sitrep/channels/mattermost"
)

func TestWebhookPosts(t *testing.T) {
	r := start(t, func(url string) mattermost.Config {
		c := asHook(url)
		c.Username = "Status"
		return c
	})
	send(t, r, envelope(1, "town-square", "one", "two"))
	wantShown(t, r, "one", "two") // no card: the posts are complete by themselves
	posts := r.Posts()
	if posts[0].Priority != "urgent" || posts[1].Priority != "" || posts[0].From != "Status" || len(posts[0].Attachments) != 1 {
		t.Errorf("%+v", posts)
	}
	send(t, r, envelope(2, "-", "three"))
	if p := r.Posts()[2]; p.Room != "sev1-abc" {
		t.Errorf("\"-\" went to %q, not to the webhook's own room", p.Room)
	}
	send(t, r, envelope(3, "@alice", "four"))
	if p := r.Posts()[3]; p.Room != "@alice" {
		t.Errorf("@alice went to %q", p.Room)
	}
}

// What is kept ready for many rooms must never reach a room of another audience: two
// messages of the same length are sent in turn, from many goroutines.
func TestWebhookKeepsMessagesApart(t *testing.T) {
	r := start(t, asHook)
	messages := map[string]channels.Message{"town-square": message("for the customer"), "sev1-abc": message("for the team inside")}
	for room, m := range messages {
		m.Payload = append(m.Payload, bytes.Repeat([]byte(" "), 1000-len(m.Payload))...)
		messages[room] = m
	}
	var all sync.WaitGroup
	for i := range 8 {
		for room, m := range messages {
			all.Go(func() {
				for n := range 10 {
					e := envelope(100*i+n+1, room, "x")
					e.Message = m
					if _, err := r.channel.Send(t.Context(), e); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	got := r.Posts()
	if len(got) != 160 {
		t.Fatalf("%d posts, want 160", len(got))
	}
	for _, p := range got {
		if wrong := strings.Contains(p.Text, "inside") != (p.Room == "sev1-abc"); wrong {
			t.Fatalf("%q was posted in %s", p.Text, p.Room)
		}
	}
}

func TestWebhookRefusals(t *testing.T) {
	for address, want := range map[string]channels.Fault{
		"nowhere": channels.NoRecipient, "@nobody": channels.Rejected, "ops/sev1-abc": channels.Rejected,
	} {
		r := start(t, asHook)
		_, err := r.channel.Send(t.Context(), envelope(1, address, "x"))
		if f, _ := channels.FaultOf(err); f != want {
			t.Errorf("%s: %q, want %q: %v", address, f, want, err)
		}
	}
}

func TestWebhookGoesOnWhereItStopped(t *testing.T) {
	for n := 1; n <= 3; n++ {
		r := start(t, asHook)
		failAt(r, n, false, http.StatusServiceUnavailable)
		e := envelope(1, "sev1-abc", "one", "two", "three")
		_, err := r.channel.Send(t.Context(), e)
		if f, _ := channels.FaultOf(err); f != channels.Unavailable {
			t.Fatalf("post %d: %q %v", n, f, err)
		}
		send(t, r, e)
		wantShown(t, r, "one", "two", "three")
		send(t, r, envelope(2, "sev1-abc", "next")) // and forgets
		wantShown(t, r, "one", "two", "three", "next")
	}
}

func TestWebhookTextIsNotRewrittenAsSlacks(t *testing.T) {
	r := start(t, asHook)
	for _, text := range []string{"<!channel> x", "<@abcdefgh>", "<#room>", "see <https://evil.example|the bank>", "if a<b|c>d", "a <\nb | c>"} {
		send(t, r, envelope(len(text), "sev1-abc", text))
		got := r.Posts()[len(r.Posts())-1].Text
		if strings.Contains(got, "<") || strings.ReplaceAll(got, "＜", "<") != text {
			t.Errorf("%q was sent as %q", text, got)
		}
	}
	for i, text := range []string{"a < b and b > a", "<https://example.com>", "| a | b |\n|---|---|"} {
		send(t, r, envelope(100+i, "sev1-abc", text))
		if got := r.Posts()[len(r.Posts())-1].Text; got != text {
			t.Errorf("%q was sent as %q for no reason", text, got)
		}
	}
}

func TestWebhookProbe(t *testing.T) {
	r := start(t, asHook)
	prober := r.channel.(channels.Prober)
	if err := prober.Probe(t.Context(), channels.Recipient{Address: "sev1-abc"}); err != nil {
		t.Error(err)
	}
	r.SetDatabase(false)
	if err := prober.Probe(t.Context(), channels.Recipient{Address: "sev1-abc"}); err == nil {
		t.Error("a server without its database passes for well")
	}
	if len(r.Posts()) != 0 {
		t.Error("Probe posted something")
	}
}

func TestWebhookWithoutPriority(t *testing.T) {
	r := start(t, asHook)
	refused := 0
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if post, _ := isPost(req); post && refused == 0 {
			refused++
			return reply(w, http.StatusForbidden, "api.post.post_priority.priority_post_not_allowed_for_user.request_error")
		}
		return false
	})
	send(t, r, envelope(1, "sev1-abc", "x"))
	if len(r.Posts()) != 1 || r.Posts()[0].Priority != "" {
		t.Errorf("%+v", r.Posts())
	}
}

// A Mattermost below a path of its site.
func TestSiteWithAPath(t *testing.T) {
	r := start(t, asBot)
	srv := httptest.NewServer(http.StripPrefix("/chat", r))
	t.Cleanup(srv.Close)
	for _, conf := range []mattermost.Config{asBot(srv.URL + "/chat/"), asHook(srv.URL + "/chat")} {
		ch, err := mattermost.New(decode(conf), channels.Env{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ch.Send(t.Context(), envelope(1, "sev1-abc", "x")); err != nil {
			t.Error(err)
		}
		if err := ch.(channels.Prober).Probe(t.Context(), channels.Recipient{Address: "sev1-abc"}); err != nil {
			t.Error(err)
		}
	}
}
