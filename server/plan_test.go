package server_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
	"sitrep/renderers"
	"sitrep/server"
)

func (r *rig) suppress(address string) {
	r.Helper()
	r.call("POST", "/api/v1/suppressions", `{"channel":"mail","address":"`+address+`","reason":"they asked"}`, as(r.admin)).is(http.StatusCreated)
}

// However many recipients there are, all of them are counted, and any of them can be
// asked for.
func TestPreviewCounts(t *testing.T) {
	r := newRig(t, large)
	for i := range 5 {
		r.suppress("user" + strconv.Itoa(i*600) + "@abc.example")
	}
	preview := func(query string) (v server.PreviewView) {
		r.call("POST", "/api/v1/previews?"+query, text("abc", "One."), as(r.author)).is(http.StatusOK).into(&v)
		return v
	}
	v := preview("recipients=0")
	want := server.GroupView{List: "contacts", Audience: "customer", Channel: "mail", Recipients: 3002, Suppressed: 5}
	if v.Total != 3003 || len(v.Recipients) != 0 || len(v.Groups) != 2 || v.Groups[0] != want {
		t.Errorf("%d in all, %d named, groups %+v", v.Total, len(v.Recipients), v.Groups)
	}
	seen := map[string]bool{}
	gone := 0
	for skip := 0; skip < 3003; skip += 1000 {
		page := preview("recipients=1000&skip=" + strconv.Itoa(skip))
		for _, x := range page.Recipients {
			seen[x.Address] = true
			if x.Suppressed != "" {
				gone++
			}
		}
	}
	if len(seen) != 3003 || gone != 5 {
		t.Errorf("the pages name %d recipients, %d of them suppressed", len(seen), gone)
	}
	if v := preview("recipients=10&skip=5000"); len(v.Recipients) != 0 || v.Total != 3003 {
		t.Errorf("behind the last: %+v", v.Recipients)
	}
	r.work()
	r.settled(r.sent(r.author, "abc", "One."))
	r.eventually("all are written down", func() bool { return preview("recipients=0").New == 0 && len(preview("recipients=0").Warnings) == 0 })
	if v := preview("recipients=0"); v.Groups[0].Already != 3002 || v.Groups[0].Suppressed != 0 {
		t.Errorf("the same again: %+v", v.Groups)
	}
}

func TestPreviewSaysWhoThreads(t *testing.T) {
	for _, threads := range []bool{false, true} {
		r := newRig(t, func(r *rig) { r.mail.threads = threads })
		var v server.PreviewView
		r.call("POST", "/api/v1/previews", text("abc", "One."), as(r.author)).is(http.StatusOK).into(&v)
		if len(v.Renderings) == 0 || v.Renderings[0].Threads != threads {
			t.Errorf("threads %v: %+v", threads, v.Renderings)
		}
	}
}

// Findings have a kind; but that a word is another customer's name is said only to who
// may know of all of them.
func TestFindingsHaveAKind(t *testing.T) {
	r := newRig(t)
	kinds := func(token string) string {
		var v server.PreviewView
		r.call("POST", "/api/v1/previews", text("abc", "Ask @kim about Globex Industries and the walrus."), as(token)).is(http.StatusOK).into(&v)
		all := map[string]int{}
		for _, f := range v.Findings {
			all[f.Kind]++
		}
		return strings.Join([]string{strconv.Itoa(all["mention"]), strconv.Itoa(all["customer"]), strconv.Itoa(all["word"])}, " ")
	}
	if got := kinds(r.root); got != "1 1 1" {
		t.Errorf("mentions, customers and words: %s", got)
	}
	if got := kinds(r.author); got != "1 0 2" {
		t.Errorf("for an author of one customer: %s", got)
	}
}

