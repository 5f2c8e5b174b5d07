package channeltest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/channeltest"
)

// fake is a channel whose remote side is itself, with one defect by choice.
type fake struct {
	scenario channeltest.Scenario
	defect   string
	attempts *atomic.Int64
}

const token = "s3cr3t-token"

func (f fake) Spec() channels.Spec {
	s := channels.Spec{Format: channels.FormatText, Ambiguous: channels.ResendAmbiguous}
	if f.defect == "no policy" {
		s.Ambiguous = ""
	}
	return s
}

func (f fake) Send(ctx context.Context, _ channels.Envelope) (channels.Receipt, error) {
	if f.defect != "ignores cancellation" && ctx.Err() != nil {
		return channels.Receipt{}, channels.Errorf(channels.Unavailable, "not sent: %w", ctx.Err())
	}
	f.attempts.Add(1)
	switch f.scenario {
	case channeltest.Accept:
		return channels.Receipt{RemoteID: "1"}, nil
	case channeltest.Busy:
		e := channels.Errorf(channels.RateLimited, "slow down")
		if f.defect != "no wait" {
			e.RetryAfter = time.Second
		}
		return channels.Receipt{}, e
	case channeltest.Down:
		if f.defect == "retries" {
			f.attempts.Add(1)
		}
		if f.defect == "unclassified" {
			return channels.Receipt{}, errors.New("down")
		}
		return channels.Receipt{}, channels.Errorf(channels.Unavailable, "down")
	case channeltest.BadPayload:
		if f.defect == "swallows" {
			return channels.Receipt{}, nil
		}
		return channels.Receipt{}, channels.Errorf(channels.Rejected, "no")
	case channeltest.UnknownRecipient:
		if f.defect == "wrong fault" {
			return channels.Receipt{}, channels.Errorf(channels.Rejected, "who?")
		}
		return channels.Receipt{}, channels.Errorf(channels.NoRecipient, "who?")
	case channeltest.BadCredentials:
		if f.defect == "leaks" {
			return channels.Receipt{}, channels.Errorf(channels.Unauthorized, "wrapped: %w", errors.New("refused "+token))
		}
		return channels.Receipt{}, channels.Errorf(channels.Unauthorized, "refused")
	case channeltest.Cut:
		return channels.Receipt{}, channels.Errorf(channels.Ambiguous, "hung up")
	case channeltest.Silent:
		if f.defect == "hangs" {
			time.Sleep(3 * time.Second)
		}
		<-ctx.Done()
		return channels.Receipt{}, channels.Errorf(channels.Ambiguous, "silence: %w", ctx.Err())
	}
	panic("unreachable")
}

func suite(defect string) channeltest.Suite {
	return channeltest.Suite{Open: func(_ *testing.T, s channeltest.Scenario) channeltest.Rig {
		var n atomic.Int64
		return channeltest.Rig{
			Channel: fake{scenario: s, defect: defect, attempts: &n}, To: channels.Recipient{Address: "a"},
			Message: channels.Message{Format: channels.FormatText, Text: "x"}, Secret: token,
			Attempts: func() int { return int(n.Load()) },
		}
	}}
}

func TestAGoodChannelPasses(t *testing.T) { channeltest.Run(t, suite("")) }

// TestBroken runs the suite on a broken channel; TestEachDefectIsCaught runs it as
// a child process and wants it red.
func TestBroken(t *testing.T) {
	if defect := os.Getenv("CHANNELTEST_DEFECT"); defect != "" {
		channeltest.Run(t, suite(defect))
	}
}

func TestEachDefectIsCaught(t *testing.T) {
	for _, defect := range []string{
		"no policy", "ignores cancellation", "no wait", "retries", "unclassified", "swallows", "wrong fault", "leaks", "hangs",
	} {
		t.Run(defect, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$")
			cmd.Env = append(os.Environ(), "CHANNELTEST_DEFECT="+defect)
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Errorf("the suite passes a channel that is broken:\n%s", out)
			}
		})
	}
}
