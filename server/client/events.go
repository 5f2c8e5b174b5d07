package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"strings"
	"time"

	"sitrep/server"
)

// Event is one thing that happened. At most one of its fields is set; none of them
// says that the stream has begun (or begun again).
type Event struct {
	Update   *server.UpdateEvent
	Delivery *server.DeliveryEvent
	Channel  *server.ChannelEvent
	Reset    bool // some events may be missing: read the deliveries anew
}

// Cut is what Events yields when the connection was cut; it goes on by itself.
type Cut struct{ Err error }

func (c *Cut) Error() string { return "the stream of events was cut: " + c.Err.Error() }

// Unwrap returns why.
func (c *Cut) Unwrap() error { return c.Err }

// A stream that is silent for this long is dead: the server sends something every
// fifteen seconds.
const silence = 45 * time.Second

// Events streams what happens after an event (empty: from now on), of one update if it
// is named, until ctx is done. It resumes by itself after an interruption, which it
// yields as a [*Cut]; any other error is its last.
func (c *Client) Events(ctx context.Context, after, update string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := &stream{c: c, last: after, update: update, yield: yield}
		pause := 250 * time.Millisecond
		for ctx.Err() == nil {
			before := s.last
			err := s.read(ctx)
			if s.stopped || ctx.Err() != nil {
				return
			}
			if r, ok := errors.AsType[*Refused](err); ok && r.Status < 500 && r.Status != http.StatusTooManyRequests {
				yield(Event{}, err)
				return
			}
			if !yield(Event{}, &Cut{err}) {
				return
			}
			if pause = min(2*pause, 5*time.Second); s.last != before {
				pause = 250 * time.Millisecond
			}
			t := time.NewTimer(pause)
			select {
			case <-ctx.Done():
				t.Stop()
			case <-t.C:
			}
		}
	}
}

// stream is a reader of events.
type stream struct {
	c            *Client
	last, update string
	yield        func(Event, error) bool
	stopped      bool
}

// read reads until the connection ends, and returns why.
func (s *stream) read(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := call{method: http.MethodGet, path: "/events", query: values("update", s.update), header: http.Header{"Accept": {"text/event-stream"}}}
	if s.last != "" {
		q.header.Set("Last-Event-Id", s.last)
	}
	resp, err := s.c.send(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode != http.StatusOK || kind != "text/event-stream" { // as in refused
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return errors.Join(refused(resp, body), err)
	}
	alive := time.AfterFunc(silence, cancel)
	defer alive.Stop()
	return s.lines(resp.Body, alive)
}

// lines reads the format of the HTML standard, 9.2.6, as far as our server uses it.
func (s *stream) lines(body io.Reader, alive *time.Timer) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	var id, name, data string
	for lines.Scan() {
		alive.Reset(silence)
		key, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if err := s.tell(id, name, data); err != nil || s.stopped {
				return err
			}
			id, name, data = "", "", ""
		case key == "id":
			id = value
		case key == "event":
			name = value
		case key == "data":
			data += value
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

func (s *stream) tell(id, name, data string) error {
	var e Event
	var into any
	switch name {
	case "update":
		e.Update = &server.UpdateEvent{}
		into = e.Update
	case "delivery":
		e.Delivery = &server.DeliveryEvent{}
		into = e.Delivery
	case "channel":
		e.Channel = &server.ChannelEvent{}
		into = e.Channel
	case "reset":
		e.Reset = true
	case "hello":
	default:
		return nil // a newer server's
	}
	if into != nil {
		if err := json.Unmarshal([]byte(data), into); err != nil {
			return fmt.Errorf("an event cannot be read: %w", err)
		}
	}
	if !s.yield(e, nil) {
		s.stopped = true
	} else if id != "" {
		s.last = id
	}
	return nil
}
