package email_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
)

// TestLyingRelay: a relay that says too much, too little or the wrong thing on its first
// connection. The first message has the fault that is said here; whatever happens to it,
// of those after it each is delivered once, and the one that the relay refuses is the one
// that is called refused: no answer is taken for another's.
//
// Where commands are sent without waiting for answers an answer too many cannot be told
// from the next one; where messages are (CHUNKING) the one after a refusal
// may be in doubt, and one that is in doubt twice there. What the library reads too much
// of we do not see, so it is told lies about RSET only.
func TestLyingRelay(t *testing.T) {
	lie := func(verb, reply string) func(call) string {
		return func(c call) string {
			if c.conn == 1 && c.verb == verb && c.nth == 1 {
				return reply
			}
			return ""
		}
	}
	tests := []struct {
		name  string
		lie   func(call) string
		ghost int            // which message the relay refuses, truly
		want  channels.Fault // of the first; empty: delivered
	}{
		{"no such command as RSET", lie("RSET", "500 5.5.1 unknown command"), 0, channels.NoRecipient},
		{"RSET is not answered", lie("RSET", hangUp), 0, channels.NoRecipient},
		{"says goodbye to RSET", lie("RSET", "421 4.3.2 bye"), 0, channels.NoRecipient},
		{"RSET is answered twice", lie("RSET", "250 ok\r\n250 ok"), 0, channels.NoRecipient},
		{"yes to the message, twice", lie(".", "250 ok\r\n250 ok"), 2, ""},
		{"yes and no to the message", lie(".", "250 ok\r\n550 5.1.1 no such user"), 2, ""},
		{"yes to the message and goodbye", lie(".", "250 ok\r\n421 4.4.2 bye"), 2, ""},
		{"yes to MAIL, twice", lie("MAIL", "250 ok\r\n250 ok"), 2, channels.Unavailable},
		{"yes to everything, the beginning of the message too", lie("DATA", "250 ok"), 2, channels.Unavailable},
		{"greets twice", lie("GREETING", "220 hello\r\n220 hello"), 2, channels.Unavailable},
	}
	for _, tc := range tests {
		for mode, ext := range modes {
			rset := strings.Contains(tc.name, "RSET")
			if mode != "one by one" && rset && strings.Contains(tc.name, "twice") || !rset && mode != "one by one" && mode != "pipelining" {
				continue
			}
			t.Run(mode+"/"+tc.name, func(t *testing.T) {
				r := (&relay{ext: ext, answer: func(c call) string {
					if strings.Contains(c.line, "ghost@") {
						return "550 5.1.1 no such user"
					}
					return tc.lie(c)
				}}).start(t)
				c := open(t, r, email.Config{MaxSessions: 1, Window: windowIn(mode), CommandTimeout: 300 * time.Millisecond, SubmissionTimeout: 300 * time.Millisecond})
				for n := range 6 {
					e := envelope(fmt.Sprintf("key%d", n))
					if n == tc.ghost {
						e.To.Address = "ghost@abc.example"
					}
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					_, err := c.Send(ctx, e)
					cancel()
					got, _ := channels.FaultOf(err)
					want := map[bool]channels.Fault{true: channels.NoRecipient}[n == tc.ghost]
					if n == 0 {
						want = tc.want
					}
					if mode == "chunking" && n == 1 {
						if has := count(r, e.Key); got != want && got != channels.Ambiguous || got == "" && has == 0 {
							t.Errorf("the message in flight: %q, there %d times", got, has)
						}
						continue
					}
					if got != want {
						t.Errorf("message %d: %q, want %q: %v", n, got, want, err)
					}
					if has := count(r, e.Key); n > 0 && (has == 1) != (want == "") {
						t.Errorf("message %d is there %d times", n, has)
					}
				}
			})
		}
	}
}

func count(r *relay, key string) (n int) {
	for _, m := range r.messages() {
		if strings.Contains(m, key) {
			n++
		}
	}
	return n
}
