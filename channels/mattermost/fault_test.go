package mattermost_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"sitrep/channels"
	"sitrep/channels/channeltest"
)

// Each answer as seen on a real server, and what it means.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name    string
		webhook bool
		status  int
		id      string
		down    bool // the ping says so
		want    channels.Fault
	}{
		{"bot: token", false, 401, "api.context.session_expired.app_error", false, channels.Unauthorized},
		{"bot: token, but the database is down", false, 401, "api.context.session_expired.app_error", true, channels.Unavailable},
		{"bot: not in the room", false, 403, "api.context.permissions.app_error", false, channels.Rejected},
		{"bot: not in the room, but the database is down", false, 403, "api.context.permissions.app_error", true, channels.Unavailable},
		{"bot: archived", false, 400, "api.post.create_post.can_not_post_to_deleted.error", false, channels.NoRecipient},
		{"bot: too long", false, 400, "model.post.is_valid.message_length.app_error", false, channels.Rejected},
		{"bot: body too large", false, 413, "api.context.request_body_too_large.app_error", false, channels.Rejected},
		{"bot: rate", false, 429, "", false, channels.RateLimited},
		{"bot: still being saved", false, 500, "api.post.deduplicate_create_post.pending", false, channels.Ambiguous},
		{"bot: persistent notifications", false, 500, "api.post.create_post.persistent_notification_validation_error.app_error", false, channels.Rejected},
		{"bot: any 500", false, 500, "", false, channels.Ambiguous},
		{"bot: licence", false, 501, "license_error.feature_unavailable", false, channels.Rejected},
		{"bot: proxy", false, 502, "", false, channels.Ambiguous},
		{"bot: busy", false, 503, "", false, channels.Unavailable},
		{"bot: moved", false, 302, "", false, channels.Rejected},
		{"hook: gone", true, 400, "web.incoming_webhook.general.app_error", false, channels.Unauthorized},
		{"hook: gone, but the database is down", true, 400, "web.incoming_webhook.general.app_error", true, channels.Unavailable},
		{"hook: broken", true, 400, "web.incoming_webhook.decode.app_error", false, channels.Rejected},
		{"hook: older server, unknown hook", true, 400, "web.incoming_webhook.invalid.app_error", false, channels.Unauthorized},
		{"hook: locked", true, 403, "web.incoming_webhook.channel_locked.app_error", false, channels.Rejected},
		{"hook: locked, but the database is down", true, 403, "web.incoming_webhook.general.app_error", true, channels.Unavailable},
		{"hook: no such room", true, 404, "web.incoming_webhook.general.app_error", false, channels.NoRecipient},
		{"hook: rate", true, 429, "", false, channels.RateLimited},
		{"hook: any 500", true, 500, "api.post.create_webhook_post.creating.app_error", false, channels.Ambiguous},
		{"hook: switched off", true, 501, "web.incoming_webhook.disabled.app_error", false, channels.Unauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf := asBot
			if tt.webhook {
				conf = asHook
			}
			r := start(t, conf)
			r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
				post, _ := isPost(req)
				if post {
					r.SetDatabase(!tt.down)
					reply(w, tt.status, tt.id)
				}
				return post
			})
			_, err := r.channel.Send(t.Context(), envelope(1, "sev1-abc", "x"))
			if f, _ := channels.FaultOf(err); f != tt.want {
				t.Errorf("%q, want %q: %v", f, tt.want, err)
			}
			channeltest.NoLeak(t, err, token)
			if tt.want == channels.Unavailable && tt.status < 500 && !strings.Contains(err.Error(), "database") {
				t.Errorf("the error does not explain itself: %v", err)
			}
		})
	}
}

func TestSomethingElseAnswers(t *testing.T) {
	page := "<html>Log in to the proxy</html>"
	for _, webhook := range []bool{false, true} {
		conf := asBot
		if webhook {
			conf = asHook
		}
		r := start(t, conf)
		r.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "text/html")
			_, err := io.WriteString(w, page)
			return err == nil
		})
		_, err := r.channel.Send(t.Context(), envelope(1, "sev1-abc", "x"))
		if err == nil || !strings.Contains(err.Error(), "Log in to the proxy") {
			t.Errorf("webhook %v: a login page is taken for success: %v", webhook, err)
		}
		if f, _ := channels.FaultOf(err); f.Final() {
			t.Errorf("webhook %v: the delivery is given up: %v", webhook, err)
		}
	}
}

func TestUnreadableMessages(t *testing.T) {
	r := start(t, asBot)
	for _, m := range []channels.Message{
		{Format: channels.FormatText, Text: "x"},
		{Format: channels.FormatMattermost, Payload: []byte("{")},
		{Format: channels.FormatMattermost, Payload: []byte("{}")},
	} {
		_, err := r.channel.Send(t.Context(), channels.Envelope{Key: channeltest.Key(1), To: channels.Recipient{Address: "sev1-abc"}, Message: m})
		if f, _ := channels.FaultOf(err); f != channels.Rejected {
			t.Errorf("%+v: %v", m, err)
		}
	}
	if n := len(r.Posts()); n != 0 {
		t.Errorf("%d posts", n)
	}
}
