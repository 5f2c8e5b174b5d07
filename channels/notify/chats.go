package notify

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	lib "github.com/nikoksr/notify"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

// DiscordConfig is the stanza of notify/discord.
type DiscordConfig struct {
	// Token is the bot's.
	Token secret.String `yaml:"token"`
}

// newDiscord: https://discord.com/developers/docs/resources/message. The nonce
// makes a repeated attempt of the last minutes show once; later updates reply to
// the first one.
func newDiscord(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var c DiscordConfig
	if err := errors.Join(decode(&c), required("token", !c.Token.Empty())); err != nil {
		return nil, err
	}
	return newBridge(protocol{
		name: "Discord", secrets: []secret.String{c.Token}, verdict: discordVerdict, receipt: discordReceipt,
		part: 1_790, spec: channels.Spec{Threads: true, Limits: channels.Limits{SubjectRunes: 200}}, // 2000 together
		open: func(call *call) (lib.Notifier, error) {
			return rest(call, request{
				url: "https://discord.com/api/v10/channels/" + url.PathEscape(call.To.Address) + "/messages",
				header: map[string]string{
					"Authorization": "Bot " + c.Token.Reveal(),
					"User-Agent":    "DiscordBot (" + env.Agent + ", 1)", // the form they ask for
				},
				body: jsonBody(func(subject, text string) any { return discordMessage(call, subject, text) }),
			}), nil
		},
	}, env), nil
}

func discordMessage(c *call, subject, text string) any {
	m := map[string]any{
		"content": joined(subject, text), "enforce_nonce": true,
		"nonce":            c.Key[:min(len(c.Key), 25)], // the longest they take
		"allowed_mentions": map[string]any{"parse": []string{}},
		"flags":            1 << 2, // no previews of links
	}
	if c.Thread != "" {
		m["message_reference"] = map[string]any{"message_id": string(c.Thread), "fail_if_not_exists": false}
	}
	return m
}

func discordVerdict(r httpx.Response) meaning {
	doc := decoded[struct {
		Wait float64 `json:"retry_after"`
	}](r)
	switch r.Status {
	case http.StatusNotFound:
		return meaning{fault: channels.NoRecipient, why: "there is no such channel"}
	case http.StatusForbidden:
		return meaning{fault: channels.Rejected, why: "the bot may not write there; add it to the server and let it send messages in the channel"}
	default:
		return meaning{wait: time.Duration(min(doc.Wait, httpx.MaxWait.Seconds()) * float64(time.Second))}
	}
}

func discordReceipt(c *call, r httpx.Response) channels.Receipt {
	id := decoded[struct {
		ID string `json:"id"`
	}](r).ID
	receipt := channels.Receipt{RemoteID: id, Thread: c.Thread}
	if c.Thread == "" {
		receipt.Thread = channels.Thread(id)
	}
	return receipt
}

// PushoverConfig is the stanza of notify/pushover.
type PushoverConfig struct {
	// Token is the application's.
	Token secret.String `yaml:"token"`
	// Priority is from -2 (silent) to 1 (past the quiet hours); see
	// https://pushover.net/api#priority.
	Priority int `yaml:"priority"`
}

// newPushover: https://pushover.net/api.
func newPushover(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var c PushoverConfig
	errs := errors.Join(decode(&c), required("token", !c.Token.Empty()))
	if c.Priority < -2 || c.Priority > 1 {
		errs = errors.Join(errs, errors.New("priority must be from -2 to 1"))
	}
	if errs != nil {
		return nil, errs
	}
	return newBridge(protocol{
		name: "Pushover", secrets: []secret.String{c.Token}, verdict: pushoverVerdict,
		part: 1_024, spec: channels.Spec{Limits: channels.Limits{SubjectRunes: 240}},
		open: func(call *call) (lib.Notifier, error) {
			return rest(call, request{
				url: "https://api.pushover.net/1/messages.json", kind: "application/x-www-form-urlencoded",
				body: func(subject, text string) ([]byte, error) {
					return []byte(url.Values{
						"token": {c.Token.Reveal()}, "user": {call.To.Address}, "title": {subject},
						"message": {text}, "priority": {strconv.Itoa(c.Priority)},
					}.Encode()), nil
				},
			}), nil
		},
		receipt: func(_ *call, r httpx.Response) channels.Receipt {
			return channels.Receipt{RemoteID: decoded[pushoverAnswer](r).Request}
		},
	}, env), nil
}

