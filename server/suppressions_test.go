package server_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server"
)

const suppressionsPath = "/api/v1/suppressions"

func suppression(address, reason string) string {
	return `{"channel":"mail","address":"` + address + `","reason":"` + reason + `"}`
}

// mustTell has an address told by contract.
func (r *rig) mustTell(address string) {
	for _, p := range r.setup.Parties {
		for _, l := range p.Lists {
			for i := range l.To {
				if l.To[i].Address == address {
					l.To[i].Required = true
				}
			}
		}
	}
}

func (r *rig) suppressedNow() string {
	r.Helper()
	rows, err := r.ledger.Suppressions(r.Context(), "")
	if err != nil {
		r.Fatal(err)
	}
	var all []string
	for _, x := range rows {
		all = append(all, x.Channel+" "+x.Address+": "+x.Reason)
	}
	return strings.Join(all, "\n")
}

func TestSuppressions(t *testing.T) {
	r := newRig(t)
	r.call("GET", suppressionsPath, "", as(r.viewer)).is(http.StatusOK).has(`"suppressions":[]`)
	r.call("POST", suppressionsPath, suppression("Ann@abc.example", "on leave"), as(r.author)).is(http.StatusCreated).
		has(`"address":"Ann@abc.example"`, `"reason":"on leave"`, `"since":"`)
	r.clock.pass(time.Hour)
	r.call("POST", suppressionsPath, suppression("ann@ABC.example", "has left"), as(r.author)).is(http.StatusCreated)
	if got := r.suppressedNow(); got != "mail Ann@abc.example: has left" {
		t.Errorf("suppressed: %s", got)
	}
	r.call("GET", suppressionsPath+"?channel=mail", "", as(r.viewer)).is(http.StatusOK).has("Ann@abc.example", "has left", r.clock.Now().UTC().Format(time.RFC3339))
	r.call("GET", suppressionsPath+"?channel=chat", "", as(r.viewer)).is(http.StatusOK).lacks("Ann")
	r.call("GET", "/api/v1/who/abc", "", as(r.viewer)).is(http.StatusOK).has("not written to since " + r.clock.Now().UTC().Format(time.DateOnly) + ": has left")
	key := r.sent(r.author, "abc", "The lift is stuck.")
	r.call("GET", "/api/v1/deliveries?outcome=suppressed&update="+key, "", as(r.viewer)).is(http.StatusOK).has("ann@abc.example", "has left").lacks("bob@")
	r.call("DELETE", suppressionsPath+"?channel=mail&address=ANN@abc.example", "", as(r.author)).is(http.StatusNoContent)
	r.call("DELETE", suppressionsPath+"?channel=mail&address=ANN@abc.example", "", as(r.author)).is(http.StatusNotFound)
	if got := r.suppressedNow(); got != "" {
		t.Errorf("still suppressed: %s", got)
	}
}

func TestSuppressionMistakes(t *testing.T) {
	r := newRig(t)
	r.mustTell("bob@abc.example")
	for body, want := range map[string]string{
		suppression("bob@abc.example", "he asked"):                                      "by contract",
		suppression(`x\ny@abc.example`, "he asked"):                                     "printable",
		suppression("nobody@abc.example", `he\nasked`):                                  "one line",
		suppression("nobody@abc.example", " "):                                          "reason",
		`{"channel":"Mail","address":"ann@abc.example","reason":"she asked"}`:           "No list uses a channel",
		`{"channel":"mail","address":"ann@abc.example"}`:                                "reason",
		`{"channel":"mail","address":"` + strings.Repeat("x", 1001) + `","reason":"r"}`: "1000",
	} {
		r.call("POST", suppressionsPath, body, as(r.root)).is(http.StatusUnprocessableEntity).has(want)
	}
	r.call("DELETE", suppressionsPath+"?channel=mail", "", as(r.root)).is(http.StatusUnprocessableEntity).has("address")
	r.call("POST", suppressionsPath, suppression("to.come@abc.example", "in advance"), as(r.root)).is(http.StatusCreated)
	if got := r.suppressedNow(); got != "mail to.come@abc.example: in advance" {
		t.Errorf("suppressed: %s", got)
	}
}

