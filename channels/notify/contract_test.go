package notify_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"sitrep/channels"
	"sitrep/channels/channeltest"
	"sitrep/channels/notify"
)

const token = "tokcorrecthorsebatterystaple00" // 30 letters and digits, as Pushover wants them

// toLoopback sends every request to one loopback server, whatever its host.
type toLoopback struct {
	base  *http.Transport
	where func() string
}

func (l toLoopback) RoundTrip(r *http.Request) (*http.Response, error) {
	u, err := url.Parse(l.where())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = u.Scheme, u.Host
	return l.base.RoundTrip(r)
}

// hidden is where requests of libraries go that use the default transport.
var hidden atomic.Value

func TestMain(m *testing.M) {
	http.DefaultTransport = toLoopback{&http.Transport{}, func() string { s, _ := hidden.Load().(string); return s }}
	os.Exit(m.Run())
}

// seen is a request as a server saw it.
type seen struct {
	method, path string
	header       http.Header
	body         string
}

// doc is the request's JSON.
func (s seen) doc(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(s.body), &m); err != nil {
		t.Fatalf("%v in %q", err, s.body)
	}
	return m
}

// server answers all requests with f and remembers them.
type server struct {
	*httptest.Server
	mu  sync.Mutex
	all []seen
}

func (s *server) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

func serve(t *testing.T, f http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.all = append(s.all, seen{r.Method, r.URL.EscapedPath(), r.Header.Clone(), string(body)})
		s.mu.Unlock()
		f(w, r)
	}))
	t.Cleanup(s.Close)
	hidden.Store(s.URL)
	return s
}

