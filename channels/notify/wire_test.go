package notify_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/channeltest"
	"sitrep/channels/notify"
)

// deliver sends two updates of one incident and returns what the service saw.
func deliver(t *testing.T, kind string) ([]seen, []channels.Receipt) {
	t.Helper()
	remote := remotes[kind]
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { remote.ok.write(w) })
	ch := open(t, kind, remote.stanza, srv)
	var receipts []channels.Receipt
	e := envelope(1, remote.address)
	for i := range 2 {
		e.Key = channeltest.Key(i + 1)
		r, err := ch.Send(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
		e.Thread = r.Thread
	}
	all := srv.requests()
	if len(all) != 2 {
		t.Fatalf("%d requests", len(all))
	}
	return all, receipts
}

const plain = "SEV1 outage\nStatus: <b>Identified</b> & more\nNext: 8:00"

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func TestSlackOnTheWire(t *testing.T) {
	all, _ := deliver(t, "notify/slack")
	form, _ := url.ParseQuery(all[0].body)
	want(t, "path", all[0].path, "/api/chat.postMessage")
	want(t, "channel", form.Get("channel"), "C0123456789")
	want(t, "text", form.Get("text"), "SEV1 outage\nStatus: &lt;b&gt;Identified&lt;/b&gt; &amp; more\nNext: 8:00")
}

func TestTelegramOnTheWire(t *testing.T) {
	all, receipts := deliver(t, "notify/telegram")
	form, _ := url.ParseQuery(all[0].body)
	want(t, "path", all[0].path, "/bot"+token+"/sendMessage")
	want(t, "chat", form.Get("chat_id"), "-1001234567890")
	want(t, "mode", form.Get("parse_mode"), "HTML")
	want(t, "text", form.Get("text"), "SEV1 outage\nStatus: &lt;b&gt;Identified&lt;/b&gt; &amp; more\nNext: 8:00")
	want(t, "remote id", receipts[0].RemoteID, "42")
}

func TestDiscordOnTheWire(t *testing.T) {
	all, receipts := deliver(t, "notify/discord")
	first, second := all[0].doc(t), all[1].doc(t)
	want(t, "path", all[0].path, "/api/v10/channels/123456789012345678/messages")
	want(t, "authorization", all[0].header.Get("Authorization"), "Bot "+token)
	want(t, "content", first["content"], plain)
	want(t, "nonce", first["nonce"], channeltest.Key(1)[:25])
	want(t, "enforce_nonce", first["enforce_nonce"], true)
	if m, ok := first["allowed_mentions"].(map[string]any); !ok || len(m["parse"].([]any)) != 0 {
		t.Errorf("mentions are allowed: %v", first)
	}
	want(t, "first reply", first["message_reference"], nil)
	if ref, _ := second["message_reference"].(map[string]any); ref["message_id"] != "987654321098765432" {
		t.Errorf("the second update replies to %v", second["message_reference"])
	}
	want(t, "thread", receipts[1].Thread, receipts[0].Thread)
}

func TestTeamsOnTheWire(t *testing.T) {
	all, _ := deliver(t, "notify/msteams")
	card := all[0].doc(t)["attachments"].([]any)[0].(map[string]any)["content"].(map[string]any)
	want(t, "type", card["type"], "AdaptiveCard")
	body := card["body"].([]any)
	want(t, "title", body[0].(map[string]any)["text"], "SEV1 outage")
	text := body[1].(map[string]any)
	want(t, "text", text["text"], "Status: <b>Identified</b> & more\n\nNext: 8:00")
	want(t, "wrap", text["wrap"], true)
}

func TestTeamsOldConnectorSaysOKAndMeansNo(t *testing.T) {
	for body, fault := range map[string]channels.Fault{
		"1": "", "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429": channels.RateLimited,
		"Summary or Text is required.": channels.Rejected,
	} {
		srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer{200, body, nil}.write(w) })
		_, err := open(t, "notify/msteams", remotes["notify/msteams"].stanza, srv).Send(t.Context(), envelope(1, "war-room"))
		if f, _ := channels.FaultOf(err); f != fault {
			t.Errorf("%q: %q, want %q", body, f, fault)
		}
	}
}