// TestSuppressionsOfOthers tries to learn of, and to decide for, another customer's
// recipients.
func TestSuppressionsOfOthers(t *testing.T) {
	r := newRig(t)
	for _, a := range []string{"hank@globex.example", "team@us.example", "bob@abc.example", "stray@nowhere.example"} {
		if err := r.ledger.Suppress(t.Context(), ledger.Suppression{Channel: "mail", Address: a, Reason: "because of " + a, At: r.clock.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	before := r.suppressedNow()
	r.call("GET", suppressionsPath, "", as(r.root)).is(http.StatusOK).has("hank@", "team@", "bob@", "stray@")
	for _, token := range []string{r.viewer, r.author, r.admin} {
		r.call("GET", suppressionsPath, "", as(token)).is(http.StatusOK).has("bob@", "team@").lacks("hank", "stray", "globex")
	}
	for _, method := range []string{"POST", "DELETE"} {
		ask := func(address, token string) answer {
			if method == "POST" {
				return r.call(method, suppressionsPath, suppression(address, "mine"), as(token), with("X-Request-Id", "same"))
			}
			return r.call(method, suppressionsPath+"?channel=mail&address="+address, "", as(token), with("X-Request-Id", "same"))
		}
		none := ask("nobody@nowhere.example", r.admin).is(http.StatusUnprocessableEntity).lacks("globex")
		for _, theirs := range []string{"hank@globex.example", "HANK@globex.example", "team@us.example", "stray@nowhere.example"} {
			if a := ask(theirs, r.admin); a.body != none.body || a.status != none.status {
				t.Errorf("%s %s can be told from nobody: %s", method, theirs, a.body)
			}
		}
		ask("bob@abc.example", r.viewer).is(http.StatusForbidden)
		ask("bob@abc.example", "").is(http.StatusUnauthorized)
	}
	if got := r.suppressedNow(); got != before {
		t.Errorf("something changed:\n%s", got)
	}
	r.call("DELETE", suppressionsPath+"?channel=mail&address=team@us.example", "", as(r.root)).is(http.StatusNoContent)
}

// A suppression of somebody who is to be told by contract is shown as ignored.
func TestRequiredIsToldAllTheSame(t *testing.T) {
	r := newRig(t)
	r.mustTell("ann@abc.example")
	if err := r.ledger.Suppress(t.Context(), ledger.Suppression{Channel: "mail", Address: "Ann@abc.example", Reason: "bounced", At: r.clock.Now()}); err != nil {
		t.Fatal(err)
	}
	r.call("GET", suppressionsPath, "", as(r.viewer)).is(http.StatusOK).has(`"required":true`)
	r.call("GET", "/api/v1/customers/abc/lists", "", as(r.viewer)).is(http.StatusOK).has(`"required":true`)
	var v struct{ Recipients []server.RecipientView }
	r.call("GET", "/api/v1/who/abc", "", as(r.viewer)).is(http.StatusOK).into(&v)
	for _, x := range v.Recipients {
		if want := x.Address == "ann@abc.example"; x.Required != want || (x.Ignored != "") != want || x.Suppressed != "" {
			t.Errorf("%+v", x)
		}
	}
}

// An address may be written as the lists have it, with the name before it.
func TestSuppressWithAName(t *testing.T) {
	r := newRig(t)
	named := suppression("Ann Other <ANN@abc.example>", "has left")
	r.call("POST", suppressionsPath, named, as(r.author)).is(http.StatusCreated).has(`"address":"ANN@abc.example"`)
	r.call("GET", "/api/v1/who/abc", "", as(r.viewer)).is(http.StatusOK).has("has left")
	r.call("DELETE", suppressionsPath+"?channel=mail&address=Ann+%3Cann@abc.example%3E", "", as(r.author)).is(http.StatusNoContent)
	r.mustTell("bob@abc.example")
	r.call("POST", suppressionsPath, suppression("Bob <bob@abc.example>", "he asked"), as(r.root)).is(http.StatusUnprocessableEntity).has("by contract")
	if got := r.suppressedNow(); got != "" {
		t.Errorf("still suppressed: %s", got)
	}
}

// What the command line does without a server is the same.
func TestSuppressWithoutAServer(t *testing.T) {
	r := newRig(t)
	v, err := server.Suppress(t.Context(), r.ledger, r.setup.Parties, nil, ledger.Suppression{Channel: "mail", Address: " ann@abc.example ", Reason: "asked", At: r.clock.Now()})
	if err != nil || v.Address != "ann@abc.example" {
		t.Errorf("%+v %v", v, err)
	}
	_, err = server.Suppress(t.Context(), r.ledger, r.setup.Parties, nil, ledger.Suppression{Channel: "", Address: "", Reason: ""})
	if bad, ok := err.(incident.Problems); !ok || len(bad) != 3 { //nolint:errorlint // it is promised
		t.Errorf("%v", err)
	}
	all, err := server.Suppressions(t.Context(), r.ledger, r.setup.Parties, "")
	if err != nil || len(all) != 1 || all[0].Reason != "asked" {
		t.Errorf("%+v %v", all, err)
	}
	if there, err := server.Lift(t.Context(), r.ledger, "", "ann@abc.example"); there || err != nil {
		t.Errorf("an empty channel lifts: %v %v", there, err)
	}
	if there, err := server.Lift(t.Context(), r.ledger, "mail", "ANN@abc.example "); !there || err != nil {
		t.Errorf("%v %v", there, err)
	}
}

// What is no address on the channel is refused; one that no list has is taken, and the
// answer says so and what may have been meant.
func TestSuppressWhatNoListHas(t *testing.T) {
	r := newRig(t)
	r.setup.Address = func(channel, address string) error {
		if channel == "mail" && !strings.Contains(address, "@") {
			return errors.New("write one like alice@example.com")
		}
		return nil
	}
	for _, token := range []string{r.root, r.author} {
		r.call("POST", suppressionsPath, suppression("ann", "asked"), as(token)).is(http.StatusUnprocessableEntity)
	}
	r.call("POST", suppressionsPath, suppression("ann", "asked"), as(r.root)).has(`\"ann\" cannot be an address on mail: write one like alice@example.com.`)
	meant := map[string][]string{
		"anm@abc.example": {"ann@abc.example"}, "ann@abc.com": {"ann@abc.example"}, "an@abc.exmple": {"ann@abc.example"}, "stray@nowhere.example": nil,
	}
	for address, want := range meant {
		var v server.SuppressedView
		r.call("POST", suppressionsPath, suppression(address, "asked"), as(r.root)).is(http.StatusCreated).into(&v)
		if !v.Unlisted || !slices.Equal(v.Near, want) || v.Address != address {
			t.Errorf("%s: %+v, want %v", address, v, want)
		}
	}
	r.call("POST", suppressionsPath, suppression("ANN@abc.example", "asked"), as(r.root)).is(http.StatusCreated).lacks("unlisted", "near")
}
