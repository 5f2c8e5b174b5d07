package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sitrep/dispatcher"
	"sitrep/ledger"
)

// EventsInput says where to begin and what to hear of.
type EventsInput struct {
	Last     string `header:"Last-Event-ID" doc:"Resume after this event." maxLength:"64"`
	After    string `query:"after" doc:"The same, for clients that cannot set the header; the header wins. Neither: from now on." maxLength:"64"`
	Customer string `query:"customer" doc:"Only this customer's: their id." maxLength:"100"`
	Incident string `query:"incident" doc:"Only this incident's." maxLength:"64"`
	Update   string `query:"update" doc:"Only this update's: the whole key." maxLength:"128"`
}

// EventsOutput writes server-sent events.
type EventsOutput struct{ Body func(huma.Context) }

// UpdateEvent is the data of an event called update: one was accepted.
type UpdateEvent struct {
	Update   string    `json:"update"`
	Incident string    `json:"incident"`
	Customer string    `json:"customer"`
	Seq      int       `json:"seq"`
	At       time.Time `json:"at"`
}

// DeliveryEvent is the data of an event called delivery: one has changed. Pending with
// attempts is a failed attempt that will be repeated.
type DeliveryEvent struct {
	Delivery string    `json:"delivery"`
	Update   string    `json:"update"`
	Incident string    `json:"incident"`
	Customer string    `json:"customer"`
	Seq      int       `json:"seq"`
	List     string    `json:"list"`
	Audience string    `json:"audience"`
	Channel  string    `json:"channel"`
	Address  string    `json:"address"`
	Name     string    `json:"name,omitempty"`
	Outcome  string    `json:"outcome"`
	Attempts int       `json:"attempts"`
	Fault    string    `json:"fault,omitempty"`
	At       time.Time `json:"at"`
}

// ChannelEvent is the data of an event called channel: it rests, or works again. It
// is told as it happens by this process, and not told again to who resumes.
type ChannelEvent struct {
	Channel string    `json:"channel"`
	Up      bool      `json:"up"`
	Until   time.Time `json:"until,omitzero"`
	Fault   string    `json:"fault,omitempty"`
}

// The rhythm of a stream of events.
const (
	heartbeat  = 15 * time.Second
	eventBatch = 500
	slowReader = 10 * time.Second // a reader that does not take what is written is let go
	askAgain   = time.Second      // how long a token that was in force counts as such
)

func (s *Server) eventRoutes(api huma.API) {
	kinds := []string{}
	for _, name := range []string{"UpdateEvent", "DeliveryEvent", "ChannelEvent"} {
		kinds = append(kinds, "#/components/schemas/"+name)
	}
	schemaOf[UpdateEvent](api, "UpdateEvent")
	schemaOf[DeliveryEvent](api, "DeliveryEvent")
	schemaOf[ChannelEvent](api, "ChannelEvent")
	text := "Server-sent events, whose data is JSON: update (" + kinds[0] + "), delivery (" + kinds[1] + "), channel (" + kinds[2] + "), " +
		"hello at the beginning, and reset if the place to resume from is not known any more: then read the deliveries anew. " +
		"Every update and delivery event has an id to resume after; none of them is left out, whichever process made it happen."
	register(s, api, huma.Operation{
		OperationID: "events", Method: http.MethodGet, Path: "/events", Tags: []string{"events"},
		Summary: "Every change of every delivery this token may see", Description: text,
		Responses: map[string]*huma.Response{"200": {
			Description: "A stream that goes on until either side ends it.",
			Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
		}},
	}, Viewer, s.events)
}

// events begins a stream.
func (s *Server) events(ctx context.Context, who principal, in *EventsInput) (*EventsOutput, error) {
	if s.draining() {
		return nil, shuttingDown()
	}
	at := first(in.Last, in.After)
	if at != "" && !cursorForm.MatchString(at) {
		return nil, badRequest("header.Last-Event-ID", "This is not the id of an event.", "Send the id of the last event you have, or none.")
	}
	if at == "" {
		var err error
		if at, err = s.o.Ledger.Latest(ctx); err != nil {
			return nil, err
		}
	}
	if s.streams.Add(1) > int64(s.o.Streams) {
		s.streams.Add(-1)
		p := problem(http.StatusServiceUnavailable, "There are too many readers of events. Try again later.")
		p.retry = heartbeat
		return nil, p
	}
	return &EventsOutput{Body: func(c huma.Context) {
		defer s.streams.Add(-1)
		c.SetHeader("Content-Type", "text/event-stream")
		c.SetHeader("Cache-Control", "no-store")
		c.SetHeader("X-Accel-Buffering", "no") // nginx would hold events back
		c.SetStatus(http.StatusOK)
		st := &stream{s: s, who: who, in: in, at: at, w: c.BodyWriter(), control: traceOf(ctx).control}
		st.run(ctx)
	}}, nil
}

var cursorForm = regexp.MustCompile(`^[0-9A-Za-z.-]{1,64}$`)

// stream is one reader of events.
type stream struct {
	s       *Server
	who     principal
	in      *EventsInput
	at      string    // cursor
	seen    uint64    // of the live events
	let     time.Time // when we last knew that the reader is let in
	w       io.Writer
	control *http.ResponseController
}