func TestPagerDutyOnTheWire(t *testing.T) {
	all, receipts := deliver(t, "notify/pagerduty")
	incident := all[0].doc(t)["incident"].(map[string]any)
	want(t, "path", all[0].path, "/incidents")
	want(t, "authorization", all[0].header.Get("Authorization"), "Token token="+token)
	want(t, "from", all[0].header.Get("From"), "lead@example.com")
	want(t, "key", incident["incident_key"], channeltest.Key(1))
	want(t, "body", incident["body"].(map[string]any)["type"], "incident_body")
	want(t, "service", incident["service"].(map[string]any)["id"], "PABC123")
	want(t, "permalink", receipts[0].Permalink, "https://x.pagerduty.com/incidents/Q1")
	want(t, "second path", all[1].path, "/incidents/Q1/notes") // pages nobody again
	want(t, "thread", receipts[1].Thread, channels.Thread("Q1"))

	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer{400, `{"error":{"message":"Arguments Caused Error","code":2001,"errors":["Open incident with matching dedup key already exists on this service"]}}`, nil}.write(w)
	})
	if _, err := open(t, "notify/pagerduty", remotes["notify/pagerduty"].stanza, srv).Send(t.Context(), envelope(1, "PABC123")); err != nil {
		t.Errorf("what an earlier attempt opened is not recognised: %v", err)
	}
}

func TestPushoverOnTheWire(t *testing.T) {
	all, receipts := deliver(t, "notify/pushover")
	form, _ := url.ParseQuery(all[0].body)
	want(t, "path", all[0].path, "/1/messages.json")
	want(t, "content type", all[0].header.Get("Content-Type"), "application/x-www-form-urlencoded")
	want(t, "token", form.Get("token"), token)
	want(t, "title", form.Get("title"), "SEV1 outage")
	want(t, "message", form.Get("message"), message().Text)
	want(t, "remote id", receipts[0].RemoteID, "647d2300-702c-4b38-8b2f-d56326ae460b")
}

func TestRocketChatOnTheWire(t *testing.T) {
	all, _ := deliver(t, "notify/rocketchat")
	want(t, "path", all[0].path, "/api/v1/chat.postMessage")
	want(t, "token", all[0].header.Get("X-Auth-Token"), token)
	want(t, "text", all[0].doc(t)["text"], plain)
	want(t, "channel", all[0].doc(t)["channel"], "#sev1")
	want(t, "first thread", all[0].doc(t)["tmid"], nil)
	want(t, "second thread", all[1].doc(t)["tmid"], "m1")
}

func TestMatrixOnTheWire(t *testing.T) {
	all, receipts := deliver(t, "notify/matrix")
	want(t, "method", all[0].method, http.MethodPut)
	want(t, "path", strings.ReplaceAll(all[0].path, "%21", "!"), "/_matrix/client/v3/rooms/!abc:example.org/send/m.room.message/"+channeltest.Key(1))
	want(t, "body", all[0].doc(t)["body"], plain)
	if m, ok := all[0].doc(t)["m.mentions"].(map[string]any); !ok || len(m) != 0 {
		t.Errorf("mentions: %v", all[0].body)
	}
	if rel, _ := all[1].doc(t)["m.relates_to"].(map[string]any); rel["event_id"] != "$e1" {
		t.Errorf("the second update is not in the first one's thread: %s", all[1].body)
	}
	if !strings.HasPrefix(receipts[0].Permalink, "https://matrix.to/#/") {
		t.Errorf("permalink %q", receipts[0].Permalink)
	}
}

