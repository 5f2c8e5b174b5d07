package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/server"
)

// reloadState is how the last reload went. The zero value: well, or there was none.
type reloadState struct {
	mu     sync.Mutex
	failed time.Time // zero: it did not
	count  int       // mistakes
}

// settled is how long the files must have been left alone before they are read.
const settled = 300 * time.Millisecond

// follow reloads on a signal and when files change, until ctx is done.
func (d *daemon) follow(ctx context.Context, hup <-chan os.Signal) {
	w := d.watchFiles()
	defer w.close()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	if w.changedSince(d.read) {
		timer.Reset(settled)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			d.log.Info("asked to reload the configuration")
		case e := <-w.events():
			if w.concerns(e) {
				timer.Reset(settled)
			}
			continue
		case <-timer.C:
			d.log.Info("files of the configuration have changed")
		}
		began := time.Now()
		d.reloadNow(ctx)
		w.watch(d.now.Load())
		if w.changedSince(began) {
			timer.Reset(settled)
		}
	}
}

// reloadNow takes the configuration up whole, or leaves everything as it is.
func (d *daemon) reloadNow(ctx context.Context) {
	before := d.now.Load()
	next, drained, err := d.next(before)
	if err != nil {
		d.refuse(err)
		return
	}
	d.now.Store(next)
	d.metrics.Reload(d.measured(next.cfg))
	d.metrics.Reloaded(true)
	d.reload.set(time.Time{}, 0)
	d.remind(ctx, next)
	d.background.Go(func() { giveBack(ctx) })
	d.background.Go(func() {
		<-drained
		if err := before.closeChannels(next); err != nil {
			d.log.Warn("the sessions of a channel did not end well", "error", err)
		}
	})
	kept := 0
	for id, x := range next.channels {
		if was, ok := before.channels[id]; ok && was.channel == x.channel {
			kept++
		}
	}
	d.log.Info("the configuration is reloaded", "channels", len(next.channels), "kept", kept, "customers", len(next.cfg.Customers))
	d.warn(next.cfg, before.cfg)
	d.needsRestart(next.cfg)
}

// warn logs what is allowed in the configuration and hardly meant, but for what was said
// of the one before; nil: there was none.
func (d *daemon) warn(cfg, before *config.Config) {
	said := map[config.Problem]int{}
	if before != nil {
		for _, w := range before.Warnings() {
			said[placeless(w)]++
		}
	}
	for _, w := range cfg.Warnings() {
		if same := placeless(w); said[same] > 0 {
			said[same]--
			continue
		}
		d.log.Warn("the configuration has a weakness", "warning", w.String())
	}
}

// lineOf is a place in a sentence.
var lineOf = regexp.MustCompile(`:[0-9]+\b`)

// placeless is a warning wherever its line has moved to.
func placeless(w config.Problem) config.Problem {
	return config.Problem{File: w.File, What: lineOf.ReplaceAllString(w.What, ""), Remedy: w.Remedy}
}

// next is the generation of the files as they are now.
func (d *daemon) next(before *generation) (*generation, <-chan struct{}, error) {
	read, err := d.a.load()
	if err != nil {
		return nil, nil, err
	}
	cfg := read.cfg
	g, err := d.build(read, before)
	if err != nil {
		return nil, nil, err
	}
	// Tried on one that does nothing, so that what is wrong changes nothing.
	trial, err := dispatcher.New(g.options)
	if err == nil {
		_, err = dispatcher.NewReminder(trial, d.reminding(cfg))
	}
	var drained <-chan struct{}
	if err == nil {
		g.dispatcher, drained, err = before.dispatcher.Reload(g.options)
	}
	if err == nil {
		g.reminder, err = dispatcher.NewReminder(g.dispatcher, d.reminding(cfg))
	}
	if err != nil {
		return nil, nil, errors.Join(err, g.closeChannels(before))
	}
	return g, drained, nil
}

// refuse says that the configuration in force stays so, and why.
func (d *daemon) refuse(err error) {
	count := 1
	if es, ok := errors.AsType[*config.Errors](err); ok {
		count, err = len(es.Problems), es // without the words for a command that ends here
	}
	d.metrics.Reloaded(false)
	d.reload.set(d.a.now(), count)
	d.log.Error("the configuration is refused; the one before it stays in force", "mistakes", count, "error", err)
}

func (s *reloadState) set(failed time.Time, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed, s.count = failed, count
}

