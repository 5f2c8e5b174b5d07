package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestErrors(t *testing.T) {
	r := newRig(t)
	key := r.sent(r.author, "abc", "One.")
	good := text("abc", "x")
	large := strings.Repeat("x", 5<<20)
	for name, c := range map[string]struct {
		method, path, body string
		opts               []option
		status             int
		want               string
	}{
		"no token":             {"GET", "/api/v1/incidents", "", nil, 401, "valid token"},
		"wrong scheme":         {"GET", "/api/v1/incidents", "", []option{with("Authorization", "Basic "+r.author)}, 401, "valid token"},
		"made up token":        {"GET", "/api/v1/incidents", "", []option{as("sitrep_aaaaaaaaaa_" + strings.Repeat("a", 52))}, 401, "valid token"},
		"one letter off":       {"GET", "/api/v1/incidents", "", []option{as(r.author[:len(r.author)-2] + flip(r.author))}, 401, "valid token"},
		"no token, no address": {"GET", "/api/v1/nothing", "", nil, 401, "valid token"},
		"no address":           {"GET", "/api/v1/nothing", "", []option{as(r.author)}, 404, "nothing at this address"},
		"no address at all":    {"GET", "/api/v2/incidents", "", []option{as(r.author)}, 404, "nothing at this address"},
		"outside the API":      {"GET", "/nothing", "", nil, 404, "nothing at this address"},
		"method":               {"DELETE", "/api/v1/incidents", "", []option{as(r.author)}, 405, "GET"},
		"method, health":       {"POST", "/healthz", "", nil, 405, "GET"},
		"role":                 {"POST", "/api/v1/updates", good, []option{as(r.viewer)}, 403, "does not permit"},
		"role, tokens":         {"GET", "/api/v1/tokens", "", []option{as(r.author)}, 403, "does not permit"},
		"role before body":     {"POST", "/api/v1/tokens", "{", []option{as(r.author)}, 403, "does not permit"},
		"too large":            {"POST", "/api/v1/updates", large, []option{as(r.author)}, 413, "4 MiB"},
		"update too large":     {"POST", "/api/v1/updates", large[:2<<20], []option{as(r.author)}, 422, "1 MiB"},
		"kind":                 {"POST", "/api/v1/updates", good, []option{as(r.author), with("Content-Type", "application/x-www-form-urlencoded")}, 415, "text/markdown"},
		"no kind":              {"POST", "/api/v1/updates", good, []option{as(r.author), with("Content-Type", "")}, 415, "text/markdown"},
		"encoding":             {"POST", "/api/v1/updates", good, []option{as(r.author), with("Content-Encoding", "gzip")}, 415, "Content-Encoding"},
		"empty":                {"POST", "/api/v1/updates", " ", []option{as(r.author)}, 422, "no update in the body"},
		"empty JSON":           {"POST", "/api/v1/updates", "{}", []option{as(r.author)}, 422, "no update in the body"},
		"broken JSON":          {"POST", "/api/v1/updates", `{"markdown":`, []option{as(r.author)}, 422, "cannot be read"},
		"two JSON":             {"POST", "/api/v1/updates", `{"markdown":"x"}{}`, []option{as(r.author)}, 422, "follows"},
		"unknown field":        {"POST", "/api/v1/updates", `{"markdwon":"x"}`, []option{as(r.author)}, 422, "markdwon"},
		"wrong type":           {"POST", "/api/v1/updates", `{"markdown":7}`, []option{as(r.author)}, 422, "body.markdown"},
		"both":                 {"POST", "/api/v1/updates", `{"markdown":"x","status":"resolved"}`, []option{as(r.author)}, 422, "one or the other"},
		"no customer":          {"POST", "/api/v1/updates", `{"status":"resolved","summary":"x"}`, []option{as(r.author)}, 422, "customer is missing"},
		"only":                 {"POST", "/api/v1/updates?only=nobody", good, []option{as(r.author)}, 422, "nobody"},
		"unknown parameter":    {"GET", "/api/v1/incidents?custmer=abc", "", []option{as(r.author)}, 422, "custmer"},
		"bad limit":            {"GET", "/api/v1/incidents?limit=0", "", []option{as(r.author)}, 422, "query.limit"},
		"bad limit word":       {"GET", "/api/v1/incidents?limit=x", "", []option{as(r.author)}, 422, "query.limit"},
		"bad cursor":           {"GET", "/api/v1/incidents?cursor=!", "", []option{as(r.author)}, 422, "cursor"},
		"bad cursor JSON":      {"GET", "/api/v1/deliveries?cursor=e30", "", []option{as(r.author)}, 422, "cursor"},
		"bad outcome":          {"GET", "/api/v1/deliveries?outcome=lost", "", []option{as(r.author)}, 422, "not an outcome"},
		"bad fault":            {"GET", "/api/v1/deliveries?fault=lost", "", []option{as(r.author)}, 422, "not a fault"},
		"bad since":            {"GET", "/api/v1/deliveries?since=yesterday", "", []option{as(r.author)}, 422, "Write it like 2026-11-22T14:00:00Z"},
		"no incident":          {"GET", "/api/v1/incidents/nothing", "", []option{as(r.author)}, 404, "nothing at this address"},
		"no update":            {"GET", "/api/v1/updates/nothing", "", []option{as(r.author)}, 404, "nothing at this address"},
		"no delivery":          {"GET", "/api/v1/updates/" + key + "/deliveries/x", "", []option{as(r.author)}, 404, "nothing at this address"},
		"short key":            {"GET", "/api/v1/updates/" + key[:5], "", []option{as(r.author)}, 404, "nothing at this address"},
		"no lists":             {"GET", "/api/v1/customers/nobody/lists", "", []option{as(r.author)}, 404, "nothing at this address"},
		"bad status":           {"GET", "/api/v1/who/abc?status=fine", "", []option{as(r.author)}, 422, "query.status"},
		"bad severity":         {"GET", "/api/v1/who/abc?severity=SEV9", "", []option{as(r.author)}, 422, "severity"},
		"bad age":              {"GET", "/api/v1/who/abc?age=old", "", []option{as(r.author)}, 422, "query.age"},
		"bad event id":         {"GET", "/api/v1/events", "", []option{as(r.author), with("Last-Event-ID", "a b")}, 422, "not the id"},
		"no draft":             {"POST", "/api/v1/drafts/x/send", "", []option{as(r.author)}, 404, "nothing at this address"},
		"token body":           {"POST", "/api/v1/tokens", `{"name":"x"}`, []option{as(r.admin)}, 422, "customers"},
		"token role":           {"POST", "/api/v1/tokens", `{"name":"x","role":"king","customers":["abc"]}`, []option{as(r.admin)}, 422, "role"},
		"token customer":       {"POST", "/api/v1/tokens", `{"name":"x","role":"viewer","customers":["nobody"]}`, []option{as(r.admin)}, 422, "no such customer"},
		"token kind":           {"POST", "/api/v1/tokens", `name=x`, []option{as(r.admin)}, 415, ""},
		"no such token":        {"DELETE", "/api/v1/tokens/x", "", []option{as(r.admin)}, 404, "nothing at this address"},
		"hook, no secret":      {"POST", "/api/v1/hooks/alertmanager/alerts", "{}", nil, 401, "valid token"},
		"hook, no input":       {"POST", "/api/v1/hooks/alertmanager/nothing", "{}", nil, 401, "valid token"},
		"hook, a token":        {"POST", "/api/v1/hooks/alertmanager/alerts", "{}", []option{as(r.root)}, 401, "valid token"},
		"hook, other kind":     {"POST", "/api/v1/hooks/playbooks/alerts", "{}", []option{as(alertSecret)}, 401, "valid token"},
		"hook, not JSON":       {"POST", "/api/v1/hooks/alertmanager/alerts", "x", []option{as(alertSecret)}, 422, "Alertmanager"},
		"hook, not v4":         {"POST", "/api/v1/hooks/alertmanager/alerts", `{"version":"3"}`, []option{as(alertSecret)}, 422, "version 4"},
		"hook, method":         {"GET", "/api/v1/hooks/alertmanager/alerts", "", []option{as(alertSecret)}, 405, "POST"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func(outer testing.TB) { r.TB = outer }(r.TB)
			r.TB = t
			a := r.call(c.method, c.path, c.body, c.opts...).is(c.status).has(c.want)
			if c.status == 401 && a.header.Get("WWW-Authenticate") == "" || c.status == 405 && a.header.Get("Allow") == "" {
				t.Errorf("headers: %v", a.header)
			}
		})
	}
	if s := r.logged.String(); strings.Contains(s, "report it") || strings.Contains(s, r.author) || strings.Contains(s, alertSecret) {
		t.Errorf("logged:\n%s", s)
	}
}

