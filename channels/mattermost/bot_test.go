package mattermost_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/mattermost"
	"sitrep/channels/mattermost/mmfake"
)

func send(t *testing.T, r *rig, e channels.Envelope) channels.Receipt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), late)
	defer cancel()
	receipt, err := r.channel.Send(ctx, e)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	return receipt
}

// shown is the text of all posts that are there, "> " before replies.
func shown(r *rig) []string {
	var out []string
	for _, p := range r.Posts() {
		if p.Deleted {
			continue
		}
		text := p.Text
		if p.Root != "" {
			text = "> " + text
		}
		out = append(out, text)
	}
	return out
}

func wantShown(t *testing.T, r *rig, want ...string) {
	t.Helper()
	if got := shown(r); !slices.Equal(got, want) {
		t.Errorf("the room shows %q, want %q", got, want)
	}
}

func TestOneThreadPerIncidentWithItsCardKeptUpToDate(t *testing.T) {
	r := start(t, asBot)
	first := send(t, r, envelope(1, "sev1-abc", "Investigating"))
	second := envelope(2, "sev1-abc", "Identified")
	second.Thread = first.Thread
	receipt := send(t, r, second)
	third := envelope(3, "sev1-abc", "Resolved")
	third.Thread = receipt.Thread
	send(t, r, third)
	wantShown(t, r, "card: Resolved", "> Investigating", "> Identified", "> Resolved")
	posts := r.Posts()
	if posts[0].Priority != "urgent" || posts[1].Priority != "" {
		t.Errorf("priorities %q, %q; want it on the card only", posts[0].Priority, posts[1].Priority)
	}
	if len(posts[1].Attachments) != 1 || posts[1].Attachments[0].Color != "#F2A100" {
		t.Errorf("attachments %+v", posts[1].Attachments)
	}
	if want := r.url + "/ops/pl/" + posts[1].ID; first.Permalink != want {
		t.Errorf("permalink %q, want %q", first.Permalink, want)
	}
	if first.RemoteID != posts[1].ID {
		t.Errorf("remote id %q", first.RemoteID)
	}
	another := send(t, r, envelope(4, "sev1-abc", "Another incident"))
	if another.Thread == first.Thread || len(shown(r)) != 6 {
		t.Errorf("another incident does not have its own thread: %q", shown(r))
	}
}

func TestAddresses(t *testing.T) {
	id := mmfake.ID("room", "dev", "town-square")
	tests := []struct {
		address, team, room string
		fault               channels.Fault
		says                string
	}{
		{"sev1-abc", "ops", "sev1-abc", "", ""}, // the only team that has it
		{"dev/town-square", "dev", "town-square", "", ""},
		{id, "dev", "town-square", "", ""},
		{"@alice", "", "@alice", "", ""},
		{"town-square", "", "", channels.Rejected, "ops/town-square"},
		{"nowhere", "", "", channels.NoRecipient, "invite the bot"},
		{"ops/nowhere", "", "", channels.NoRecipient, `"ops" has no room "nowhere"`},
		{"@nobody", "", "", channels.NoRecipient, `no user "nobody"`},
		{strings.Repeat("a", 26), "", "", channels.NoRecipient, "does not exist"},
		{mmfake.ID("room", "ops", "old"), "", "", channels.NoRecipient, "archived"},
		{"ops/closed", "", "", channels.Rejected, "invite it"},
		{"-", "", "", channels.NoRecipient, "webhook"},
	}
	for _, tt := range tests {
		t.Run(tt.address, func(t *testing.T) {
			r := start(t, asBot)
			_, err := r.channel.Send(t.Context(), envelope(1, tt.address, "x"))
			fault, _ := channels.FaultOf(err)
			if fault != tt.fault || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Fatalf("%q, %v; want %q saying %q", fault, err, tt.fault, tt.says)
			}
			if posts := r.Posts(); err == nil && (posts[0].Team != tt.team || posts[0].Room != tt.room) {
				t.Errorf("posted in %q/%q", posts[0].Team, posts[0].Room)
			}
			probe := r.channel.(channels.Prober).Probe(t.Context(), channels.Recipient{Address: tt.address})
			if (probe == nil) != (err == nil) {
				t.Errorf("Probe says %v, Send said %v", probe, err)
			}
			if probe != nil && len(r.Posts()) > 0 {
				t.Error("Probe posted something")
			}
		})
	}
}

