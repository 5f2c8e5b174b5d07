package notify

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	lib "github.com/nikoksr/notify"
	libslack "github.com/nikoksr/notify/service/slack"
	slackapi "github.com/slack-go/slack"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

// SlackConfig is the stanza of notify/slack.
type SlackConfig struct {
	// Token is a bot token (xoxb-…) with the scope chat:write.
	Token secret.String `yaml:"token"`
}

func newSlack(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var c SlackConfig
	if err := errors.Join(decode(&c), required("token", !c.Token.Empty())); err != nil {
		return nil, err
	}
	return newBridge(protocol{
		name: "Slack", host: "slack.com", secrets: []secret.String{c.Token}, judge: judgeSlack,
		// Slack cuts a text at 40 000 characters, counted after escaping.
		part: 12_000, spec: channels.Spec{Limits: channels.Limits{SubjectRunes: 250}},
		open: func(call *call) (lib.Notifier, error) {
			s := libslack.New(c.Token.Reveal())
			s.AddReceivers(call.To.Address)
			call.Message.Subject, call.Message.Text = slackText.Replace(call.Message.Subject), slackText.Replace(call.Message.Text)
			return s, nil
		},
	}, env), nil
}

// slackText escapes as https://api.slack.com/reference/surfaces/formatting has it.
// It kills <!channel> and <@U…>.
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackFaults are the error codes of chat.postMessage that are not Rejected.
var slackFaults = map[channels.Fault][]string{
	channels.Unauthorized: {
		"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "missing_scope",
		"no_permission", "org_login_required", "two_factor_setup_required", "not_allowed_token_type", "access_denied",
	},
	channels.NoRecipient: {"channel_not_found", "is_archived", "user_not_found", "users_not_found"},
	channels.RateLimited: {"ratelimited", "rate_limited", "message_limit_exceeded"},
	channels.Unavailable: {"service_unavailable", "request_timeout", "team_added_to_org"},
	channels.Ambiguous:   {"internal_error", "fatal_error"}, // "some aspect of the operation may have succeeded"
}

// judgeSlack reads the errors of slack-go, whose client the library hides.
func judgeSlack(ctx context.Context, b *bridge, c *call, err error) error {
	var (
		limited *slackapi.RateLimitedError
		status  slackapi.StatusCodeError
		refused slackapi.SlackErrorResponse
		number  *strconv.NumError
		netErr  net.Error
		urlErr  *url.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		return &channels.Error{
			Fault: channels.RateLimited, RetryAfter: min(limited.RetryAfter, httpx.MaxWait),
			Err: errors.New(b.name + ": it asks to wait " + limited.RetryAfter.String()),
		}
	case errors.As(err, &number): // slack-go's way of saying: 429 without Retry-After
		return channels.Errorf(channels.RateLimited, "Slack asks to slow down, and does not say for how long")
	case errors.As(err, &refused):
		return channels.Errorf(slackFault(refused.Err), "Slack refused it: %s", b.web.Redact(refused.Err+hint(refused.Err)))
	case errors.As(err, &status):
		return channels.Errorf(httpx.Fault(status.Code, false), "Slack answered %s", b.web.Redact(status.Status))
	case errors.As(err, &urlErr), errors.As(err, &netErr), ctx.Err() != nil:
		return b.web.Lost(ctx, b.host, err, c.left())
	default:
		return channels.Errorf(channels.Ambiguous, "Slack's answer is not understood: %s", b.web.Redact(err.Error()))
	}
}

func slackFault(code string) channels.Fault {
	for f, codes := range slackFaults {
		if slices.Contains(codes, code) {
			return f
		}
	}
	return channels.Rejected
}

func hint(code string) string {
	switch code {
	case "not_in_channel":
		return " (invite the app to the channel)"
	case "channel_not_found":
		return " (check the channel's id; a private channel needs the app as a member)"
	case "missing_scope":
		return " (give the app the scope chat:write)"
	default:
		return ""
	}
}