// needsRestart warns of settings that are read at the start only.
func (d *daemon) needsRestart(cfg *config.Config) {
	was, is := d.started.Serve, cfg.Serve
	if d.flagged {
		was.Listen, is.Listen = nil, nil
	}
	if !reflect.DeepEqual(was, is) || d.started.LedgerAddress != cfg.LedgerAddress ||
		!reflect.DeepEqual(d.started.Traces, cfg.Traces) || !reflect.DeepEqual(d.started.Bounces, cfg.Bounces) {
		d.log.Warn("`serve`, `ledger`, `bounces` or `traces` in the configuration has changed: that takes a restart")
	}
}

// remind starts reminding by a generation's rules, after the one before has stopped.
func (d *daemon) remind(ctx context.Context, g *generation) {
	d.quitReminder()
	ctx, quit := context.WithCancel(ctx)
	ended := make(chan struct{})
	d.quitReminder = func() {
		quit()
		<-ended
	}
	d.background.Go(func() {
		defer close(ended)
		defer quit()
		if err := g.reminder.Run(ctx); err != nil {
			d.log.Error("reminding has ended", "error", err)
		}
	})
}

// ready is what /readyz shows. A reload that was refused is shown and is no reason
// to send nobody here: every replica would be gone at once.
func (d *daemon) ready(l server.Ledger) func(context.Context) []server.Check {
	return func(ctx context.Context) []server.Check {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		book := server.Check{Name: "ledger", OK: true}
		if _, err := l.Latest(ctx); err != nil {
			book.OK, book.Detail = false, "the ledger does not answer, so nothing can be accepted or sent until it does; why is in the log"
			d.log.Warn("not ready: the ledger does not answer", "error", err)
		}
		d.reload.mu.Lock()
		defer d.reload.mu.Unlock()
		cfg := server.Check{Name: "configuration", OK: true}
		if !d.reload.failed.IsZero() {
			cfg.Detail = "the reload at " + d.reload.failed.UTC().Format(time.RFC3339) + " was refused (" + count(d.reload.count, "mistake") +
				", see the log); the configuration before it is in force"
		}
		return []server.Check{book, cfg}
	}
}

// fileWatch hears of changes to the files of a configuration. Directories are watched
// and not the files, because editors and Kubernetes put new ones in their place.
type fileWatch struct {
	d         *daemon
	w         *fsnotify.Watcher // nil: there is none on this system
	files     []string
	templates string
}

func (d *daemon) watchFiles() *fileWatch {
	f := &fileWatch{d: d}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		d.log.Warn("changes of files cannot be noticed here: reload with SIGHUP", "error", err)
		return f
	}
	f.w = w
	f.watch(d.now.Load())
	return f
}

func (f *fileWatch) close() {
	if f.w != nil {
		_ = f.w.Close() // nothing of it is needed any more
	}
}

func (f *fileWatch) events() <-chan fsnotify.Event {
	if f.w == nil {
		return nil
	}
	return f.w.Events
}

// watch follows the files of a generation too.
func (f *fileWatch) watch(g *generation) {
	if f.w == nil {
		return
	}
	f.files, f.templates = g.files(), g.cfg.TemplatesDir
	dirs := []string{}
	for _, name := range f.files {
		dirs = append(dirs, filepath.Dir(name))
	}
	if f.templates != "" {
		_ = filepath.WalkDir(f.templates, func(path string, e fs.DirEntry, err error) error { // what cannot be read was refused
			if err == nil && e.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
	}
	for _, dir := range dirs {
		if err := f.w.Add(dir); err != nil && !slices.Contains(f.w.WatchList(), dir) {
			f.d.log.Warn("changes in a directory cannot be noticed: reload with SIGHUP", "directory", dir, "error", err)
		}
	}
}

// changedSince finds changes from before anybody watched: between the reading of the
// files and the first look at their directories. A time to come is a wrong clock's.
func (f *fileWatch) changedSince(read time.Time) bool {
	return slices.ContainsFunc(f.files, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && info.ModTime().After(read) && !info.ModTime().After(time.Now())
	})
}

func (f *fileWatch) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	inTemplates := f.templates != "" && strings.HasPrefix(e.Name, f.templates+string(filepath.Separator))
	// Kubernetes swaps a link of this name for all files of a volume at once.
	return inTemplates || slices.Contains(f.files, e.Name) || filepath.Base(e.Name) == "..data"
}
