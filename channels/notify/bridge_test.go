package notify

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	lib "github.com/nikoksr/notify"

	"sitrep/channels"
	"sitrep/channels/channeltest"
	"sitrep/internal/secret"
)

// service plays a service of the library that misbehaves.
type rogue func(ctx context.Context) error

func (r rogue) Send(ctx context.Context, _, _ string) error { return r(ctx) }

func bridgeTo(r rogue) *bridge {
	return newBridge(protocol{
		name: "Rogue", secrets: []secret.String{secret.New("s3cret-token")},
		open: func(*call) (lib.Notifier, error) { return r, nil },
	}, channels.Env{})
}

func try(ctx context.Context, b *bridge) error {
	_, err := b.Send(ctx, channels.Envelope{
		Key: channeltest.Key(1), To: channels.Recipient{Address: "x"}, Message: channels.Message{Format: channels.FormatChat, Text: "x"},
	})
	return err
}

func TestACallThatNeverReturnsIsGivenUpAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		b := bridgeTo(func(context.Context) error { <-free; return nil })
		for range abandonedMost {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := try(ctx, b)
			cancel()
			if f, _ := channels.FaultOf(err); f != channels.Ambiguous || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%q: %v", f, err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("given up after %v", took)
			}
		}
		if err := try(t.Context(), b); err == nil || !strings.Contains(err.Error(), "8 earlier calls") {
			t.Errorf("with %d calls out: %v", abandonedMost, err)
		}
		close(free)
		synctest.Wait()
		if n := b.abandoned.Load(); n != 0 {
			t.Errorf("%d calls counted although all have come back", n)
		}
	})
}

func TestACallWithoutADeadlineGetsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := bridgeTo(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if err := try(context.Background(), b); err == nil {
			t.Error("success")
		}
		if took := time.Since(start); took != callTime {
			t.Errorf("it took %v", took)
		}
		if n := b.abandoned.Load(); n != 0 {
			t.Errorf("%d calls count as abandoned", n)
		}
	})
}

func TestAPanicIsAnErrorOfOneDelivery(t *testing.T) {
	b := bridgeTo(func(context.Context) error { panic("index out of s3cret-token") })
	err := try(t.Context(), b)
	if f, _ := channels.FaultOf(err); f != channels.Unavailable || !strings.Contains(err.Error(), "panic") {
		t.Errorf("%q: %v", f, err)
	}
	channeltest.NoLeak(t, err, "s3cret-token")
}

func TestSuccessWithoutARequestIsNone(t *testing.T) {
	for _, said := range []error{nil, errors.New("no receivers for s3cret-token")} {
		err := try(t.Context(), bridgeTo(func(context.Context) error { return said }))
		if f, _ := channels.FaultOf(err); f != channels.Rejected {
			t.Errorf("the library said %v: %q %v", said, f, err)
		}
		channeltest.NoLeak(t, err, "s3cret-token")
	}
}

func TestFormat(t *testing.T) {
	_, err := bridgeTo(nil).Send(t.Context(), channels.Envelope{To: channels.Recipient{Address: "x"}, Message: channels.Message{Format: channels.FormatEmail}})
	if f, _ := channels.FaultOf(err); f != channels.Rejected {
		t.Error(err)
	}
}