func TestConfiguredTeam(t *testing.T) {
	r := start(t, func(url string) mattermost.Config {
		c := asBot(url)
		c.Team = "dev"
		return c
	})
	send(t, r, envelope(1, "town-square", "x"))
	if p := r.Posts()[0]; p.Team != "dev" {
		t.Errorf("posted in team %q", p.Team)
	}
}

// failAt lets the n-th post (counted from 1, card included) go wrong, done or not.
func failAt(r *rig, n int, taken bool, status int) (again func()) {
	var count atomic.Int64
	var mended atomic.Bool
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if post, _ := isPost(req); !post {
			return false
		}
		if count.Add(1) != int64(n) || mended.Load() {
			return false
		}
		if taken {
			r.Take(httptest.NewRecorder(), req)
		}
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		return reply(w, status, "app.post.save.app_error")
	})
	return func() { mended.Store(true) }
}

func TestWhatWasPostedIsNotPostedAgain(t *testing.T) {
	want := []string{"card: three", "> one", "> two", "> three"}
	for _, restart := range []bool{false, true} {
		for n := 1; n <= 4; n++ {
			for _, taken := range []bool{false, true} {
				for _, status := range []int{0, 429, 500, 503} {
					r := start(t, asBot)
					failAt(r, n, taken, status)
					e := envelope(1, "sev1-abc", "one", "two", "three")
					_, err := r.channel.Send(t.Context(), e)
					fault, _ := channels.FaultOf(err)
					want429 := status == 429 && fault == channels.RateLimited // the channel has to pause
					if err == nil || (fault != channels.Ambiguous && !want429 && (n > 1 || status != 503)) {
						t.Fatalf("post %d, taken %v, status %d: %q %v", n, taken, status, fault, err)
					}
					if fault != channels.Ambiguous && taken || want429 && restart && n > 1 {
						continue // a refusal is believed, and a pause is not read back
					}
					r.ahead.Add(int64(time.Minute)) // the server forgets pending_post_id
					if restart {
						ch, err := mattermost.New(decode(asBot(r.url)), channels.Env{})
						if err != nil {
							t.Fatal(err)
						}
						r.channel = ch
					}
					if fault == channels.Ambiguous { // as the dispatcher does
						receipt, found, err := r.channel.(channels.Finder).Find(t.Context(), e)
						if err != nil {
							t.Fatal(err)
						}
						if complete := n == 4 && taken; found != complete {
							t.Fatalf("post %d, taken %v: Find says %v", n, taken, found)
						}
						if found {
							if receipt.Thread == "" || receipt.Permalink == "" || strings.Count(receipt.RemoteID, ",") != 2 {
								t.Errorf("Find's receipt %+v", receipt)
							}
							wantShown(t, r, want...)
							continue
						}
					}
					send(t, r, e)
					wantShown(t, r, want...)
				}
			}
		}
	}
}

func TestFindInAThread(t *testing.T) {
	r := start(t, asBot)
	first := send(t, r, envelope(1, "sev1-abc", "Investigating"))
	second := envelope(2, "sev1-abc", "Identified")
	second.Thread = first.Thread
	finder := r.channel.(channels.Finder)
	if _, found, err := finder.Find(t.Context(), second); found || err != nil {
		t.Fatalf("before: %v %v", found, err)
	}
	failAt(r, 1, true, 0)
	if _, err := r.channel.Send(t.Context(), second); err == nil {
		t.Fatal("the cut connection went unnoticed")
	}
	receipt, found, err := finder.Find(t.Context(), second)
	if !found || err != nil || receipt.Thread != first.Thread {
		t.Fatalf("after: %v %v %+v, want the thread %q", found, err, receipt, first.Thread)
	}
	r.SetDatabase(false)
	if _, found, err := finder.Find(t.Context(), second); found || err == nil {
		t.Errorf("with the database down Find claims to know: %v %v", found, err)
	}
}

