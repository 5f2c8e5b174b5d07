package acceptance_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// greylist is a policy server for Postfix (SMTPD_POLICY_README): it puts every
// recipient whose address begins with "slow" off the first time, and ends the session
// the first time one comes that begins with "busy".
type greylist struct {
	port string
	mu   sync.Mutex
	seen map[string]int
}

func newGreylist(t *testing.T) *greylist {
	t.Helper()
	g := &greylist{seen: map[string]int{}}
	g.port = answering(t, g.serve)
	return g
}

// serve answers requests: lines of name=value, ended by an empty one.
func (g *greylist) serve(conn net.Conn) {
	defer conn.Close()
	recipient := ""
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		if name == "recipient" {
			recipient = value
		}
		if lines.Text() != "" {
			continue
		}
		if _, err := fmt.Fprintf(conn, "action=%s\n\n", g.decide(recipient)); err != nil {
			return // Postfix has hung up
		}
	}
}

func (g *greylist) decide(recipient string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen[recipient]++
	switch {
	case g.seen[recipient] > 1:
		return "DUNNO"
	case strings.HasPrefix(recipient, "slow"):
		return "451 4.7.1 Greylisted, please try again in 2 seconds"
	case strings.HasPrefix(recipient, "busy"):
		return "421 4.3.2 Service shutting down"
	}
	return "DUNNO"
}

// asked is how often Postfix was asked to take mail for a recipient.
func (g *greylist) asked(recipient string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen[recipient]
}
