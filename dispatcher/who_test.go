package dispatcher_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/dispatcher"
	"sitrep/incident"
)

func recipients(channel string, addresses ...string) []incident.Recipient {
	var all []incident.Recipient
	for _, a := range addresses {
		all = append(all, incident.Recipient{Channel: channel, Address: a})
	}
	return all
}

func abc() incident.Party {
	return incident.Party{
		ID: "abc", Name: "Enterprise ABC", Aliases: []string{"ABC Corp"}, Zone: time.UTC,
		Lists: []incident.List{
			{ID: "war-room", Audience: incident.Internal, To: recipients("chat", "sev1-abc")},
			{
				ID: "executives", Audience: incident.Internal, After: time.Hour, Severities: []incident.Severity{1},
				To: recipients("mail", "ceo@example.com", "both@example.com"),
			},
			{
				ID: "contacts", Audience: incident.Customer,
				To: append(recipients("mail", "alice@abc.example", "BOTH@example.com"), recipients("chat", "abc-shared")...),
			},
			{ID: "public", Audience: incident.Public, To: recipients("page", "public")},
		},
	}
}

func update(severity incident.Severity, age time.Duration) incident.Update {
	now := time.Date(2026, 11, 22, 19, 20, 0, 0, time.UTC)
	return incident.Update{Customer: "abc", Severity: severity, Status: incident.Identified, At: now, Started: now.Add(-age)}
}

func TestWho(t *testing.T) {
	tests := []struct {
		name string
		u    incident.Update
		only []string
		want string // address/audience/first list+other lists, …
		left string // list count, …
	}{
		{
			name: "all",
			u:    update(1, 2*time.Hour),
			want: "sev1-abc/internal/war-room ceo@example.com/internal/executives BOTH@example.com/customer/contacts+executives " +
				"alice@abc.example/customer/contacts abc-shared/customer/contacts public/public/public",
		},
		{
			name: "young: a recipient is what the lists that join make of it",
			u:    update(1, 10*time.Minute),
			want: "sev1-abc/internal/war-room alice@abc.example/customer/contacts BOTH@example.com/customer/contacts " +
				"abc-shared/customer/contacts public/public/public",
			left: "executives 2 only once the incident is older than 1 hour",
		},
		{
			name: "other severity",
			u:    update(2, 2*time.Hour),
			only: []string{"executives"},
			want: "",
			left: "executives 2 only for SEV1; war-room 1 left out by --only executives; " +
				"contacts 3 left out by --only executives; public 1 left out by --only executives",
		},
		{
			name: "only an audience: who counts as customer is not internal",
			u:    update(1, 2*time.Hour),
			only: []string{"internal"},
			want: "sev1-abc/internal/war-room ceo@example.com/internal/executives",
			left: "contacts 3 left out by --only internal; public 1 left out by --only internal",
		},
		{
			name: "only a list: a recipient keeps its least audience",
			u:    update(1, 2*time.Hour),
			only: []string{"executives"},
			want: "ceo@example.com/internal/executives BOTH@example.com/customer/contacts+executives",
			left: "war-room 1 left out by --only executives; contacts 2 left out by --only executives; " +
				"public 1 left out by --only executives",
		},
		{
			name: "words of two sorts must both hold",
			u:    update(1, 2*time.Hour),
			only: []string{"internal", "mail"},
			want: "ceo@example.com/internal/executives",
			left: "war-room 1 left out by --only internal,mail; contacts 3 left out by --only internal,mail; " +
				"public 1 left out by --only internal,mail",
		},
		{
			name: "words of one sort add up",
			u:    update(1, 2*time.Hour),
			only: []string{"chat", "page"},
			want: "sev1-abc/internal/war-room abc-shared/customer/contacts public/public/public",
			left: "executives 1 left out by --only chat,page; contacts 2 left out by --only chat,page",
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			told, left, problems := dispatcher.Who(abc(), tc.u, tc.only)
			if err := problems.Err(); err != nil {
				t.Fatal(err)
			}
			if got := toldText(told); got != tc.want {
				t.Errorf("told:\n got %s\nwant %s", got, tc.want)
			}
			if got := leftText(left); got != tc.left {
				t.Errorf("left:\n got %s\nwant %s", got, tc.left)
			}
		})
	}
}

func toldText(told []dispatcher.Target) string {
	var all []string
	for _, x := range told {
		var lists []string
		for _, r := range x.Reach {
			lists = append(lists, r.List)
		}
		all = append(all, fmt.Sprintf("%s/%s/%s", x.To.Address, x.Audience, strings.Join(lists, "+")))
	}
	return strings.Join(all, " ")
}

func leftText(left []dispatcher.Left) string {
	var all []string
	for _, x := range left {
		all = append(all, fmt.Sprintf("%s %d %s", x.List, x.Count, x.Why))
	}
	return strings.Join(all, "; ")
}

func TestWhoUnknownWords(t *testing.T) {
	_, _, problems := dispatcher.Who(abc(), update(1, 0), []string{"internal", "custommer", "fax"})
	if len(problems) != 2 {
		t.Fatalf("problems %v, want two", problems)
	}
	want := `"custommer" (--only) is no audience, and no list or channel of abc. ` +
		"Write one of: internal, customer, public, war-room, executives, contacts, chat, mail, page."
	if got := problems[0].String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The details of a recipient are those of the list it is served as, and only what
// that one leaves open comes from another.
func TestWhoMergesDetails(t *testing.T) {
	berlin := time.FixedZone("Europe/Berlin", 3600)
	p := incident.Party{ID: "abc", Lists: []incident.List{
		{ID: "in", Audience: incident.Internal, To: []incident.Recipient{{Channel: "mail", Address: "a@x", Name: "Inside", Locale: "de", Zone: berlin}}},
		{ID: "out", Audience: incident.Customer, To: []incident.Recipient{{Channel: "mail", Address: "A@x", Name: "Outside"}}},
	}}
	told, _, _ := dispatcher.Who(p, update(1, 0), nil)
	if len(told) != 1 {
		t.Fatalf("told %+v, want one", told)
	}
	got := told[0]
	if got.Audience != incident.Customer || got.To.Name != "Outside" || got.To.Locale != "de" || got.To.Zone != berlin {
		t.Errorf("got %+v", got)
	}
}

// However the lists are arranged, a recipient is served as the least of them.
func TestWhoLeastPrivilegedWins(t *testing.T) {
	orders := [][]incident.Audience{
		{incident.Internal, incident.Customer, incident.Public},
		{incident.Public, incident.Internal, incident.Customer},
		{incident.Customer, incident.Public, incident.Internal},
	}
	for _, order := range orders {
		for n := 1; n <= len(order); n++ {
			p := incident.Party{ID: "abc"}
			least := incident.Internal
			for i, a := range order[:n] {
				p.Lists = append(p.Lists, incident.List{ID: fmt.Sprint(i), Audience: a, To: recipients("mail", "a@x")})
				least = least.Least(a)
			}
			told, _, _ := dispatcher.Who(p, update(1, 0), nil)
			if len(told) != 1 || told[0].Audience != least || len(told[0].Reach) != n {
				t.Errorf("%v: told %+v, want one %s by %d lists", order[:n], told, least, n)
			}
			if !slices.ContainsFunc(p.Lists, func(l incident.List) bool {
				return l.ID == told[0].Reach[0].List && l.Audience == least
			}) {
				t.Errorf("%v: served as %+v", order[:n], told[0].Reach[0])
			}
		}
	}
}