func TestDeletedRootBeginsANewThread(t *testing.T) {
	r := start(t, asBot)
	first := send(t, r, envelope(1, "sev1-abc", "Investigating"))
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, r.url+"/api/v4/posts/"+r.Posts()[0].ID, nil)
	req.Header.Set("Authorization", "Bearer "+token)
	if got, err := http.DefaultClient.Do(req); err != nil || got.StatusCode != http.StatusOK {
		t.Fatal(err)
	} else {
		got.Body.Close()
	}
	second := envelope(2, "sev1-abc", "Identified")
	second.Thread = first.Thread
	receipt := send(t, r, second)
	if receipt.Thread == first.Thread {
		t.Error("the receipt still has the old thread")
	}
	wantShown(t, r, "> Investigating", "card: Identified", "> Identified")
	if got, found, err := r.channel.(channels.Finder).Find(t.Context(), second); !found || err != nil || got.Thread != receipt.Thread {
		t.Errorf("Find with the old thread: %v %v %+v", found, err, got)
	}
}

func TestACardThatCannotBeEditedDoesNotHoldTheUpdateBack(t *testing.T) {
	r := start(t, asBot)
	first := send(t, r, envelope(1, "sev1-abc", "Investigating"))
	status, id := http.StatusBadRequest, "api.post.update_post.permissions_time_limit.app_error"
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		return req.Method == http.MethodPut && reply(w, status, id)
	})
	second := envelope(2, "sev1-abc", "Identified")
	second.Thread = first.Thread
	send(t, r, second)
	wantShown(t, r, "card: Investigating", "> Investigating", "> Identified")
	if !strings.Contains(r.log.String(), "card cannot be brought up to date") {
		t.Errorf("nothing in the log: %s", r.log)
	}
	// One that can be edited later does: or the card would stay as it is for ever.
	status, id = http.StatusServiceUnavailable, ""
	third := envelope(3, "sev1-abc", "Resolved")
	third.Thread = first.Thread
	_, err := r.channel.Send(t.Context(), third)
	if f, _ := channels.FaultOf(err); f != channels.Unavailable {
		t.Errorf("%q, %v", f, err)
	}
	if len(shown(r)) != 3 {
		t.Errorf("the update overtook its card: %q", shown(r))
	}
}

func TestServerWithoutPriority(t *testing.T) {
	r := start(t, asBot)
	refused := 0
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if _, card := isPost(req); card && refused == 0 {
			refused++
			return reply(w, http.StatusForbidden, "api.post.post_priority.priority_post_not_allowed_for_user.request_error")
		}
		return false
	})
	send(t, r, envelope(1, "sev1-abc", "x"))
	if refused != 1 || r.Posts()[0].Priority != "" {
		t.Errorf("refused %d, priority %q", refused, r.Posts()[0].Priority)
	}
}

