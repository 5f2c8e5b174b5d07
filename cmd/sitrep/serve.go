package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sitrep/bounces"
	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/internal/metrics"
	"sitrep/internal/tracing"
	"sitrep/ledger"
	"sitrep/server"
)

const serveLong = `Works the ledger for a whole team: it sends everything that is pending, whoever
accepted it and when, and serves the HTTP API, the status pages and the metrics,
until it is stopped.

  /api/v1/…          the API; its description is /api/v1/openapi.json
  /metrics           for Prometheus
  /healthz, /readyz  for whoever watches the process
  everything else    the status pages

It listens on serve.listen of the configuration: host:port, or unix:PATH for a
socket whose group needs no token. Make tokens for others with 'sitrep token new'.

A change of the configuration, its lists or templates is taken up while it runs, and
so it is on SIGHUP: whole or not at all. Channels that did not change are not
disturbed. SIGTERM and Ctrl-C stop it within serve.shutdown_timeout: it takes nothing
new, lets attempts under way end, and leaves the rest in the ledger for the next
start.`

func (a *app) serveCommand() *cobra.Command {
	var listen []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Work the ledger and serve the API, the status pages and metrics",
		Long:  serveLong,
		Example: `  sitrep serve
  sitrep serve --listen 127.0.0.1:9000,unix:/run/sitrep/sitrep.sock`,
		Args: args(0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), listen) },
	}
	cmd.Flags().StringSliceVar(&listen, "listen", nil, "`ADDRESSES` to listen on, host:port or unix:PATH (default: serve.listen in the configuration)")
	return cmd
}

func (a *app) serve(ctx context.Context, listen []string) error {
	began := time.Now()
	a.serving = true
	read, err := a.load()
	if err != nil {
		return err
	}
	if len(listen) > 0 {
		read.cfg.Serve.Listen = listen
	}
	l, err := openLedger(ctx, read.cfg)
	if err != nil {
		return err
	}
	d, err := a.newDaemon(ctx, read, l)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	d.read, d.flagged = began, len(listen) > 0
	return errors.Join(d.run(ctx), d.close())
}

// serveLogOnce makes the daemon's log as soon as it is known how, because channels
// take it with them. A reload changes nothing of it.
func (a *app) serveLogOnce(s config.Serve) {
	if a.serving && a.logger == nil {
		a.logger = a.serveLog(s)
	}
}

// serveLog is the daemon's log.
func (a *app) serveLog(s config.Serve) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		level = slog.LevelInfo // the configuration was checked
	}
	if a.verbose {
		level = slog.LevelDebug
	}
	o := &slog.HandlerOptions{Level: level}
	if s.JSONLogs {
		return slog.New(slog.NewJSONHandler(a.errOut, o))
	}
	return slog.New(slog.NewTextHandler(a.errOut, o))
}

// daemon is a running `sitrep serve`.
//
// It owns these goroutines beside the dispatcher's and the HTTP servers': one waits
// for signals and changed files and is the only one to reload, one passes wake-ups of
// the ledger on, one keeps house once an hour, one reminds of promises, and one reads
// the mailbox with returned mail, if there is one.
type daemon struct {
	a       *app
	log     *slog.Logger
	started *config.Config // of the start: what is not taken up later
	read    time.Time      // when that was read
	flagged bool           // --listen won over serve.listen
	ledger  ledger.Ledger
	metrics *metrics.Metrics
	traces  *tracing.Traces       // nil: none
	span    func(dispatcher.Span) // nil: none
	server  *server.Server

	receiver *bounces.Receiver // of returned mail; nil: none

	now    atomic.Pointer[generation]
	reload reloadState

	quitReminder func()
	background   sync.WaitGroup
}

func (a *app) newDaemon(ctx context.Context, read *loaded, l ledger.Ledger) (*daemon, error) {
	cfg := read.cfg
	kept, ok := l.(server.Ledger)
	if !ok {
		return nil, &coded{exitConfig, fmt.Errorf("ledger %s: this kind cannot be served", cfg.Ledger)}
	}
	d := &daemon{a: a, log: a.log(), started: cfg, ledger: l, quitReminder: func() {}}
	d.metrics = metrics.New(d.measured(cfg))
	var err error
	if d.traces, d.span, err = a.openTraces(ctx, cfg.Traces); err != nil {
		return nil, &coded{exitConfig, err}
	}
	first, err := d.build(read, nil)
	if err != nil {
		return nil, &coded{exitConfig, err}
	}
	if first.dispatcher, err = dispatcher.New(first.options); err == nil {
		first.reminder, err = dispatcher.NewReminder(first.dispatcher, d.reminding(cfg))
	}
	if err != nil {
		return nil, errors.Join(&coded{exitConfig, err}, first.closeChannels(nil))
	}
	d.now.Store(first)
	if d.receiver, err = d.newReceiver(cfg); err != nil {
		return nil, errors.Join(err, first.closeChannels(nil))
	}
	d.server, err = server.New(server.Options{
		Ledger: kept, Setup: func() server.Setup { return d.now.Load().setup() },
		Pages:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.now.Load().pages.ServeHTTP(w, r) }),
		Metrics: d.metrics.Handler(), PrivateMetrics: cfg.Serve.PrivateMetrics, Ready: d.ready(kept),
		Rate: server.Rate{PerMinute: cfg.Serve.RequestsPerMinute}, Version: version, Now: a.now, Log: d.log,
	})
	return d, err
}

