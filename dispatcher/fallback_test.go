package dispatcher_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/renderers"
)

// troubles counts what went wrong outside any delivery.
type troubles map[string]int

func (t troubles) Attempt(string, string, channels.Fault, time.Duration)         {}
func (t troubles) Settled(string, string, string, string, string, time.Duration) {}
func (t troubles) Up(string, bool)                                               {}

func (t troubles) Trouble(part, channel string)    { t[part+" "+channel]++ }
func (t troubles) Untold(customer, channel string) { t["required "+customer+" "+channel]++ }

// A template that fails only when an update is sent does not hold it back: the
// built-in one is used, and that is counted and shown.
func TestFallbackIsCountedAndShown(t *testing.T) {
	r, _ := newIntake(t)
	const fails = `{{define "foot"}}{{if eq .Incident "INC-77"}}{{index .Sections 99}}{{end}}{{end}}`
	set, err := renderers.Load(fstest.MapFS{"channel=mail/text.text.tmpl": {Data: []byte(fails)}})
	if err != nil {
		t.Fatal(err)
	}
	seen := troubles{}
	r.open(func(o *dispatcher.Options) { o.Renderers, o.Record = set, seen })
	s := dispatcher.Submission{Source: []byte(text), Incident: "INC-77"}
	p := r.prepare(s)
	if all := p.Warnings.Error(); !strings.Contains(all, "mail") || !strings.Contains(all, "built-in") {
		t.Errorf("the fallback is not shown: %s", all)
	}
	if len(seen) != 0 {
		t.Errorf("counted before anything was sent: %v", seen)
	}
	r.publish(s)
	if seen["template mail"] == 0 || seen["template chat"] != 0 {
		t.Errorf("counted %v, want the channel mail", seen)
	}
}