func TestTallies(t *testing.T) {
	r := newRig(t)
	r.mail.answers(func(_ context.Context, e channels.Envelope) error {
		if e.To.Address == "bob@abc.example" {
			return channels.Errorf(channels.Rejected, "no")
		}
		return nil
	})
	r.work()
	key, foreign := r.sent(r.author, "abc", "One."), r.sent(r.foreign, "globex", "One.")
	r.settled(key)
	r.settled(foreign)
	counts := func(token, query string) string {
		var v struct{ Items []server.TallyView }
		r.call("GET", "/api/v1/tallies?"+query, "", as(token)).is(http.StatusOK).into(&v)
		var all []string
		for _, x := range v.Items {
			all = append(all, x.Customer+" "+x.Channel+" "+x.Outcome+" "+strconv.Itoa(x.Count))
		}
		return strings.Join(all, ", ")
	}
	for query, want := range map[string]string{
		"update=" + key:                        "abc mail delivered 2, abc mail failed 1",
		"":                                     "abc mail delivered 2, abc mail failed 1",
		"update=" + key + "&outcome=failed":    "abc mail failed 1",
		"update=" + foreign:                    "",
		"customer=globex":                      "",
		"channel=chat":                         "",
		"since=2999-01-01T00:00:00Z":           "",
		"outcome=pending,delivered":            "abc mail delivered 2",
		"incident=nothing&update=" + key:       "",
		"customer=abc&outcome=failed,bounced":  "abc mail failed 1",
		"customer=abc&outcome=bounced,unknown": "",
	} {
		if got := counts(r.viewer, query); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	if got := counts(r.root, "outcome=delivered"); got != "abc mail delivered 2, globex mail delivered 2" {
		t.Errorf("for everybody: %s", got)
	}
	r.call("GET", "/api/v1/tallies?outcome=lost", "", as(r.viewer)).is(http.StatusUnprocessableEntity).has("is not an outcome")
}

// Who has signed off since is not written to by a retry, and the answer says so.
func TestRetrySaysWhoIsLeft(t *testing.T) {
	r := newRig(t)
	r.mail.answers(func(context.Context, channels.Envelope) error { return channels.Errorf(channels.Rejected, "no") })
	r.work()
	key := r.sent(r.author, "abc", "One.")
	r.settled(key)
	r.clock.pass(time.Hour)
	r.suppress("ann@abc.example")
	var got struct {
		Reopened int
		Left     []server.AloneView
	}
	r.call("POST", "/api/v1/updates/"+key+"/retry", "", as(r.author)).is(http.StatusOK).into(&got)
	if got.Reopened != 2 || len(got.Left) != 1 || got.Left[0].Count != 1 || !strings.Contains(got.Left[0].Why, "suppressed") {
		t.Errorf("%+v", got)
	}
	r.settled(key)
	r.call("POST", "/api/v1/updates/"+key+"/retry", "", as(r.foreign)).is(http.StatusNotFound)
}

// An update that is taken back while it goes out: what the answer and the report say
// adds up to everybody.
func TestCancelUnderWay(t *testing.T) {
	r := newRig(t, large)
	begun, release := make(chan struct{}), make(chan struct{})
	var sent int
	var mu sync.Mutex
	r.mail.answers(func(ctx context.Context, _ channels.Envelope) error {
		mu.Lock()
		sent++
		stop := sent > 200
		if sent == 201 {
			close(begun)
		}
		mu.Unlock()
		if stop {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return nil
	})
	r.work()
	key := r.sent(r.author, "abc", "One.")
	<-begun
	var back struct {
		Cancelled, Unknown int
		UnderWay           int `json:"under_way"`
	}
	r.call("POST", "/api/v1/updates/"+key+"/cancel", "", as(r.author)).is(http.StatusOK).into(&back)
	close(release)
	var done server.UpdateView
	r.eventually("it is over", func() bool {
		r.call("GET", "/api/v1/updates/"+key, "", as(r.author)).is(http.StatusOK).into(&done)
		return done.Report.Finished
	})
	delivered, err := r.ledger.Tally(t.Context(), ledger.DeliveryQuery{Update: key, Outcomes: []ledger.Outcome{ledger.Delivered}})
	if err != nil || len(delivered) != 1 || done.Report.Delivered != delivered[0].Count {
		t.Fatalf("%v %+v", err, delivered)
	}
	if done.Report.Delivered+done.Report.NotSent != 3003 || done.Report.Failed != 0 || len(done.Report.Channels) != 1 || done.Report.Channels[0].Total != 3003 {
		t.Errorf("report: %+v", done.Report.Channels)
	}
	// Whoever was under way, or about to be, is on one side or the other by now.
	if back.Unknown != 0 || back.Cancelled > done.Report.NotSent || back.Cancelled+back.UnderWay < done.Report.NotSent {
		t.Errorf("taken back %+v, not sent %d", back, done.Report.NotSent)
	}
	var none struct {
		Cancelled int
		UnderWay  int `json:"under_way"`
	}
	r.call("POST", "/api/v1/updates/"+key+"/cancel", "", as(r.author)).is(http.StatusOK).into(&none)
	if none.Cancelled != 0 || none.UnderWay != 0 {
		t.Errorf("taken back again: %+v", none)
	}
}

// What the description shows as an example is an update.
func TestExampleIsAnUpdate(t *testing.T) {
	r := newRig(t)
	var doc struct {
		Paths map[string]struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct{ Example any }
				}
			}
		}
	}
	r.call("GET", "/api/v1/openapi.json", "").is(http.StatusOK).into(&doc)
	markdown, _ := doc.Paths["/api/v1/updates"].Post.RequestBody.Content["text/markdown"].Example.(string)
	if d, problems := incident.Parse([]byte(markdown)); len(problems) > 0 || d.Status.Text != "Identified" || d.CustomerImpact.Text == "" {
		t.Errorf("%v in:\n%s", problems, markdown)
	}
}

// leaver is a ledger that reopens one delivery only.
type leaver struct{ *sqlite.Ledger }

func (leaver) Reopen(context.Context, string, time.Time, time.Time) (int, error) { return 1, nil }

func TestWhyOthersAreLeft(t *testing.T) {
	r := newRig(t)
	r.mail.answers(func(context.Context, channels.Envelope) error { return channels.Errorf(channels.Rejected, "no") })
	r.work()
	key := r.sent(r.author, "abc", "One.")
	r.settled(key)
	d, err := dispatcher.New(dispatcher.Options{
		Ledger: leaver{r.ledger}, Lanes: []dispatcher.Lane{{ID: "mail", Kind: "test", Channel: r.mail}}, Parties: r.setup.Parties, Renderers: renderers.Builtin(),
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.TryAgain(t.Context(), key)
	if err != nil || got.Reopened != 1 || len(got.Left) != 1 || got.Left[0].Count != 2 || !strings.Contains(got.Left[0].Why, "newer update") {
		t.Errorf("%+v %v", got, err)
	}
}
