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
