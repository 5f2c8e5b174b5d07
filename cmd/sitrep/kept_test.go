package main

import (
	"strings"
	"testing"
	"time"

	"sitrep/dispatcher"
)

func TestKeptWords(t *testing.T) {
	at := func(h int) time.Time { return time.Date(2026, 11, 22, h, 0, 0, 0, time.UTC) }
	p := promises{
		{Incident: "INC-1", Customer: "abc", Seq: 1, Due: at(8), Next: at(8), Sent: at(8), Outcome: dispatcher.PromiseKept},
		{Incident: "INC-1", Customer: "abc", Seq: 2, Due: at(9), Next: at(10), Sent: at(10), Outcome: dispatcher.PromiseBroken},
		{Incident: "INC-1", Customer: "abc", Seq: 3, Due: at(11), Outcome: dispatcher.PromiseBroken},
		{Incident: "INC-2", Customer: "globex\x1b[2J", Seq: 1, Due: at(20), Outcome: dispatcher.PromiseOpen},
	}
	var b strings.Builder
	p.print(&b, style{})
	want := `
Next updates that came when they were promised:
  abc              1 of 3 (33 %)
  globex�[2J       none was due yet, 1 still open
`
	if b.String() != want {
		t.Errorf("got %q\nwant %q", b.String(), want)
	}
	b.Reset()
	p[:3].printEach(&b, style{})
	want = `
Next updates that came when they were promised: 1 of 3 (33 %)
  update 1 promised the next one for 2026-11-22 08:00 UTC: kept, it was sent at 2026-11-22 08:00 UTC
  update 2 promised the next one for 2026-11-22 09:00 UTC: broken, it was sent at 2026-11-22 10:00 UTC
  update 3 promised the next one for 2026-11-22 11:00 UTC: overdue
`
	if b.String() != want {
		t.Errorf("got %s\nwant %s", b.String(), want)
	}
	if one, two, none := p.ofIncident("INC-1"), p.ofIncident("INC-2"), p.view("INC-3"); one != ", 1 of 3 promises kept" || two != "" || none != nil {
		t.Errorf("%q %q %v", one, two, none)
	}
	b.Reset()
	promises(nil).print(&b, style{})
	promises(nil).printEach(&b, style{})
	if b.Len() > 0 {
		t.Errorf("of nothing: %s", b.String())
	}
}
