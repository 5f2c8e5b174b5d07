package ledger_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sitrep/channels"
	"sitrep/ledger"
)

func FuzzCleanText(f *testing.F) {
	for _, s := range []string{
		"", "connection refused", "a\x00b", "\xff\xfe", strings.Repeat("x", ledger.MaxDetail), strings.Repeat("x", ledger.MaxDetail+1),
		strings.Repeat("日", ledger.MaxDetail), strings.Repeat("😀", 700), strings.Repeat("\xff", 3000), "\u2028\u202e",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := ledger.CleanText(s)
		if !utf8.ValidString(got) || strings.ContainsRune(got, 0) || len(got) > ledger.MaxDetail {
			t.Errorf("%q became %q (%d bytes)", s, got, len(got))
		}
		if ledger.CleanText(got) != got {
			t.Errorf("%q is not clean", got)
		}
		if utf8.ValidString(s) && !strings.ContainsRune(s, 0) && len(s) <= ledger.MaxDetail && got != s {
			t.Errorf("%q was fit to keep and became %q", s, got)
		}
	})
}

func TestCheckNamesEverything(t *testing.T) {
	a := ledger.Acceptance{
		Incident:   ledger.Incident{ID: "INC-1"},
		Update:     ledger.Update{Key: "k", Incident: "INC-2", Seq: 0, Title: "\xff"},
		Renderings: []channels.Message{{Text: "\x00"}},
		Deliveries: []ledger.Planned{{Key: "d", Channel: "mail", Rendering: 1}, {}, {Key: "e", Channel: "c\x00"}},
	}
	err := a.Check()
	if err == nil {
		t.Fatal("nothing was found")
	}
	for _, want := range []string{`"k"`, `"INC-2", not "INC-1"`, "number is 0", "no time of acceptance", "rendering 0", "delivery 0", "delivery 1", "delivery 2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	good := ledger.Acceptance{
		Incident: ledger.Incident{ID: "INC-1"}, Update: ledger.Update{Key: "k", Incident: "INC-1", Seq: 1, Accepted: time.Unix(1, 0)},
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

func TestCheckOfARest(t *testing.T) {
	good := ledger.Rest{Roster: "r", Chunk: 1, Chunks: 2, Count: 1}
	for name, spoil := range map[string]func(r *ledger.Rest){
		"":                 func(*ledger.Rest) {},
		"cannot be called": func(r *ledger.Rest) { r.Roster = "\xff" },
		`called ""`:        func(r *ledger.Rest) { r.Roster = "" },
		"chunk 2 of 2":     func(r *ledger.Rest) { r.Chunk = 2 },
		"chunk -1 of 2":    func(r *ledger.Rest) { r.Chunk = -1 },
		"0 recipients":     func(r *ledger.Rest) { r.Count = 0 },
	} {
		r := good
		spoil(&r)
		err := ledger.Acceptance{
			Incident: ledger.Incident{ID: "INC-1"}, Update: ledger.Update{Key: "k", Incident: "INC-1", Seq: 1, Accepted: time.Unix(1, 0)}, Rest: &r,
		}.Check()
		if (err == nil) != (name == "") || err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: %v, want %q", r, err, name)
		}
	}
}

func TestCheckOfAChunk(t *testing.T) {
	p := ledger.Planned{Key: "d", Channel: "mail", Rendering: 1}
	good := ledger.Expanded{Update: "u", Deliveries: []ledger.Planned{p}, Count: 1, Now: time.Unix(1, 0)}
	if err := good.Check(2); err != nil {
		t.Error(err)
	}
	if err := good.Check(1); err == nil || !strings.Contains(err.Error(), `chunk 0 of update "u"`) || !strings.Contains(err.Error(), "delivery 0: there is no rendering 1") {
		t.Errorf("with too few renderings: %v", err)
	}
	for _, bad := range []ledger.Expanded{{Count: 1}, {Now: good.Now, Chunk: -1}, {Now: good.Now, Count: -1}} {
		if bad.Check(2) == nil {
			t.Errorf("%+v is as it should be", bad)
		}
	}
}

func TestCheckOfABounce(t *testing.T) {
	at := time.Unix(1, 0)
	for b, good := range map[ledger.Bounce]bool{
		{At: at, Fault: channels.NoRecipient}:  true,
		{At: at, Fault: channels.Rejected}:     true,
		{At: at, Fault: channels.Unavailable}:  true,
		{At: at, Delayed: true}:                true,
		{At: at}:                               false,
		{At: at, Fault: channels.Unauthorized}: false,
		{Fault: channels.NoRecipient}:          false,
		{Delayed: true}:                        false,
	} {
		if err := b.Check(); (err == nil) != good {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

func TestOutcomesAreClosed(t *testing.T) {
	for _, o := range ledger.Outcomes() {
		if !o.Valid() {
			t.Errorf("%q is not valid", o)
		}
	}
	for _, o := range []ledger.Outcome{ledger.Pending, "gone"} {
		if o.Valid() {
			t.Errorf("%q is valid", o)
		}
	}
}
