package client_test

import (
	"strings"
	"testing"

	"sitrep/server/client"
)

// Whatever comes, it is read to its end, and no event is more than one thing.
func FuzzEvents(f *testing.F) {
	f.Add("id: 6\nevent: delivery\ndata: {\"delivery\":\"d1\"}\n\n")
	f.Add(": beat\n\nevent: reset\ndata: {}\n\nevent: channel\ndata: 7\n\n")
	f.Add("event:update\r\ndata:{}\r\n\r\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		err := client.ReadEvents(strings.NewReader(text), func(e client.Event, err error) bool {
			n := 0
			for _, set := range []bool{e.Update != nil, e.Delivery != nil, e.Channel != nil, e.Reset} {
				if set {
					n++
				}
			}
			if n > 1 || err != nil {
				t.Errorf("%+v %v", e, err)
			}
			return true
		})
		if err == nil {
			t.Error("the end of a stream is no error")
		}
	})
}
