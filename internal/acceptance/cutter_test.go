package acceptance_test

import (
	"bytes"
	"net"
	"path/filepath"
	"sync"
	"testing"
)

// cutter is a connection to a relay that breaks once, at the worst moment: the relay
// has taken a message, and its answer is lost with the connection.
type cutter struct {
	port, to string

	mu  sync.Mutex
	cut int
}

// startCutter starts one in front of the relay at a port of 127.0.0.1.
func startCutter(t *testing.T, relay string) *cutter {
	t.Helper()
	c := &cutter{to: "127.0.0.1:" + relay}
	c.port = answering(t, c.serve)
	return c
}

// serve passes on what either side says.
func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	relay, err := net.Dial("tcp", c.to) //nolint:noctx // it lives as long as the connection
	if err != nil {
		return // and the client is told by the end of its connection
	}
	defer relay.Close()
	go func() {
		defer relay.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := client.Read(buf)
			if n > 0 {
				if _, werr := relay.Write(buf[:n]); werr != nil {
					return // the relay has hung up, which the client hears
				}
			}
			if err != nil {
				return // the client has
			}
		}
	}()
	c.answer(client, relay)
}

// answer passes on the relay's answers up to the first "queued as".
func (c *cutter) answer(client, relay net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := relay.Read(buf)
		if took := bytes.Index(buf[:n], []byte("queued as")); took >= 0 && c.first() {
			line := bytes.LastIndexByte(buf[:took], '\n') + 1
			_, _ = client.Write(buf[:line]) // the cut comes next
			return
		}
		if n > 0 {
			if _, werr := client.Write(buf[:n]); werr != nil {
				return // the client has hung up
			}
		}
		if err != nil {
			return // the relay has
		}
	}
}

func (c *cutter) first() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut > 0 {
		return false
	}
	c.cut++
	return true
}

// count is how many connections were cut.
func (c *cutter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

// arrived is how many messages a mailbox holds once Postfix has nothing left to do for
// it.
func (p *postfix) arrived(t *testing.T, box string) int {
	t.Helper()
	eventually(t, "Postfix's queue being empty", func() bool {
		for _, queue := range []string{"incoming", "active", "deferred", "maildrop"} {
			files, err := filepath.Glob(filepath.Join(p.dir, "queue", queue, "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if deep, _ := filepath.Glob(filepath.Join(f, "*")); len(filepath.Base(f)) > 1 || len(deep) > 0 {
					return false
				}
			}
		}
		return true
	})
	files, err := filepath.Glob(filepath.Join(p.dir, "mail", "abc.example", box, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