type pushoverAnswer struct {
	Status  *int   `json:"status"`
	Request string `json:"request"`
	User    string `json:"user"`
	Token   string `json:"token"`
}

func pushoverVerdict(r httpx.Response) meaning {
	a := decoded[pushoverAnswer](r)
	switch {
	case a.User == "invalid":
		return meaning{fault: channels.NoRecipient, why: "there is no such user or group key"}
	case a.Token == "invalid":
		return meaning{fault: channels.Unauthorized, why: "the application's token is not accepted"}
	case r.Status < 300 && (a.Status == nil || *a.Status != 1):
		return meaning{fault: channels.Rejected, why: "Pushover did not take the message"}
	case r.Status == http.StatusTooManyRequests: // the month's quota; the header has the end of the month
		return meaning{why: "the application's monthly quota is used up", wait: httpx.MaxWait}
	default:
		return meaning{}
	}
}

// RocketChatConfig is the stanza of notify/rocketchat.
type RocketChatConfig struct {
	// URL is the server's, https://chat.example.com.
	URL string `yaml:"url"`
	// UserID and Token are a personal access token of the bot's account.
	UserID string        `yaml:"user_id"`
	Token  secret.String `yaml:"token"`
	// AllowHTTP permits a URL without encryption. Loopback needs no permission.
	AllowHTTP bool `yaml:"allow_http"`
}

// newRocketChat: https://developer.rocket.chat/apidocs/post-message. Later updates
// go into the first one's thread.
func newRocketChat(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var c RocketChatConfig
	wrong := decode(&c)
	site, err := checkSite(c.URL, c.AllowHTTP)
	if err := errors.Join(wrong, err, required("user_id", c.UserID != "", "token", !c.Token.Empty())); err != nil {
		return nil, err
	}
	return newBridge(protocol{
		name: "Rocket.Chat", secrets: []secret.String{c.Token}, verdict: rocketChatVerdict, receipt: rocketChatReceipt,
		part: 4_700, spec: channels.Spec{Threads: true, Limits: channels.Limits{SubjectRunes: 250}}, // Message_MaxAllowedSize is 5000
		open: func(call *call) (lib.Notifier, error) {
			return rest(call, request{
				url:    site + "/api/v1/chat.postMessage",
				header: map[string]string{"X-Auth-Token": c.Token.Reveal(), "X-User-Id": c.UserID},
				body: jsonBody(func(subject, text string) any {
					m := map[string]any{"channel": call.To.Address, "text": joined(subject, text), "parseUrls": false}
					if call.Thread != "" {
						m["tmid"] = string(call.Thread)
					}
					return m
				}),
			}), nil
		},
	}, env), nil
}

type rocketChatAnswer struct {
	Success *bool  `json:"success"`
	Error   string `json:"error"`
	Type    string `json:"errorType"`
	Message struct {
		ID string `json:"_id"`
	} `json:"message"`
}

func rocketChatVerdict(r httpx.Response) meaning {
	a := decoded[rocketChatAnswer](r)
	text := a.Error + " " + a.Type
	switch {
	case r.Status < 300 && (a.Success == nil || !*a.Success):
		return meaning{fault: channels.Rejected, why: "Rocket.Chat did not take the message"}
	case strings.Contains(text, "invalid-channel"), strings.Contains(text, "invalid-room"), strings.Contains(text, "room-not-found"):
		return meaning{fault: channels.NoRecipient, why: "there is no such room, or the bot is not in it"}
	case r.Status == http.StatusBadRequest && strings.Contains(text, "error-too-many-requests"):
		return meaning{fault: channels.RateLimited}
	default:
		return meaning{}
	}
}

func rocketChatReceipt(c *call, r httpx.Response) channels.Receipt {
	id := decoded[rocketChatAnswer](r).Message.ID
	receipt := channels.Receipt{RemoteID: id, Thread: c.Thread}
	if c.Thread == "" {
		receipt.Thread = channels.Thread(id)
	}
	return receipt
}

func checkSite(raw string, plain bool) (string, error) {
	site, err := httpx.Site(raw, plain)
	if err != nil {
		return "", errors.New("url " + err.Error())
	}
	return site, nil
}