// run is the daemon's life.
func (d *daemon) run(ctx context.Context) error {
	listeners, err := d.listen(ctx)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	worked := make(chan error, 1)
	go func() { worked <- d.now.Load().dispatcher.Run(work) }()
	d.background.Go(func() { d.wakes(work) })
	d.background.Go(func() { d.housekeeping(work) })
	d.background.Go(func() { d.fetchMail(work) })
	d.background.Go(func() { giveBack(work) })
	d.remind(work, d.now.Load())
	d.background.Go(func() { d.follow(work, hup) })
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- l.serve() }()
	}
	d.say("READY=1")
	d.warn(d.started, nil)
	d.log.Info("serving", "version", version, "ledger", d.started.Ledger, "listen", d.started.Serve.Listen, "configuration", d.started.Path)

	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	case err = <-worked:
		worked <- nil
		err = errors.Join(errors.New("the work ended by itself"), err)
	}
	return errors.Join(err, d.shutdown(ctx, listeners, stop, worked))
}

// shutdown takes nothing new, lets what is under way end, and returns within
// shutdown_timeout or soon after.
func (d *daemon) shutdown(ctx context.Context, listeners []*listener, stop func(), worked <-chan error) error {
	begun, most := time.Now(), d.started.Serve.ShutdownTimeout
	d.log.Info("stopping: nothing new is taken, attempts under way may end", "within", most)
	d.say("STOPPING=1")
	d.server.Drain()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	var closing sync.WaitGroup
	for _, l := range listeners {
		closing.Go(func() { l.close(bounded) })
	}
	stop()
	err := <-worked
	closing.Wait()
	d.background.Wait()
	left, tallyErr := pendingNow(context.WithoutCancel(ctx), d.ledger)
	if tallyErr == nil {
		d.log.Info("stopped", "pending", left, "took", time.Since(begun).Round(time.Millisecond))
	}
	return err
}

// close gives back what the daemon holds.
func (d *daemon) close() error {
	err := d.now.Load().closeChannels(nil)
	if d.traces != nil {
		d.traces.Close(context.Background())
	}
	return errors.Join(err, d.ledger.Close())
}

// event is what the dispatcher tells of its work: one line for every delivery that is
// settled. Updates are logged by the server as they come in, but for reminders.
func (d *daemon) event(e dispatcher.Event) {
	d.server.Event(e)
	switch e.Kind {
	case dispatcher.EventSettled:
		d.log.LogAttrs(context.Background(), slog.LevelInfo, "delivery settled", settledAttrs(e)...)
	case dispatcher.EventAccepted:
		if of, is := dispatcher.ReminderOf(e.Incident); is {
			d.log.Info("reminder accepted", "customer", e.Customer, "incident", of, "update", e.Update, "added", e.Count)
		}
	case dispatcher.EventStarted, dispatcher.EventRetry, dispatcher.EventPaused, dispatcher.EventResumed, dispatcher.EventTrouble:
	}
}

// settledAttrs are what is known of a delivery that is settled. Of one that was settled
// without an attempt, for a newer update overtook it or a person took it back, that is
// less: there is no key without a value.
func settledAttrs(e dispatcher.Event) []slog.Attr {
	all := []slog.Attr{slog.String("outcome", string(e.Outcome)), slog.String("customer", e.Customer), slog.String("channel", e.Channel)}
	for _, x := range []struct{ key, value string }{{"incident", e.Incident}, {"update", e.Update}, {"delivery", e.Key}} {
		if x.value != "" {
			all = append(all, slog.String(x.key, x.value))
		}
	}
	if e.Attempt > 0 {
		all = append(all, slog.Int("attempt", e.Attempt))
	}
	if e.Fault != "" {
		all = append(all, slog.String("fault", string(e.Fault)))
	}
	return all
}

// wakes passes on what other processes on the ledger have accepted.
func (d *daemon) wakes(ctx context.Context) {
	w, ok := d.ledger.(ledger.Waker)
	for ok && ctx.Err() == nil {
		news, err := w.Wakes(ctx)
		if err != nil {
			if ctx.Err() == nil {
				d.log.Warn("the ledger's wake-ups cannot be heard; it is polled meanwhile", "error", err)
			}
			sleep(ctx, 5*time.Second)
			continue
		}
		for channel := range news {
			d.now.Load().dispatcher.Wake(channel)
		}
	}
}

const dutyHousekeeping = "housekeeping"

// housekeeping lets one process an hour forget old changes.
func (d *daemon) housekeeping(ctx context.Context) {
	for sleep(ctx, time.Minute); ctx.Err() == nil; sleep(ctx, time.Hour) {
		if err := d.keepHouse(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("old changes could not be forgotten; trying again in an hour", "error", err)
		}
	}
}

func (d *daemon) keepHouse(ctx context.Context) error {
	if duty, ok := d.ledger.(ledger.Duty); ok {
		held, release, err := duty.Hold(ctx, dutyHousekeeping)
		if err != nil || !held {
			return err
		}
		defer release()
	}
	return d.server.Tidy(ctx)
}

// giveBack returns the memory to the system that reading a configuration took and that
// is not needed any more: with long lists several times what is kept. By itself the
// runtime would hold on to it.
func giveBack(ctx context.Context) {
	sleep(ctx, 2*time.Second) // the recipients have been written to the ledger by then
	debug.FreeOSMemory()
}

// sleep returns when the time is over or ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
