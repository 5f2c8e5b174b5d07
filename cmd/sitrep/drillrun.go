package main

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sitrep/channels"
)

// interrupted is why recipients were not tried.
const interrupted = "interrupted"

const (
	mostProbes = 16               // at a time on a channel
	mostPause  = 30 * time.Second // that a remote side may ask for between two tries
	probeTries = 3                // of a recipient for whom the remote side was too busy
)

// run tries a channel: its own steps first, then, if any remote side of it works, its
// recipients.
func (d *drilled) run(ctx context.Context, timeout time.Duration, show *progress) {
	works := ctx.Err() == nil && d.inspect(ctx, timeout)
	p, ok := d.channel.(channels.Prober)
	switch {
	case ctx.Err() != nil:
		d.Steps = slices.DeleteFunc(d.Steps, func(s drillStep) bool { return !s.OK }) // it is we who ended them
		d.NotTried = interrupted
	case d.NotTried != "":
		if ok && d.Kind == "mattermost" {
			d.answers(ctx, p, timeout)
		}
	case ok && !works:
		d.NotTried = "the channel itself does not work"
	case ok:
		d.probeAll(ctx, p, timeout, show)
	}
}

// inspect goes through the channel's own steps and reports whether a remote side of it
// works, as far as is known.
func (d *drilled) inspect(ctx context.Context, timeout time.Duration) bool {
	i, ok := d.channel.(channels.Inspector)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found, err := i.Inspect(ctx)
	works := map[string]bool{}
	for _, f := range found {
		d.Steps = append(d.Steps, stepOf(f))
		works[f.Remote] = f.Err == nil
	}
	if err != nil && len(found) == 0 {
		d.Steps = append(d.Steps, stepOf(channels.Finding{Step: "steps", Err: err}))
	}
	for _, ok := range works {
		if ok {
			return true
		}
	}
	return false
}

func stepOf(f channels.Finding) drillStep {
	s := drillStep{Remote: f.Remote, Step: f.Step, OK: f.Err == nil, Detail: f.Detail, Until: f.Until}
	if f.Err != nil {
		fault, _ := channels.FaultOf(f.Err)
		s.Fault, s.Detail = string(fault), f.Err.Error()
	}
	return s
}

// answers asks a remote side of which nothing more can be tried whether it is there.
func (d *drilled) answers(ctx context.Context, p channels.Prober, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	f := channels.Finding{Step: "server", Detail: "it answers"}
	if f.Err = p.Probe(ctx, channels.Recipient{}); f.Err != nil {
		f.Detail = ""
	}
	d.Steps = append(d.Steps, stepOf(f))
}

// probeAll tries every recipient. Once the remote side does not accept us, the rest is
// left alone.
func (d *drilled) probeAll(ctx context.Context, p channels.Prober, timeout time.Duration, show *progress) {
	var todo []*drillRecipient
	for i := range d.Recipients {
		if d.Recipients[i].Result != drillGone {
			todo = append(todo, &d.Recipients[i])
		}
	}
	show.expect(d.Channel, len(todo))
	var refusesUs atomic.Bool
	var g errgroup.Group
	g.SetLimit(min(max(d.channel.Spec().Workers, 1), mostProbes))
	for _, r := range todo {
		if ctx.Err() != nil || refusesUs.Load() {
			break
		}
		g.Go(func() error {
			if ctx.Err() != nil || refusesUs.Load() {
				return nil
			}
			r.judge(ctx, probe(ctx, p, r.to, timeout))
			if r.Fault == string(channels.Unauthorized) {
				refusesUs.Store(true)
			}
			show.settled(d.Channel, r.Address, r.Result == drillOK, r.Result == drillRefused)
			return nil
		})
	}
	_ = g.Wait() // nobody fails: what is found is in the recipients
	switch {
	case ctx.Err() != nil:
		d.NotTried = interrupted
	case refusesUs.Load():
		d.NotTried = "the other side does not accept us"
	}
}

// probe asks about one recipient, again where the remote side is too busy.
func probe(ctx context.Context, p channels.Prober, to channels.Recipient, timeout time.Duration) error {
	for try := 1; ; try++ {
		one, cancel := context.WithTimeout(ctx, timeout)
		err := p.Probe(one, to)
		cancel()
		fault, wait := channels.FaultOf(err)
		if fault != channels.RateLimited || try == probeTries || wait > mostPause {
			return err
		}
		sleep(ctx, max(wait, time.Second))
	}
}

// judge says what an answer means.
func (r *drillRecipient) judge(ctx context.Context, err error) {
	if err == nil {
		r.Result = drillOK
		return
	}
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return // not tried, for we were interrupted
	}
	fault, _ := channels.FaultOf(err)
	r.Fault, r.Words, r.Result = string(fault), err.Error(), drillTemporary
	if fault.Final() || fault == channels.Unauthorized {
		r.Result = drillRefused
	}
}

// drillSum counts what a drill found.
type drillSum struct {
	Steps       int `json:"steps"`
	FailedSteps int `json:"failed_steps"`
	OK          int `json:"ok"`
	Refused     int `json:"refused"`
	Temporary   int `json:"temporary"`
	NotTried    int `json:"not_tried"` // on channels of which nothing can be tried, too
	Suppressed  int `json:"suppressed"`
	Cut         int `json:"-"` // of these, those that an interruption has left
}

func sumDrill(all []drilled) drillSum {
	var s drillSum
	for _, d := range all {
		for _, x := range d.Steps {
			s.Steps++
			if !x.OK {
				s.FailedSteps++
			}
		}
		missed := 0
		for _, r := range d.Recipients {
			switch r.Result {
			case drillOK:
				s.OK++
			case drillRefused:
				s.Refused++
			case drillTemporary:
				s.Temporary++
			case drillGone:
				s.Suppressed++
			default:
				missed++
			}
		}
		s.NotTried += missed
		if d.NotTried == interrupted {
			s.Cut += max(missed, 1)
		}
	}
	return s
}

// code is the exit code a drill deserves.
func (s drillSum) code() int {
	switch {
	case s.FailedSteps > 0 || s.Refused > 0:
		return exitFailed
	case s.Temporary > 0 || s.Cut > 0 || s.Steps+s.OK == 0:
		return exitPending
	}
	return exitOK
}
