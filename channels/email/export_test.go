package email

import (
	"bufio"
	"net/textproto"
	"strings"

	"sitrep/channels"
)

// Compose is the message that Send would send, without a relay: for fuzzing.
func Compose(c *Channel, e channels.Envelope) (string, error) {
	m, err := c.compose(e)
	if err != nil {
		return "", err
	}
	return string(append(m.head.append(nil), m.tail...)), nil
}

// Explain is the error for what a relay said at one of the Stages, nil for a yes.
func Explain(c *Channel, where int, said string) error {
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(said + "\r\n")))
	if _, _, err := r.ReadResponse(250); err != nil {
		return c.explain(at(stage(where), err), letter{from: "status@example.com", to: "alice@abc.example"})
	}
	return nil
}

// Stages is how many stages there are.
const Stages = int(answering) + 1