// open makes a channel of a kind from YAML; all its requests go to s.
func open(t *testing.T, kind, stanza string, s *server) channels.Channel {
	t.Helper()
	where := ""
	if s != nil {
		where = s.URL
	}
	ch, err := notify.Kinds()[kind].New(decode(strings.ReplaceAll(stanza, "URL", where)), channels.Env{
		ID: "tail", Agent: "sitrep/test", HTTP: &http.Client{Transport: toLoopback{&http.Transport{}, func() string { return where }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ch.(channels.Closer).Close() })
	return ch
}

func decode(stanza string) channels.Decode {
	return func(v any) error { return yaml.Unmarshal([]byte(stanza), v) }
}

func message() channels.Message {
	return channels.Message{Format: channels.FormatChat, Subject: "SEV1 outage", Text: "Status: <b>Identified</b> & more\nNext: 8:00"}
}

func envelope(n int, address string) channels.Envelope {
	return channels.Envelope{Key: channeltest.Key(n), To: channels.Recipient{Address: address}, Message: message()}
}

// answer is one answer of a service: header lines "Name: value", status and body.
type answer struct {
	status int
	body   string
	header []string
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	for _, line := range a.header {
		name, value, _ := strings.Cut(line, ": ")
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// remote is a service as its documentation has it.
type remote struct {
	stanza, address        string
	nobody                 string // an address the service does not know, if not address
	ok, busy, bad, unknown answer
	unauthorized           answer
	faults                 map[channeltest.Scenario]channels.Fault
}

var remotes = map[string]remote{
	"notify/slack": {
		stanza: "token: " + token, address: "C0123456789",
		ok:           answer{200, `{"ok":true,"channel":"C0123456789","ts":"1503435956.000247"}`, nil},
		busy:         answer{429, `{"ok":false,"error":"ratelimited"}`, []string{"Retry-After: 30"}},
		bad:          answer{200, `{"ok":false,"error":"msg_too_long"}`, nil},
		unknown:      answer{200, `{"ok":false,"error":"channel_not_found"}`, nil},
		unauthorized: answer{200, `{"ok":false,"error":"invalid_auth"}`, nil},
	},
	"notify/discord": {
		stanza: "token: " + token, address: "123456789012345678",
		ok:           answer{200, `{"id":"987654321098765432","channel_id":"123456789012345678"}`, nil},
		busy:         answer{429, `{"message":"You are being rate limited.","retry_after":64.57,"global":false}`, nil},
		bad:          answer{400, `{"code":50035,"message":"Invalid Form Body"}`, nil},
		unknown:      answer{404, `{"code":10003,"message":"Unknown Channel"}`, nil},
		unauthorized: answer{401, `{"code":0,"message":"401: Unauthorized"}`, nil},
	},
	"notify/telegram": {
		stanza: "token: " + token, address: "-1001234567890",
		ok:           answer{200, `{"ok":true,"result":{"message_id":42,"chat":{"id":-1001234567890}}}`, nil},
		busy:         answer{429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}`, nil},
		bad:          answer{400, `{"ok":false,"error_code":400,"description":"Bad Request: message is too long"}`, nil},
		unknown:      answer{400, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`, nil},
		unauthorized: answer{401, `{"ok":false,"error_code":401,"description":"Unauthorized"}`, nil},
	},
	"notify/msteams": {
		stanza: "webhooks: [{id: war-room, url: 'URL/workflows/" + token + "?sig=x'}]", address: "war-room", nobody: "other",
		ok:           answer{202, ``, nil},
		busy:         answer{429, `slow down`, []string{"Retry-After: 5"}},
		bad:          answer{400, `{"error":{"code":"TriggerInputSchemaMismatch"}}`, nil},
		unauthorized: answer{401, `{"error":{"code":"DirectApiAuthorizationRequired"}}`, nil},
		// Each webhook is its own credential; a dead one must not pause the others.
		faults: map[channeltest.Scenario]channels.Fault{channeltest.BadCredentials: channels.Rejected},
	},
	"notify/pagerduty": {
		stanza: "{token: " + token + ", from: lead@example.com}", address: "PABC123",
		ok:           answer{201, `{"incident":{"id":"Q1","html_url":"https://x.pagerduty.com/incidents/Q1"},"note":{"id":"N1"}}`, nil},
		busy:         answer{429, `{"error":{"message":"Rate Limit Exceeded","code":2020}}`, []string{"ratelimit-reset: 12"}},
		bad:          answer{400, `{"error":{"message":"Invalid Input Provided","code":2001,"errors":["Title is too long."]}}`, nil},
		unknown:      answer{404, `{"error":{"message":"Not Found","code":2100}}`, nil},
		unauthorized: answer{401, `{"error":{"message":"Unauthorized","code":2006}}`, nil},
	},
	"notify/pushover": {
		stanza: "token: " + token, address: strings.Repeat("u", 30),
		ok:           answer{200, `{"status":1,"request":"647d2300-702c-4b38-8b2f-d56326ae460b"}`, nil},
		busy:         answer{429, `{"status":0,"errors":["application is over its quota"]}`, nil},
		bad:          answer{400, `{"status":0,"message":"cannot be blank","errors":["message cannot be blank"]}`, nil},
		unknown:      answer{400, `{"user":"invalid","errors":["user identifier is not a valid user, group, or subscribed user key"],"status":0}`, nil},
		unauthorized: answer{400, `{"token":"invalid","errors":["application token is invalid"],"status":0}`, nil},
	},
	"notify/rocketchat": {
		stanza: "{url: URL, user_id: bot, token: " + token + "}", address: "#sev1",
		ok:           answer{200, `{"success":true,"ts":1,"channel":"sev1","message":{"_id":"m1","rid":"r1"}}`, nil},
		busy:         answer{429, `{"success":false,"error":"Error, too many requests. [error-too-many-requests]"}`, []string{fmt.Sprintf("X-RateLimit-Reset: %d", time.Now().Add(time.Minute).UnixMilli())}},
		bad:          answer{400, `{"success":false,"error":"Message is too long [error-message-size-exceeded]"}`, nil},
		unknown:      answer{400, `{"success":false,"error":"The required \"roomId\" or \"channel\" param provided does not match any channel [invalid-channel]","errorType":"invalid-channel"}`, nil},
		unauthorized: answer{401, `{"status":"error","message":"You must be logged in to do this."}`, nil},
	},
	"notify/matrix": {
		stanza: "{url: URL, token: " + token + "}", address: "!abc:example.org",
		ok:           answer{200, `{"event_id":"$e1"}`, nil},
		busy:         answer{429, `{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":1500}`, nil},
		bad:          answer{413, `{"errcode":"M_TOO_LARGE","error":"event too large"}`, nil},
		unknown:      answer{404, `{"errcode":"M_NOT_FOUND","error":"Unknown room"}`, nil},
		unauthorized: answer{401, `{"errcode":"M_UNKNOWN_TOKEN","error":"Unknown token"}`, nil},
		// The transaction id makes a repeated attempt harmless, so nothing is ambiguous.
		faults: map[channeltest.Scenario]channels.Fault{channeltest.Cut: channels.Unavailable},
	},
	"notify/http": {
		stanza: "webhooks: [{id: ops, url: 'URL/in/" + token + "'}]", address: "ops", nobody: "other",
		ok:           answer{204, ``, nil},
		busy:         answer{429, `slow down`, []string{"Retry-After: 5"}},
		bad:          answer{422, `no`, nil},
		unauthorized: answer{403, `no`, nil},
		faults:       map[channeltest.Scenario]channels.Fault{channeltest.BadCredentials: channels.Rejected}, // as for Teams
	},
}

func TestContract(t *testing.T) {
	if got, want := slices.Sorted(maps.Keys(remotes)), slices.Sorted(maps.Keys(notify.Kinds())); !slices.Equal(got, want) {
		t.Fatalf("tested: %v, there are: %v", got, want)
	}
	for kind, remote := range remotes {
		t.Run(kind, func(t *testing.T) {
			channeltest.Run(t, channeltest.Suite{Faults: remote.faults, Open: func(t *testing.T, s channeltest.Scenario) channeltest.Rig {
				return remote.rig(t, kind, s)
			}})
		})
	}
}

func (remote remote) rig(t *testing.T, kind string, s channeltest.Scenario) channeltest.Rig {
	hang := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch s {
		case channeltest.Busy:
			remote.busy.write(w)
		case channeltest.Down:
			answer{503, "<html>" + token + " maintenance</html>", nil}.write(w)
		case channeltest.BadPayload:
			remote.bad.write(w)
		case channeltest.UnknownRecipient:
			remote.unknown.write(w)
		case channeltest.BadCredentials:
			remote.unauthorized.write(w)
		case channeltest.Silent:
			<-hang
		case channeltest.Cut:
			panic(http.ErrAbortHandler)
		default:
			remote.ok.write(w)
		}
	})
	t.Cleanup(func() { close(hang) })
	to := remote.address
	if s == channeltest.UnknownRecipient && remote.nobody != "" {
		to = remote.nobody
	}
	if err := notify.Kinds()[kind].Address(to); err != nil {
		t.Error(err)
	}
	return channeltest.Rig{
		Channel: open(t, kind, remote.stanza, srv), To: channels.Recipient{Address: to}, Message: message(), Secret: token,
		Attempts: func() int { return len(srv.requests()) },
	}
}
