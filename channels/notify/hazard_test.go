package notify_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tgbotapi "github.com/go-telegram-bot-api/telegram-bot-api"
	lib "github.com/nikoksr/notify"
	"github.com/nikoksr/notify/service/discord"
	libhttp "github.com/nikoksr/notify/service/http"
	"github.com/nikoksr/notify/service/matrix"
	"github.com/nikoksr/notify/service/pushover"
	"github.com/nikoksr/notify/service/slack"
	"github.com/nikoksr/notify/service/telegram"

	"sitrep/channels"
	"sitrep/channels/notify"
)

// Each test shows a hazard of the library first, so that it fails when a newer
// version has mended it, and then that the bridge is not caught by it.

const mended = "the library has mended this; the bridge may do with less"

func fault(err error) channels.Fault {
	f, _ := channels.FaultOf(err)
	return f
}

func TestNoReceiverIsNoSuccess(t *testing.T) {
	if slack.New(token).Send(t.Context(), "s", "m") != nil || libhttp.New().Send(t.Context(), "s", "m") != nil {
		t.Error(mended)
	}
	for kind, remote := range remotes {
		srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { remote.ok.write(w) })
		if _, err := open(t, kind, remote.stanza, srv).Send(t.Context(), envelope(1, "")); fault(err) != channels.NoRecipient {
			t.Errorf("%s: an empty address: %v", kind, err)
		}
		if n := len(srv.requests()); n != 0 {
			t.Errorf("%s: %d requests", kind, n)
		}
	}
}

func TestOneBadReceiverStopsNoOther(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusGone)
		}
	})
	lib := libhttp.New()
	lib.AddReceiversURLs(srv.URL+"/bad", srv.URL+"/good")
	if lib.Send(t.Context(), "s", "m") == nil || len(srv.requests()) != 1 {
		t.Error(mended)
	}
	ch := open(t, "notify/http", "webhooks: [{id: bad, url: URL/bad}, {id: good, url: URL/good}]", srv)
	_, bad := ch.Send(t.Context(), envelope(1, "bad"))
	_, good := ch.Send(t.Context(), envelope(2, "good"))
	if fault(bad) != channels.NoRecipient || good != nil {
		t.Errorf("bad: %v, good: %v", bad, good)
	}
}

func TestHeadersAreNotShared(t *testing.T) {
	srv := serve(t, func(http.ResponseWriter, *http.Request) {})
	hook := &libhttp.Webhook{Method: "POST", URL: srv.URL, Header: http.Header{}, ContentType: "application/json", BuildPayload: func(s, m string) any { return m }}
	lib := libhttp.New()
	lib.AddReceivers(hook)
	lib.PreSend(func(r *http.Request) error { r.Header.Set("Only-Once", "x"); return nil })
	if err := lib.Send(t.Context(), "s", "m"); err != nil || hook.Header.Get("Only-Once") == "" {
		t.Error(mended, err)
	}
	ch := open(t, "notify/http", "webhooks: [{id: a, url: URL/a, token: "+token+"}, {id: b, url: URL/b}]", srv)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := ch.Send(t.Context(), envelope(i, []string{"a", "b"}[i%2])); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for _, r := range srv.requests()[1:] {
		ids[r.header.Get("Webhook-Id")] = true
		if got := r.header.Get("Authorization"); (got != "") != (r.path == "/a") {
			t.Errorf("%s has the authorization %q", r.path, got)
		}
		if r.header.Get("User-Agent") != "sitrep/test" {
			t.Errorf("User-Agent %q", r.header.Get("User-Agent"))
		}
	}
	if len(ids) != 20 {
		t.Errorf("%d different keys in 20 requests", len(ids))
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var opened atomic.Int64
	srv := &server{Server: httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 300<<10))
	}))}
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	lib := libhttp.New()
	lib.WithClient(&http.Client{Transport: &http.Transport{}})
	lib.AddReceiversURLs(srv.URL)
	for range 5 {
		if err := lib.Send(t.Context(), "s", "m"); err != nil {
			t.Fatal(err)
		}
	}
	if opened.Swap(0) == 1 {
		t.Error(mended)
	}
	ch := open(t, "notify/http", "webhooks: [{id: ops, url: URL}]", srv)
	for i := range 20 {
		if _, err := ch.Send(t.Context(), envelope(i, "ops")); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("20 sends opened %d connections", n)
	}
}