// run tells everything until the reader has gone, is no longer let in, or the server
// is drained. Every reader keeps its own place, so a slow one costs nobody memory.
func (t *stream) run(ctx context.Context) {
	t.seen = t.s.live.latest()
	if t.send("retry: 2000\nid: "+t.at+"\nevent: hello\ndata: {}\n\n") != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		rung := t.s.bell.wait() // before reading, so that nothing falls in between
		if !t.catchUp(ctx) {
			return
		}
		select {
		case <-rung:
			if !pause(ctx, calm) {
				return
			}
		case <-look.C:
		case <-beat.C:
			if !t.letIn(ctx) || t.send(": still here\n\n") != nil {
				return
			}
		case <-t.s.drained:
			return
		case <-ctx.Done():
			return
		}
	}
}

// letIn reports whether the reader may still hear what there is to tell. A token that
// is revoked hears nothing more askAgain later.
func (t *stream) letIn(ctx context.Context) bool {
	now := time.Now()
	if now.Sub(t.let) < askAgain {
		return true
	}
	t.let = now
	return t.s.stillMay(ctx, t.who)
}

// catchUp tells what is new, and reports whether to go on.
func (t *stream) catchUp(ctx context.Context) bool {
	for {
		changes, err := t.s.changes(ctx, t.at)
		if errors.Is(err, ledger.ErrForgotten) {
			if t.reset(ctx) != nil {
				return false
			}
			continue
		}
		if err != nil {
			return ctx.Err() == nil // the ledger is asked again
		}
		if len(changes) > 0 && !t.letIn(ctx) || t.tell(changes) != nil {
			return false
		}
		if len(changes) < eventBatch {
			return t.tellLive() == nil
		}
	}
}

// changes reads the feed. Readers at the same place share one reading.
func (s *Server) changes(ctx context.Context, at string) ([]ledger.Change, error) {
	done := s.flight.DoChan(at, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), slowReader)
		defer cancel()
		return s.o.Ledger.Changes(ctx, at, eventBatch)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.Err != nil {
			if !errors.Is(r.Err, ledger.ErrForgotten) {
				s.o.Log.Warn("the change feed cannot be read", "error", r.Err)
			}
			return nil, r.Err
		}
		all, _ := r.Val.([]ledger.Change)
		return all, nil
	}
}

// reset goes on from now, and says so.
func (t *stream) reset(ctx context.Context) error {
	at, err := t.s.o.Ledger.Latest(ctx)
	if err != nil {
		return err
	}
	t.at = at
	return t.send("id: " + at + "\nevent: reset\ndata: {\"why\":\"the place to resume from is not known any more: read the deliveries anew\"}\n\n")
}

// tell writes the changes that this reader may see and asked for.
func (t *stream) tell(changes []ledger.Change) error {
	var b strings.Builder
	for _, c := range changes {
		t.at = c.Cursor
		if !t.who.may(c.Customer) || !t.wants(c.Customer, c.Incident, c.Update) {
			continue
		}
		name, data := eventOf(c)
		js, err := json.Marshal(data)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "id: %s\nevent: %s\ndata: %s\n\n", c.Cursor, name, js)
	}
	return t.send(b.String())
}

func (t *stream) wants(customer, inc, update string) bool {
	return (t.in.Customer == "" || t.in.Customer == customer) && (t.in.Incident == "" || t.in.Incident == inc) &&
		(t.in.Update == "" || t.in.Update == update)
}

func eventOf(c ledger.Change) (string, any) {
	if c.Delivery == "" {
		return "update", UpdateEvent{Update: c.Update, Incident: c.Incident, Customer: c.Customer, Seq: c.Seq, At: c.At}
	}
	return "delivery", DeliveryEvent{
		Delivery: c.Delivery, Update: c.Update, Incident: c.Incident, Customer: c.Customer, Seq: c.Seq,
		List: c.List, Audience: c.Audience, Channel: c.Channel, Address: c.To.Address, Name: c.To.Name,
		Outcome: outcomeWord(c.Outcome), Attempts: c.Attempts, Fault: string(c.Fault), At: c.At,
	}
}

// tellLive writes what happened to channels. It names nobody, so everybody may know.
func (t *stream) tellLive() error {
	var events []ChannelEvent
	events, t.seen = t.s.live.since(t.seen)
	var b strings.Builder
	for _, e := range events {
		js, err := json.Marshal(e)
		if err != nil {
			return err
		}
		b.WriteString("event: channel\ndata: " + string(js) + "\n\n")
	}
	return t.send(b.String())
}

// send writes text at once, or gives the reader up.
func (t *stream) send(text string) error {
	if text == "" {
		return nil
	}
	if t.control != nil {
		_ = t.control.SetWriteDeadline(time.Now().Add(slowReader)) // not every writer can
	}
	if _, err := io.WriteString(t.w, text); err != nil {
		return err
	}
	if t.control == nil {
		return nil
	}
	return t.control.Flush()
}

// live keeps the last events that are not in the ledger. The zero value is ready.
type live struct {
	mu    sync.Mutex
	count uint64
	last  [64]ChannelEvent
}

func (l *live) add(e dispatcher.Event) {
	if e.Kind != dispatcher.EventPaused && e.Kind != dispatcher.EventResumed {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[l.count%uint64(len(l.last))] = ChannelEvent{
		Channel: e.Channel, Up: e.Kind == dispatcher.EventResumed, Until: e.Until, Fault: string(e.Fault),
	}
	l.count++
}

func (l *live) latest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// since is what came after a number, as far as it is still here.
func (l *live) since(n uint64) ([]ChannelEvent, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if kept := uint64(len(l.last)); l.count > kept {
		n = max(n, l.count-kept)
	}
	var all []ChannelEvent
	for ; n < l.count; n++ {
		all = append(all, l.last[n%uint64(len(l.last))])
	}
	return all, n
}