// flip is another end of a token.
func flip(token string) string {
	if strings.HasSuffix(token, "aa") {
		return "bb"
	}
	return "aa"
}

func TestNotModified(t *testing.T) {
	r := newRig(t)
	r.sent(r.author, "abc", "One.")
	for _, path := range []string{"/incidents", "/deliveries", "/customers", "/openapi.json", "/openapi.yaml", "/me"} {
		a := r.call("GET", "/api/v1"+path, "", as(r.author)).is(http.StatusOK)
		tag := a.header.Get("ETag")
		if tag == "" {
			t.Fatalf("%s has no ETag", path)
		}
		for _, v := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			b := r.call("GET", "/api/v1"+path, "", as(r.author), with("If-None-Match", v)).is(http.StatusNotModified)
			if b.body != "" || b.header.Get("ETag") != tag {
				t.Errorf("%s, If-None-Match %s: %v %q", path, v, b.header, b.body)
			}
		}
		r.call("GET", "/api/v1"+path, "", as(r.author), with("If-None-Match", `"x"`)).is(http.StatusOK)
		if h := r.call("HEAD", "/api/v1"+path, "", as(r.author)).is(http.StatusOK); h.body != "" || h.header.Get("ETag") != tag {
			t.Errorf("HEAD %s: %v %q", path, h.header, h.body)
		}
	}
	before := r.call("GET", "/api/v1/incidents", "", as(r.author)).header.Get("ETag")
	r.sent(r.author, "abc", "Two.")
	r.call("GET", "/api/v1/incidents", "", as(r.author), with("If-None-Match", before)).is(http.StatusOK)
	r.call("GET", "/api/v1/nothing", "", as(r.author), with("If-None-Match", "*")).is(http.StatusNotFound)
}

func TestRequestID(t *testing.T) {
	r := newRig(t)
	a := r.call("GET", "/api/v1/nothing", "", as(r.author), with("X-Request-Id", "abc-1"))
	if a.header.Get("X-Request-Id") != "abc-1" || a.problem().Instance != "urn:sitrep:request:abc-1" {
		t.Errorf("%v %s", a.header, a.body)
	}
	a = r.call("GET", "/api/v1/nothing", "", as(r.author), with("X-Request-Id", "a\tb <script>"))
	if id := a.header.Get("X-Request-Id"); id == "" || strings.ContainsAny(id, "<\t ") {
		t.Errorf("request id %q", id)
	}
}