func TestErrorsShowNoURL(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	lib := libhttp.New()
	lib.AddReceiversURLs(srv.URL + "/" + token)
	if err := lib.Send(t.Context(), "s", "m"); err == nil || !strings.Contains(err.Error(), token) {
		t.Error(mended)
	} // that the bridge's do not is part of the contract's suite
}

// ignorers are services of the library that go on with a request whose context is done.
// That the bridge ends is the contract's Silent, for every kind.
var ignorers = map[string]func(t *testing.T, srv *server) lib.Notifier{
	"telegram": func(_ *testing.T, srv *server) lib.Notifier { return telegramTo(srv) },
	"discord": func(t *testing.T, _ *server) lib.Notifier {
		s := discord.New()
		if err := s.AuthenticateWithBotToken(token); err != nil {
			t.Fatal(err)
		}
		s.AddReceivers("123456789012345678")
		return s
	},
	"pushover": func(*testing.T, *server) lib.Notifier {
		s := pushover.New(token + "x"[:30-len(token)])
		s.AddReceivers(strings.Repeat("u", 30))
		return s
	},
}

func telegramTo(srv *server) *telegram.Telegram {
	s := new(telegram.Telegram)
	s.SetClient(&tgbotapi.BotAPI{Token: token, Client: &http.Client{Transport: toLoopback{&http.Transport{}, func() string { return srv.URL }}}})
	s.AddReceivers(1)
	return s
}

func TestContextIsObeyed(t *testing.T) {
	for name, notifier := range ignorers {
		t.Run(name, func(t *testing.T) {
			free := make(chan struct{})
			srv := serve(t, func(http.ResponseWriter, *http.Request) { <-free })
			ctx, cancel := context.WithCancel(t.Context())
			service := notifier(t, srv)
			back := make(chan error, 1)
			go func() { back <- service.Send(ctx, "s", "m") }()
			for len(srv.requests()) == 0 {
				time.Sleep(time.Millisecond) // a real server is waited for
			}
			cancel()
			select {
			case err := <-back:
				t.Error(mended, err)
				close(free)
			case <-time.After(300 * time.Millisecond):
				close(free)
				<-back //nolint:errcheck // whatever it says of an empty answer
			}
		})
	}
}

// TestTelegramTextIsHTML: the library's parse mode is a global of its package, so that
// one value changes it for all. The bridge never does, and escapes for the mode that
// the library begins with: another default would show here.
func TestTelegramTextIsHTML(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { remotes["notify/telegram"].ok.write(w) })
	t.Cleanup(func() { new(telegram.Telegram).SetParseMode(telegram.ModeHTML) })
	one, other := telegramTo(srv), telegramTo(srv)
	one.SetParseMode(telegram.ModeMarkdown)
	if err := other.Send(t.Context(), "s", "m"); err != nil || !strings.Contains(srv.requests()[0].body, "parse_mode=Markdown") {
		t.Error(mended, err)
	}
	one.SetParseMode(telegram.ModeHTML)
	e := envelope(1, "1")
	e.Message.Text = "a <b>b</b> & c_d_e"
	if _, err := open(t, "notify/telegram", "token: "+token, srv).Send(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	form, err := url.ParseQuery(srv.requests()[1].body)
	if err != nil || form.Get("parse_mode") != "HTML" || !strings.Contains(form.Get("text"), "a &lt;b&gt;b&lt;/b&gt; &amp; c_d_e") {
		t.Errorf("%v: %v", err, form)
	}
}

func TestDiscordDoesNotSleepAndSendAgain(t *testing.T) {
	count := 0
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if count++; count == 1 {
			answer{429, `{"message":"slow","retry_after":0.01,"global":false}`, nil}.write(w)
			return
		}
		remotes["notify/discord"].ok.write(w)
	})
	lib := discord.New()
	if err := lib.AuthenticateWithBotToken(token); err != nil {
		t.Fatal(err)
	}
	lib.AddReceivers("123456789012345678")
	if err := lib.Send(t.Context(), "s", "m"); err != nil || len(srv.requests()) != 2 {
		t.Error(mended, err)
	}
	count = 0
	_, err := open(t, "notify/discord", "token: "+token, srv).Send(t.Context(), envelope(1, "123456789012345678"))
	if f, wait := channels.FaultOf(err); f != channels.RateLimited || wait != 10*time.Millisecond || len(srv.requests()) != 3 {
		t.Errorf("%q, wait %v, %d requests: %v", f, wait, len(srv.requests()), err)
	}
}

