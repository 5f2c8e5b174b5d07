package server

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

// Dispatcher is what the API does about updates; *dispatcher.Dispatcher is one.
type Dispatcher interface {
	Prepare(ctx context.Context, s dispatcher.Submission) (dispatcher.Prepared, error)
	Publish(ctx context.Context, p dispatcher.Prepared) (ledger.Accepted, error)
	TryAgain(ctx context.Context, update string) (dispatcher.Retried, error)
	Cancel(ctx context.Context, update string) (ledger.Cancellation, error)
}

// Ledger is what the API reads, and where it keeps tokens, drafts and suppressions.
type Ledger interface {
	ledger.Reader
	ledger.Changes
	ledger.Tokens
	ledger.Drafts
	ledger.Suppressor
	Rendering(ctx context.Context, id int64) (channels.Message, error)
}

// Setup is what a configuration decides. It is read once for each request, so that
// one request sees one configuration.
type Setup struct {
	Dispatcher  Dispatcher
	Parties     []incident.Party
	RequireNext bool // as in dispatcher.Options
	Inputs      []Input
	Exits       []Exit

	// Address says what is wrong with an address on a channel, by its id; nil: nothing.
	Address func(channel, address string) error
}

// Options is what a Server needs. Fields that may be zero say so.
type Options struct {
	Ledger Ledger
	Setup  func() Setup // the configuration in force; called for every request

	Pages   http.Handler // the status pages; nil: there are none
	Metrics http.Handler // nil: there are none

	// PrivateMetrics asks for a token for all customers before metrics are shown:
	// they name customers.
	PrivateMetrics bool

	// Ready says whether the process can do its work. Nil: it always can.
	Ready func(ctx context.Context) []Check

	Rate    Rate          // of one token or input; zero: 600 a minute, 100 at once
	Streams int           // readers of events at a time; 0: 2,000
	Keep    time.Duration // how long changes are kept for resuming, see Tidy; 0: a week

	Version string           // of the program, for the API's description
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: nothing is logged
}

// Check is one thing that readiness depends on.
type Check struct {
	Name   string `json:"name" doc:"What was looked at."`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty" doc:"What is wrong, for anybody who can reach this address."`
}

const (
	defaultStreams = 2000
	defaultKeep    = 7 * 24 * time.Hour
)

// Server is the handler. It is safe for concurrent use.
type Server struct {
	o       Options
	root    http.Handler
	spec    spec
	limits  limiter
	touched touches
	turns   *turns
	bell    bell
	live    live
	flight  singleflight.Group
	streams atomic.Int64
	drained chan struct{} // closed by Drain
	drain   sync.Once
}

// New returns a server, or every mistake in the options. It starts nothing.
func New(o Options) (*Server, error) {
	var errs []error
	if o.Ledger == nil {
		errs = append(errs, errors.New("server: no ledger"))
	}
	if o.Setup == nil {
		errs = append(errs, errors.New("server: no setup"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	o.Rate = o.Rate.filled()
	o.Streams, o.Keep = cmp.Or(o.Streams, defaultStreams), cmp.Or(o.Keep, defaultKeep)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, turns: newTurns(), drained: make(chan struct{})}
	root, err := s.routes()
	if err != nil {
		return nil, err
	}
	s.root = root
	return s, nil
}

// ServeHTTP answers any request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.root.ServeHTTP(w, r) }

// HTTP is a server for this handler with limits on how long a client may take. Its
// address and TLS are the caller's to set. Its Shutdown ends the readers of events.
func (s *Server) HTTP() *http.Server {
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       bodyPatience,
		WriteTimeout:      writePatience,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnContext:       Local,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	h.RegisterOnShutdown(s.Drain)
	return h
}

// Drain ends the readers of events and those who wait for a report, and refuses new
// updates with 503; everything else goes on. It is for the beginning of a shutdown.
func (s *Server) Drain() { s.drain.Do(func() { close(s.drained) }) }

func (s *Server) draining() bool {
	select {
	case <-s.drained:
		return true
	default:
		return false
	}
}

// Event is dispatcher.Options.OnEvent: it wakes the readers of events. It does not
// block.
func (s *Server) Event(e dispatcher.Event) {
	s.live.add(e)
	if e.Kind != dispatcher.EventStarted && e.Kind != dispatcher.EventTrouble {
		s.bell.ring()
	}
}

// Tidy forgets changes that are older than Options.Keep. It is to be called now and
// then by one process on the ledger.
func (s *Server) Tidy(ctx context.Context) error {
	_, err := s.o.Ledger.Forget(ctx, s.o.Now().Add(-s.o.Keep))
	return err
}

// bell wakes everybody who listens. The zero value is ready.
type bell struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns a channel that is closed by the next ring.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
