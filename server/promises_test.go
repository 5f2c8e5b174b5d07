package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/internal/secret"
	"sitrep/ledger"
	"sitrep/server"
	"sitrep/server/client"
)

// told records update seq of an incident, which promises the next one in some time (0:
// not at all), without anybody to deliver it to.
func (r *rig) told(customer, incident string, seq int, status string, promise time.Duration) {
	r.Helper()
	now := r.clock.Now()
	i := ledger.Incident{ID: incident, Customer: customer, Started: now, Status: status, Seq: seq, Updated: now}
	u := ledger.Update{
		Key: fmt.Sprintf("%s-%d", strings.ReplaceAll(incident, ":", "_"), seq), Incident: incident, Customer: customer, Seq: seq,
		Status: status, Title: incident, At: now, Accepted: now, Content: []byte("{}"),
	}
	if promise != 0 {
		u.Next = now.Add(promise)
		i.Next = u.Next
	}
	if _, err := r.ledger.Accept(r.Context(), ledger.Acceptance{Incident: i, Update: u}); err != nil {
		r.Fatal(err)
	}
}

// promising is a record of promises: of abc one is kept, one broken and one open; of
// globex one is open; and there are reminders.
func promising(t *testing.T) *rig {
	r := newRig(t)
	r.told("abc", "INC-1", 1, "investigating", time.Hour)
	r.clock.pass(50 * time.Minute)
	r.told("abc", "reminder:INC-1:1:-10m0s", 1, "resolved", 0)
	r.clock.pass(5 * time.Minute)
	r.told("abc", "INC-1", 2, "identified", time.Hour)
	r.clock.pass(2 * time.Hour)
	r.told("abc", "reminder:INC-1:2:0s", 1, "resolved", 0)
	r.told("abc", "INC-1", 3, "monitoring", time.Hour)
	r.told("globex", "INC-2", 1, "investigating", time.Hour)
	return r
}

func TestKeptRate(t *testing.T) {
	r := promising(t)
	var one server.IncidentView
	r.call("GET", "/api/v1/incidents/INC-1", "", as(r.viewer)).is(http.StatusOK).into(&one)
	if k := one.Kept; k == nil || k.Kept != 1 || k.Due != 2 || k.Open != 1 || k.Rate == nil || *k.Rate != 0.5 {
		t.Errorf("INC-1: %+v", k)
	}
	var outcomes []string
	for _, p := range one.Promises {
		outcomes = append(outcomes, fmt.Sprintf("%d %s", p.Seq, p.Outcome))
	}
	if want := []string{"1 kept", "2 broken", "3 open"}; !slices.Equal(outcomes, want) {
		t.Errorf("INC-1: %v, want %v", outcomes, want)
	}
	// Nothing was due: that is no rate, neither 0 nor 1.
	r.call("GET", "/api/v1/incidents/INC-2", "", as(r.foreign)).is(http.StatusOK).has(`"kept":{"kept":0,"due":0,"open":1}`)
	r.call("GET", "/api/v1/promises", "", as(r.root)).is(http.StatusOK).
		has(`{"customer":"abc","kept":1,"due":2,"open":1,"rate":0.5},{"customer":"globex","kept":0,"due":0,"open":1}`)
	r.call("GET", "/api/v1/promises?customer=globex", "", as(r.root)).is(http.StatusOK).lacks("abc").has("globex")
	r.call("GET", "/api/v1/promises", "", as(r.viewer)).is(http.StatusOK).lacks("globex").has(`"abc"`)
	r.call("GET", "/api/v1/promises?customer=globex", "", as(r.viewer)).is(http.StatusOK).has(`"customers":[]`).lacks("globex")
	r.told("abc", "INC-3", 1, "resolved", 0)
	r.call("GET", "/api/v1/incidents/INC-3", "", as(r.viewer)).is(http.StatusOK).lacks("kept", "promises")
}

func TestRemindersAreHidden(t *testing.T) {
	r := promising(t)
	list := func(path string) string {
		t.Helper()
		var v server.List[struct{ ID, Key, Incident string }]
		r.call("GET", path, "", as(r.viewer)).is(http.StatusOK).into(&v)
		var all []string
		for _, x := range v.Items {
			all = append(all, x.ID+x.Key)
		}
		return strings.Join(all, " ")
	}
	for path, want := range map[string]string{
		"/api/v1/incidents":                                   "INC-1",
		"/api/v1/incidents?reminders=true":                    "INC-1 reminder:INC-1:2:0s reminder:INC-1:1:-10m0s",
		"/api/v1/updates":                                     "INC-1-3 INC-1-2 INC-1-1",
		"/api/v1/updates?limit=2":                             "INC-1-3 INC-1-2",
		"/api/v1/updates?reminders=true":                      "INC-1-3 reminder_INC-1_2_0s-1 INC-1-2 reminder_INC-1_1_-10m0s-1 INC-1-1",
		"/api/v1/updates?incident=reminder:INC-1:2:0s":        "reminder_INC-1_2_0s-1",
		"/api/v1/updates?incident=INC-1":                      "INC-1-3 INC-1-2 INC-1-1",
		"/api/v1/updates?reminders=true&customer=abc&limit=1": "INC-1-3",
	} {
		if got := list(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// Pages are whole and none is missed, whatever is hidden in between.
func TestPagesWithoutReminders(t *testing.T) {
	r := newRig(t)
	var want []string
	for i := range 9 {
		r.told("abc", fmt.Sprintf("INC-%d", i), 1, "resolved", 0)
		want = append(want, fmt.Sprintf("INC-%d-1", i))
		for j := range i % 4 {
			r.told("abc", fmt.Sprintf("reminder:INC-%d:1:%dm", i, j), 1, "resolved", 0)
		}
	}
	slices.Reverse(want)
	for limit := 1; limit < 11; limit++ {
		var got []string
		path := fmt.Sprintf("/api/v1/updates?limit=%d", limit)
		for path != "" {
			var v server.List[server.UpdateView]
			a := r.call("GET", path, "", as(r.viewer)).is(http.StatusOK)
			a.into(&v)
			if len(v.Items) > limit || v.Next != "" && len(v.Items) < limit {
				t.Errorf("a page of %d, with limit %d and next %q", len(v.Items), limit, v.Next)
			}
			for _, u := range v.Items {
				got = append(got, u.Key)
			}
			path = ""
			if link := a.header.Get("Link"); link != "" {
				path = strings.TrimPrefix(link[:strings.Index(link, ">")], "<")
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
}

func TestClientPromises(t *testing.T) {
	r := promising(t)
	srv := httptest.NewServer(r.s)
	defer srv.Close()
	c, err := client.New(client.Options{Server: srv.URL, Token: secret.New(r.viewer)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Promises(t.Context(), "")
	if err != nil || len(got) != 1 || got[0].Customer != "abc" || got[0].Kept != 1 || got[0].Due != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}