func TestMatrixKeepsSubjectAndCause(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer{403, `{"errcode":"M_FORBIDDEN","error":"not in the room"}`, nil}.write(w)
	})
	lib, err := matrix.New("@bot:example.org", "!abc:example.org", srv.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	err = lib.Send(t.Context(), "the subject", "m")
	if err == nil || strings.Contains(err.Error(), "M_FORBIDDEN") || strings.Contains(srv.requests()[0].body, "the subject") {
		t.Error(mended, err)
	}
	_, err = open(t, "notify/matrix", "{url: URL, token: "+token+"}", srv).Send(t.Context(), envelope(1, "!abc:example.org"))
	if fault(err) != channels.Rejected || !strings.Contains(err.Error(), "M_FORBIDDEN") || !strings.Contains(err.Error(), "invite") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(srv.requests()[1].body, "SEV1 outage") {
		t.Errorf("the subject is lost: %s", srv.requests()[1].body)
	}
}

func TestPushoverKeepsTheStatus(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	lib := pushover.New(token + "x"[:30-len(token)])
	lib.AddReceivers(strings.Repeat("u", 30))
	if err := lib.Send(t.Context(), "s", "m"); err == nil || strings.Contains(err.Error(), "500") {
		t.Error(mended, err)
	}
	_, err := open(t, "notify/pushover", "token: "+token, srv).Send(t.Context(), envelope(1, strings.Repeat("u", 30)))
	if fault(err) != channels.Ambiguous || !strings.Contains(err.Error(), "500") {
		t.Error(err)
	}
}

func TestConfiguringAsksNobody(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer{200, `{"ok":true,"result":{"id":1}}`, nil}.write(w)
	})
	if _, err := telegram.New(token); err != nil || len(srv.requests()) != 1 {
		t.Error(mended, err)
	}
	for kind, remote := range remotes {
		before := len(srv.requests())
		open(t, kind, remote.stanza, srv)
		if len(srv.requests()) != before {
			t.Errorf("%s asked the network while it was configured", kind)
		}
	}
}

func TestConfigReportsEveryMistake(t *testing.T) {
	tests := []struct {
		kind, stanza string
		says         []string
	}{
		{"notify/slack", "{}", []string{"token is missing"}},
		{"notify/discord", "{}", []string{"token is missing"}},
		{"notify/telegram", "{}", []string{"token is missing"}},
		{"notify/pushover", "priority: 2", []string{"token is missing", "priority"}},
		{"notify/pagerduty", "{from: nobody, urgency: very, url: 'ftp://x'}", []string{"token", "from", "urgency", "url"}},
		{"notify/rocketchat", "url: http://chat.example.com", []string{"allow_http", "user_id", "token"}},
		{"notify/matrix", "{}", []string{"url is empty", "token"}},
		{"notify/msteams", "{}", []string{"webhooks is empty"}},
		{"notify/msteams", "webhooks: [{id: a b, url: 'http://x/" + token + "'}, {id: c, url: ''}, {id: c, url: 'https://x'}]", []string{"webhooks[0]: id", "not encrypted", "webhooks[1] (c): url is empty", "there twice"}},
		{"notify/http", "webhooks: [{id: a, url: 'https://x', signing_key: " + token + "}]", []string{"signing_key"}},
		{"notify/http", "webhooks: 7", []string{"line 1", "webhooks is empty"}},
	}
	for _, tt := range tests {
		_, err := notify.Kinds()[tt.kind].New(decode(tt.stanza), channels.Env{})
		if err == nil {
			t.Errorf("%s: %s was taken", tt.kind, tt.stanza)
			continue
		}
		for _, s := range tt.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not mention %q", tt.kind, err, s)
			}
		}
		if strings.Contains(err.Error(), token) {
			t.Errorf("%s: the credential shows in %q", tt.kind, err)
		}
	}
}
