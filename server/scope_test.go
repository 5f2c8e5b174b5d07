package server_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/server"
)

// TestScope tries everything that a token of one customer could learn of another.
func TestScope(t *testing.T) {
	r := newRig(t)
	r.work()
	theirs := r.sent(r.foreign, "Globex Industries", "The reactor is down.")
	r.settled(theirs)
	rows, err := r.ledger.Incidents(t.Context(), ledger.IncidentQuery{Customer: "globex"})
	if err != nil {
		t.Fatal(err)
	}
	inc := rows[0].ID
	var page server.List[server.DeliveryView]
	r.call("GET", "/api/v1/deliveries", "", as(r.foreign)).into(&page)
	secrets := []string{"globex", "reactor", "hank", theirs, page.Items[0].Key}

	t.Run("reading", func(t *testing.T) {
		defer func(outer testing.TB) { r.TB = outer }(r.TB)
		r.TB = t
		for _, token := range []string{r.viewer, r.author, r.admin} {
			for _, path := range []string{
				"/incidents", "/incidents?open=true", "/incidents?customer=globex", "/updates", "/updates?incident=" + inc, "/updates?customer=globex",
				"/deliveries", "/deliveries?update=" + theirs, "/deliveries?incident=" + inc, "/deliveries?customer=globex&channel=mail", "/customers",
			} {
				r.call("GET", "/api/v1"+path, "", as(token)).is(http.StatusOK).lacks(secrets...)
			}
			for real, made := range map[string]string{
				"/incidents/" + inc:        "/incidents/nothing",
				"/updates/" + theirs:       "/updates/nothing",
				"/who/globex":              "/who/nothing",
				"/who/Globex%20Industries": "/who/nothing",
				"/customers/globex/lists":  "/customers/nothing/lists",
				"/updates/" + theirs + "/deliveries/" + page.Items[0].Key: "/updates/nothing/deliveries/x",
			} {
				a := r.call("GET", "/api/v1"+real, "", as(token), with("X-Request-Id", "same"))
				b := r.call("GET", "/api/v1"+made, "", as(token), with("X-Request-Id", "same"))
				if a.status != b.status || a.body != b.body {
					t.Errorf("%s can be told from %s:\n%s%s", real, made, a.body, b.body)
				}
			}
		}
	})
	t.Run("cursors", func(t *testing.T) {
		defer func(outer testing.TB) { r.TB = outer }(r.TB)
		r.TB = t
		mine := r.sent(r.author, "abc", "One.")
		for _, key := range []string{theirs, page.Items[0].Key} {
			for _, list := range []string{"/updates", "/deliveries"} {
				known := r.call("GET", "/api/v1"+list+"?cursor="+cursor("abc", key), "", as(r.author))
				made := r.call("GET", "/api/v1"+list+"?cursor="+cursor("abc", "nothing"), "", as(r.author))
				if known.status != made.status || known.body != made.body {
					t.Errorf("%s: a place of theirs can be told from none:\n%s%s", list, known.body, made.body)
				}
				for _, c := range []string{"globex", "", "a"} {
					r.call("GET", "/api/v1"+list+"?cursor="+cursor(c, key), "", as(r.author)).is(http.StatusOK).lacks(secrets...)
				}
			}
		}
		r.settled(mine)
	})
	t.Run("sending", func(t *testing.T) {
		defer func(outer testing.TB) { r.TB = outer }(r.TB)
		r.TB = t
		same := func(real, made, real2, made2 string) {
			t.Helper()
			a := r.call("POST", "/api/v1/updates", real, as(r.author), with("X-Request-Id", "same")).is(http.StatusUnprocessableEntity)
			b := r.call("POST", "/api/v1/updates", made, as(r.author), with("X-Request-Id", "same")).is(http.StatusUnprocessableEntity)
			if strings.ReplaceAll(a.body, real2, "") != strings.ReplaceAll(b.body, made2, "") {
				t.Errorf("theirs can be told from nothing:\n%s%s", a.body, b.body)
			}
		}
		same(text("Globex Industries", "x"), text("Stark Industries", "x"), "Globex", "Stark")
		same(text("globex", "x"), text("nobody", "x"), "globex", "nobody")
		r.call("POST", "/api/v1/updates", text("Globx Industries", "x"), as(r.author)).is(http.StatusUnprocessableEntity).lacks("globex")
		r.call("POST", "/api/v1/updates?incident="+inc, text("abc", "x"), as(r.author)).is(http.StatusUnprocessableEntity).has("cannot be used").lacks(secrets[1:]...).lacks("globex ", "industries")
		r.call("POST", "/api/v1/updates?incident="+strings.ToUpper(inc), text("abc", "x"), as(r.author)).is(http.StatusUnprocessableEntity).has("cannot be used").lacks("industries")
		r.call("POST", "/api/v1/updates?key="+theirs, text("abc", "x"), as(r.author)).is(http.StatusUnprocessableEntity).has("cannot be used").lacks(secrets...)
		r.call("POST", "/api/v1/previews", "---\nkey: "+theirs+"\nincident: "+inc+"\n---\n"+text("abc", "x"), as(r.author)).is(http.StatusUnprocessableEntity).lacks(secrets...)
		r.call("POST", "/api/v1/updates", text("globex", "The reactor is down."), as(r.author), with("Idempotency-Key", theirs)).is(http.StatusUnprocessableEntity).lacks("globex-", "hank")
		word := r.call("POST", "/api/v1/updates", text("abc", "As the walrus."), as(r.author)).is(http.StatusUnprocessableEntity).problem().Problems[0]
		name := r.call("POST", "/api/v1/updates", text("abc", "As the Globex."), as(r.author)).is(http.StatusUnprocessableEntity).problem().Problems[0]
		if word.Text = name.Text; word != name {
			t.Errorf("another customer's name can be told from a word: %+v %+v", name, word)
		}
		for _, path := range []string{"/retry", "/cancel"} {
			r.call("POST", "/api/v1/updates/"+theirs+path, "", as(r.admin)).is(http.StatusNotFound).lacks(secrets...)
		}
	})
	t.Run("tokens and drafts", func(t *testing.T) {
		defer func(outer testing.TB) { r.TB = outer }(r.TB)
		r.TB = t
		r.call("GET", "/api/v1/tokens", "", as(r.admin)).is(http.StatusOK).lacks("globex", `"*"`)
		r.call("POST", "/api/v1/tokens", `{"name":"x","role":"viewer","customers":["*"]}`, as(r.admin)).is(http.StatusUnprocessableEntity)
		a := r.call("POST", "/api/v1/tokens", `{"name":"x","role":"viewer","customers":["abc","globex"]}`, as(r.admin), with("X-Request-Id", "same")).is(http.StatusUnprocessableEntity)
		b := r.call("POST", "/api/v1/tokens", `{"name":"x","role":"viewer","customers":["abc","nobody"]}`, as(r.admin), with("X-Request-Id", "same"))
		if a.body != b.body {
			t.Errorf("globex can be told from nobody:\n%s%s", a.body, b.body)
		}
		r.call("DELETE", "/api/v1/tokens/"+id(r.foreign), "", as(r.admin)).is(http.StatusNotFound)
		r.call("DELETE", "/api/v1/tokens/"+id(r.root), "", as(r.admin)).is(http.StatusNotFound)
		r.call("GET", "/api/v1/me", "", as(r.foreign)).is(http.StatusOK)
		for _, d := range []ledger.Draft{{ID: "d1", Customer: "globex", Source: "reactor"}, {ID: "d2", Source: "reactor"}} {
			if err := r.ledger.PutDraft(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			r.call("GET", "/api/v1/drafts/"+d.ID, "", as(r.author)).is(http.StatusNotFound)
			r.call("DELETE", "/api/v1/drafts/"+d.ID, "", as(r.author)).is(http.StatusNotFound)
			r.call("POST", "/api/v1/drafts/"+d.ID+"/send", "", as(r.author)).is(http.StatusNotFound)
		}
		r.call("GET", "/api/v1/drafts", "", as(r.author)).is(http.StatusOK).lacks("reactor")
		r.call("GET", "/api/v1/drafts?customer=globex", "", as(r.author)).is(http.StatusOK).lacks("reactor")
		r.call("GET", "/api/v1/drafts", "", as(r.root)).is(http.StatusOK).has("d1", "d2")
	})
}

func id(token string) string { return strings.Split(token, "_")[1] }

// TestRolesAndBodies: what was said to customers is for those who may say it.
func TestRolesAndBodies(t *testing.T) {
	r := newRig(t)
	r.work()
	key := r.sent(r.author, "abc", "The lift is stuck.")
	r.settled(key)
	var page server.List[server.DeliveryView]
	r.call("GET", "/api/v1/deliveries", "", as(r.viewer)).is(http.StatusOK).lacks("lift", "pump").into(&page)
	if len(page.Items) != 3 {
		t.Fatalf("deliveries: %+v", page)
	}
	for _, path := range []string{"/incidents", "/updates", "/updates/" + key, "/updates/" + key + "/deliveries/" + page.Items[0].Key} {
		r.call("GET", "/api/v1"+path, "", as(r.viewer)).is(http.StatusOK).lacks("lift", "pump")
	}
	r.call("GET", "/api/v1/updates/"+key+"/deliveries/"+page.Items[0].Key, "", as(r.author)).is(http.StatusOK).has("lift is stuck", `"history":[]`)
	r.call("GET", "/api/v1/updates/"+key, "", as(r.author)).is(http.StatusOK).has("pump is hot")
}

func TestPaging(t *testing.T) {
	r := newRig(t)
	var keys []string
	for _, c := range []string{"abc", "globex", "abc", "abc"} {
		keys = append(keys, r.sent(r.root, c, "Number "+time.Now().String()))
		r.clock.pass(time.Minute)
	}
	both := r.issue(server.Viewer, "globex", "abc")
	for list, want := range map[string]int{"/updates": 4, "/deliveries": 11, "/incidents": 2} {
		for name, token := range map[string]string{"all": r.root, "both": both} {
			for _, limit := range []string{"1", "2", "3", "100"} {
				seen := map[string]int{}
				path := "/api/v1" + list + "?limit=" + limit
				for pages := 0; path != ""; pages++ {
					a := r.call("GET", path, "", as(token)).is(http.StatusOK)
					var page server.List[map[string]any]
					a.into(&page)
					for _, x := range page.Items {
						k, _ := x["key"].(string)
						i, _ := x["id"].(string)
						seen[k+i]++
					}
					path = ""
					if page.Next != "" {
						path = strings.TrimSuffix(strings.TrimPrefix(a.header.Get("Link"), "<"), `>; rel="next"`)
					}
					if pages > 20 {
						t.Fatal("it does not end")
					}
				}
				for k, n := range seen {
					if n != 1 {
						t.Errorf("%s by %s for %s: %s came %d times", list, limit, name, k, n)
					}
				}
				if len(seen) != want {
					t.Errorf("%s by %s for %s: %d, want %d", list, limit, name, len(seen), want)
				}
			}
		}
	}
	r.call("GET", "/api/v1/deliveries?update="+keys[1]+"&limit=500", "", as(both)).has("hank").lacks("ann@")
}

func TestDeliveryFilters(t *testing.T) {
	r := newRig(t)
	r.mail.answers(func(_ context.Context, e channels.Envelope) error {
		switch e.To.Address {
		case "ann@abc.example":
			return channels.Errorf(channels.NoRecipient, "550 no such user")
		case "bob@abc.example":
			return channels.Errorf(channels.Rejected, "too rude")
		}
		return nil
	})
	r.work()
	r.settled(r.sent(r.root, "abc", "One."))
	for q, want := range map[string]string{
		"outcome=delivered":                     "team",
		"outcome=failed&fault=no_recipient":     "ann",
		"outcome=failed,bounced&fault=rejected": "bob",
		"fault=no_recipient,rejected":           "ann bob",
		"outcome=pending":                       "",
		"channel=mail&customer=abc":             "ann bob team",
		"channel=chat":                          "",
		"since=2199-01-01T00:00:00Z":            "",
		"since=2019-01-01T00:00:00Z":            "ann bob team",
	} {
		var page server.List[server.DeliveryView]
		r.call("GET", "/api/v1/deliveries?"+q, "", as(r.viewer)).is(http.StatusOK).into(&page)
		var got []string
		for _, d := range page.Items {
			name, _, _ := strings.Cut(d.Address, "@")
			got = append(got, name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", q, got, want)
		}
	}
}

func TestWho(t *testing.T) {
	r := newRig(t)
	if err := r.ledger.Suppress(t.Context(), ledger.Suppression{Channel: "mail", Address: "ann@abc.example", Reason: "gone", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	r.call("GET", "/api/v1/who/ABC?severity=SEV2&status=resolved&age=3h", "", as(r.viewer)).is(http.StatusOK).
		has(`"customer":"abc"`, `"severity":"SEV2"`, `"status":"resolved"`, "bob@abc.example", "not written to since", `"lists":["team"]`)
	r.call("GET", "/api/v1/customers/abc/lists", "", as(r.viewer)).is(http.StatusOK).has(`"audience":"internal"`, "team@us.example")
	r.call("GET", "/api/v1/customers", "", as(r.root)).is(http.StatusOK).has("Enterprise ABC", "Globex")
}

// cursor is what a client that knows how they are made could make up.
func cursor(customer, key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"c":` + quote(customer) + `,"k":` + quote(key) + `}`))
}