// The example of https://www.standardwebhooks.com/, with our body, computed apart.
func TestHTTPOnTheWire(t *testing.T) {
	srv := serve(t, func(http.ResponseWriter, *http.Request) {})
	stanza := "webhooks: [{id: ops, url: URL/x, signing_key: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}]"
	ch, err := notify.Kinds()["notify/http"].New(decode(strings.ReplaceAll(stanza, "URL", srv.URL)), channels.Env{
		Now: func() time.Time { return time.Unix(1614265330, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	hidden.Store(srv.URL)
	e := envelope(1, "ops")
	e.Message.Text = "x"
	if _, err := ch.Send(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	r := srv.requests()[0]
	want(t, "body", r.body, `{"key":"00000000000000000000000001","message":"x","subject":"SEV1 outage"}`)
	want(t, "id", r.header.Get("Webhook-Id"), channeltest.Key(1))
	want(t, "timestamp", r.header.Get("Webhook-Timestamp"), "1614265330")
	want(t, "signature", r.header.Get("Webhook-Signature"), "v1,h09Zh1QARiw3Bl4Hsfl8+iVYeqbCxjoTzHgyPPW4nX8=")
}

func TestSlackAnswers(t *testing.T) {
	for body, fault := range map[string]channels.Fault{
		`{"ok":false,"error":"internal_error"}`:      channels.Ambiguous,
		`{"ok":false,"error":"service_unavailable"}`: channels.Unavailable,
		`{"ok":false,"error":"is_archived"}`:         channels.NoRecipient,
		`{"ok":false,"error":"not_in_channel"}`:      channels.Rejected,
		`<html>`:                                     channels.Ambiguous,
	} {
		srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer{200, body, nil}.write(w) })
		_, err := open(t, "notify/slack", "token: "+token, srv).Send(t.Context(), envelope(1, "C0123456789"))
		if f, _ := channels.FaultOf(err); f != fault {
			t.Errorf("%s: %q, want %q (%v)", body, f, fault, err)
		}
	}
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer{429, "", nil}.write(w) })
	_, err := open(t, "notify/slack", "token: "+token, srv).Send(t.Context(), envelope(1, "C0123456789"))
	if f, _ := channels.FaultOf(err); f != channels.RateLimited {
		t.Errorf("429 without Retry-After: %v", err)
	}
	srv = serve(t, nil) // one that was never spoken to, so that no connection is left over
	srv.Close()
	_, err = open(t, "notify/slack", "token: "+token, srv).Send(t.Context(), envelope(1, "C0123456789"))
	if f, _ := channels.FaultOf(err); f != channels.Unavailable {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	bad := map[string][]string{
		"notify/slack":      {"", "sev1", "c0123456789", "#", "#a#b"},
		"notify/discord":    {"", "sev1", "12", "https://discord.com/api/webhooks/1/x"},
		"notify/telegram":   {"", "0", "@user", "12345678901234567890123"},
		"notify/msteams":    {"", "https://x/y", "a b"},
		"notify/pagerduty":  {"", "pabc123", "x/y"},
		"notify/pushover":   {"", "short", strings.Repeat("-", 30)},
		"notify/rocketchat": {"", "#", "a b", "#a/b"},
		"notify/matrix":     {"", "#sev1:example.org", "@u:example.org", "!a/b:x"},
		"notify/http":       {"", "https://x/y"},
	}
	for kind, list := range bad {
		for _, a := range list {
			if err := notify.Kinds()[kind].Address(a); err == nil || !strings.Contains(err.Error(), "use ") {
				t.Errorf("%s: %q: %v", kind, a, err)
			}
		}
	}
}

func FuzzAddresses(f *testing.F) {
	for _, remote := range remotes {
		f.Add(remote.address)
	}
	f.Add("#a?b\x00\r\n")
	kinds := notify.Kinds()
	f.Fuzz(func(t *testing.T, a string) {
		for name, k := range kinds {
			if k.Address(a) == nil && strings.ContainsAny(a, " \r\n/") {
				t.Errorf("%s takes %q", name, a)
			}
		}
	})
}

func TestALongTextBecomesSeveralMessages(t *testing.T) {
	count, failing := 0, 0
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if count++; count == failing {
			answer{503, "", nil}.write(w)
			return
		}
		answer{200, `{"id":"` + strings.Repeat("1", 17+count) + `"}`, nil}.write(w)
	})
	ch := open(t, "notify/discord", "token: "+token, srv)
	e := envelope(1, "123456789012345678")
	e.Message.Text = strings.TrimSpace(strings.Repeat(strings.Repeat("word ", 200)+"\n\n", 4)) // 4000 runes
	failing = 2
	_, err := ch.Send(t.Context(), e)
	if f, _ := channels.FaultOf(err); f != channels.Unavailable || !strings.Contains(err.Error(), "1 of 4 messages") {
		t.Fatalf("%v", err)
	}
	receipt, err := ch.Send(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	nonces, contents := map[any]bool{}, []string{}
	for i, r := range srv.requests() {
		doc := r.doc(t)
		content := doc["content"].(string)
		if n := len([]rune(content)); n > 2000 {
			t.Errorf("message %d has %d runes", i, n)
		}
		if i != 1 { // the one that failed
			nonces[doc["nonce"]] = true
			contents = append(contents, content[:17])
		}
		if ref := doc["message_reference"]; (ref == nil) != (i == 0) {
			t.Errorf("message %d replies to %v", i, ref)
		}
	}
	want(t, "order", strings.Join(contents, "|"), "SEV1 outage (1/4)|SEV1 outage (2/4)|SEV1 outage (3/4)|SEV1 outage (4/4)")
	want(t, "different nonces", len(nonces), 4)
	want(t, "ids", strings.Count(receipt.RemoteID, ","), 3)
	want(t, "thread", string(receipt.Thread), strings.Repeat("1", 18))
	if n := ch.Spec().Limits.TextRunes; n < 8000 {
		t.Errorf("the channel takes only %d runes", n)
	}
}
