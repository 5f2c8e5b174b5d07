package email

import (
	"bufio"
	"net/textproto"
	"strings"
	"time"

	"sitrep/channels"
)

// Compose is the message that Send would send, without a relay: for fuzzing.
func Compose(c *Channel, e channels.Envelope) (string, error) {
	m, err := c.compose(e)
	if err != nil {
		return "", err
	}
	return string(m.head) + string(m.tail.plain), nil
}

// Explain is the error for what a relay said at one of the Stages, nil for a yes.
func Explain(c *Channel, where int, said string) error {
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(said + "\r\n")))
	if _, _, err := r.ReadResponse(250); err != nil {
		return c.pool.relays[0].explain(at(stage(where), err), letter{from: "status@example.com", to: "alice@abc.example"})
	}
	return nil
}

// Stages is how many stages there are.
const Stages = int(answering) + 1

// Queued is how many messages wait for a session.
func Queued(c *Channel) int {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return len(c.pool.queue)
}

// Doubt sets how long an unused session is believed to be alive.
func Doubt(c *Channel, d time.Duration) { c.pool.doubt = d }

// ReadReplies reads answers from s until there are no more, and returns their codes and
// words.
func ReadReplies(s string) (codes []int, texts []string) {
	for r := newReplies(strings.NewReader(s)); ; {
		got, err := r.read(true)
		if err != nil {
			return codes, texts
		}
		codes, texts = append(codes, got.code), append(texts, got.text)
	}
}

// Sessions is how many sessions are open.
func Sessions(c *Channel) int {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return c.pool.inUse()
}