func TestEdit(t *testing.T) {
	r := start(t, asBot)
	receipt := send(t, r, envelope(1, "sev1-abc", "one", "two"))
	ed := r.channel.(channels.Editor)
	steps := []struct{ texts, want []string }{
		{[]string{"ONE", "TWO"}, []string{"card: TWO", "> ONE", "> TWO"}},
		{[]string{"1", "2", "3"}, []string{"card: 3", "> 1", "> 2", "> 3"}},
		{[]string{"all"}, []string{"card: all", "> all"}},
	}
	for _, s := range steps {
		var err error
		if receipt, err = ed.Edit(t.Context(), envelope(1, "sev1-abc", s.texts...), receipt); err != nil {
			t.Fatal(err)
		}
		wantShown(t, r, s.want...)
	}
	if p := r.Posts()[1]; p.Props["sitrep_key"] == nil || len(p.Attachments) != 1 {
		t.Errorf("an edited post lost its key or attachment: %+v", p)
	}
	if _, found, err := r.channel.(channels.Finder).Find(t.Context(), envelope(1, "sev1-abc", "all")); !found || err != nil {
		t.Errorf("Find after Edit: %v %v", found, err)
	}
	if _, err := ed.Edit(t.Context(), envelope(1, "sev1-abc", "x"), channels.Receipt{}); err == nil {
		t.Error("an empty receipt was edited")
	}
}

// TestEditOfAnOlderUpdateLeavesTheCard: the card shows where the incident stands, which
// a correction of an earlier update does not change.
func TestEditOfAnOlderUpdateLeavesTheCard(t *testing.T) {
	r := start(t, asBot)
	first := send(t, r, envelope(1, "sev1-abc", "Investigating"))
	second := envelope(2, "sev1-abc", "Resolved")
	second.Thread = first.Thread
	for begun := time.Now().UnixMilli(); time.Now().UnixMilli() == begun; { // posts are dated to the millisecond
		runtime.Gosched()
	}
	latest := send(t, r, second)
	send(t, r, envelope(3, "sev1-abc", "Another incident")) // newer, and none of this thread's business
	ed := r.channel.(channels.Editor)
	longer, err := ed.Edit(t.Context(), envelope(1, "sev1-abc", "Investigating it", "all night"), first)
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(r); got[0] != "card: Resolved" || got[1] != "> Investigating it" {
		t.Errorf("after a correction of the first update the room shows %q", got)
	}
	// What the correction added to the first update does not make it the latest.
	if _, err := ed.Edit(t.Context(), envelope(2, "sev1-abc", "Resolved at last"), latest); err != nil {
		t.Fatal(err)
	}
	if _, err := ed.Edit(t.Context(), envelope(1, "sev1-abc", "Investigating all"), longer); err != nil {
		t.Fatal(err)
	}
	if got := shown(r)[:3]; !slices.Equal(got, []string{"card: Resolved at last", "> Investigating all", "> Resolved at last"}) {
		t.Errorf("after a correction of the latest update the room shows %q", got)
	}
}

func TestRoomsAreLookedUpOnceAndAgainAfterAFailure(t *testing.T) {
	r := start(t, asBot)
	looked, refuse := 0, false
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if strings.Contains(req.URL.Path, "/channels/name/") {
			looked++
		}
		post, _ := isPost(req)
		return post && refuse && reply(w, http.StatusForbidden, "api.context.permissions.app_error")
	})
	for i := range 3 {
		send(t, r, envelope(i, "ops/sev1-abc", "x"))
	}
	if looked != 1 {
		t.Errorf("3 sends looked the room up %d times", looked)
	}
	refuse = true
	if _, err := r.channel.Send(t.Context(), envelope(4, "ops/sev1-abc", "x")); err == nil {
		t.Fatal("the refusal went unnoticed")
	}
	refuse = false
	send(t, r, envelope(5, "ops/sev1-abc", "x"))
	if looked != 2 {
		t.Errorf("after a refusal the room was looked up %d times in all, want 2", looked)
	}
}

func TestAThreadNeedsNoLookUps(t *testing.T) {
	r := start(t, asBot)
	first := send(t, r, envelope(1, "sev1-abc", "one"))
	var paths []string
	r.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		paths = append(paths, req.Method)
		return false
	})
	second := envelope(2, "sev1-abc", "two")
	second.Thread = first.Thread
	send(t, r, second)
	if got := strings.Join(paths, " "); got != "PUT POST" {
		t.Errorf("a later update took the requests %q, want one for the card and one for the reply", got)
	}
}
