package email

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
)

var first = time.Date(2020, 5, 18, 12, 54, 2, 0, time.UTC)

func indexOf(t thread) string { return string(t.appendIndex(nil)) }

// The header block is as [MS-OXOMSG] section 2.2.1.3 describes it, and the same in every
// update of one incident, in no other.
func TestThreadIndex(t *testing.T) {
	one := parseThread("", "<a@example.com>", first)
	block, err := base64.StdEncoding.DecodeString(indexOf(one))
	if err != nil || len(block) != 22 || block[0] != 0x01 {
		t.Fatalf("% x (%v), want 22 bytes that begin with 01", block, err)
	}
	ticks := binary.BigEndian.Uint64(append(block[1:6:6], 0, 0, 0)) // of 100 ns since 1601
	if at := time.Unix(int64(ticks/10_000_000)-11_644_473_600, 0); first.Sub(at) < 0 || first.Sub(at) > 2*time.Second {
		t.Errorf("the time in it is %v, want %v within the 1.7 s that 40 bits tell", at.UTC(), first)
	}
	two := parseThread(one.with("<a@example.com>"), "<b@example.com>", first.Add(time.Hour))
	three := parseThread(two.with("<b@example.com>"), "<c@example.com>", first.Add(2*time.Hour))
	if got := indexOf(three); got != indexOf(one) || got != indexOf(two) {
		t.Errorf("the third update has %s, the first %s", got, indexOf(one))
	}
	if again := parseThread(one.with("<a@example.com>"), "<a@example.com>", first); indexOf(again) != indexOf(one) {
		t.Error("the first update, sent again, is of another conversation")
	}
	if late := parseThread(three.with("<c@example.com>"), "<a@example.com>", first); indexOf(late) != indexOf(one) || len(late.ids) != 2 {
		t.Errorf("the first update, sent again after the third, is of another conversation: %+v", late)
	}
	if other := parseThread("", "<z@example.com>", first); indexOf(other)[10:] == indexOf(one)[10:] {
		t.Error("another incident is the same conversation")
	}
}

// A thread that an earlier version left, or that somebody has damaged, still is one.
func TestThreadWithoutBeginning(t *testing.T) {
	for _, left := range []channels.Thread{
		"<a@example.com>", "began= <a@example.com>", "began=-1 <a@example.com>", "began=99999999999999999999 <a@example.com>", "began=1e9 <a@example.com>",
	} {
		two := parseThread(left, "<b@example.com>", first)
		three := parseThread(two.with("<b@example.com>"), "<c@example.com>", first.Add(time.Hour))
		if len(two.ids) != 1 || two.began != first.Unix() || indexOf(three) != indexOf(two) {
			t.Errorf("%q: %+v, then %+v", left, two, three)
		}
	}
}

func TestTopic(t *testing.T) {
	for subject, want := range map[string]string{
		"[Identified SEV1] Enterprise ABC outage (abc-1)": "Enterprise ABC outage (abc-1)",
		"[Resolved]Enterprise ABC outage":                 "Enterprise ABC outage",
		"[a] [b] \tc":                                     "c",
		"[a] [b]":                                         "[b]",
		"[a]":                                             "[a]",
		"[a [b] c":                                        "[a [b] c",
		"[":                                               "[",
		"] x":                                             "] x",
		"[] x":                                            "x",
		"Outage [id]":                                     "Outage [id]",
		"":                                                "",
	} {
		if got := topicOf(subject); got != want {
			t.Errorf("%q: %q, want %q", subject, got, want)
		}
	}
}

// Whatever a subject is, its topic is its end, and what is taken off is in brackets.
func FuzzTopic(f *testing.F) {
	for _, s := range []string{"[a] b", "[a][b][c] d", "[[a]] b", "[", "]", "[] ", "[ü] é", "[a]\t[b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		topic := topicOf(subject)
		off, ok := strings.CutSuffix(subject, topic)
		if !ok || topic == "" && subject != "" || topicOf(topic) != topic {
			t.Fatalf("%q: %q", subject, topic)
		}
		if off != "" && (off[0] != '[' || strings.Count(off, "[") != strings.Count(off, "]")) {
			t.Errorf("%q: %q was taken off", subject, off)
		}
	})
}
