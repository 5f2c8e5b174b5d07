package email

import (
	"errors"
	"fmt"

	"github.com/xdg-go/scram"
)

// scramClient is AUTH SCRAM-SHA-256 (RFC 5802, RFC 7677): the password does not cross
// the wire, and the relay proves that it knows it too.
type scramClient struct{ talk *scram.ClientConversation }

func newSCRAM(username, password string) (*scramClient, error) {
	c, err := scram.SHA256.NewClient(username, password, "")
	if err != nil {
		return nil, fmt.Errorf("username or password cannot be used with scram-sha-256: %w", err)
	}
	return &scramClient{talk: c.NewConversation()}, nil
}

// Start implements sasl.Client.
func (c *scramClient) Start() (string, []byte, error) {
	first, err := c.talk.Step("")
	return "SCRAM-SHA-256", []byte(first), err
}

// Next implements sasl.Client. The relay's last challenge is its own proof, to which
// there is nothing to say. What is wrong with a challenge is not repeated.
func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	answer, err := c.talk.Step(string(challenge))
	if err != nil {
		return nil, errSCRAM
	}
	return []byte(answer), nil
}

var errSCRAM = errors.New("the relay did not prove that it knows the password (scram-sha-256)")
