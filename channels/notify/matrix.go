package notify

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	lib "github.com/nikoksr/notify"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

// MatrixConfig is the stanza of notify/matrix. Rooms must not be encrypted.
type MatrixConfig struct {
	// URL is the homeserver's, https://matrix.example.org.
	URL string `yaml:"url"`
	// Token is an access token of the bot's account.
	Token secret.String `yaml:"token"`
	// AllowHTTP permits a URL without encryption. Loopback needs no permission.
	AllowHTTP bool `yaml:"allow_http"`
}

// newMatrix: https://spec.matrix.org/v1.13/client-server-api/ (sending events). The
// delivery's key is the transaction id, so a repeated attempt shows once; later
// updates go into the first one's thread.
func newMatrix(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var c MatrixConfig
	wrong := decode(&c)
	site, err := checkSite(c.URL, c.AllowHTTP)
	if err := errors.Join(wrong, err, required("token", !c.Token.Empty())); err != nil {
		return nil, err
	}
	return newBridge(protocol{
		name: "Matrix", secrets: []secret.String{c.Token}, verdict: matrixVerdict, receipt: matrixReceipt, safe: true,
		part: 12_000, spec: channels.Spec{Threads: true, Limits: channels.Limits{SubjectRunes: 250}}, // an event has 65 536 bytes
		open: func(call *call) (lib.Notifier, error) {
			return rest(call, request{
				method: http.MethodPut,
				url:    site + "/_matrix/client/v3/rooms/" + url.PathEscape(call.To.Address) + "/send/m.room.message/" + url.PathEscape(call.Key),
				header: map[string]string{"Authorization": "Bearer " + c.Token.Reveal()},
				body:   jsonBody(func(subject, text string) any { return matrixMessage(call, subject, text) }),
			}), nil
		},
	}, env), nil
}

func matrixMessage(c *call, subject, text string) any {
	m := map[string]any{
		"msgtype": "m.notice", // what a bot says
		"body":    joined(subject, text),
		// Present and empty: nobody is mentioned, whatever the text says.
		"m.mentions": map[string]any{},
	}
	if c.Thread != "" {
		m["m.relates_to"] = map[string]any{
			"rel_type": "m.thread", "event_id": string(c.Thread), "is_falling_back": true,
			"m.in_reply_to": map[string]string{"event_id": string(c.Thread)},
		}
	}
	return m
}

func matrixVerdict(r httpx.Response) meaning {
	doc := decoded[struct {
		Code string `json:"errcode"`
		Wait int64  `json:"retry_after_ms"`
	}](r)
	switch {
	case doc.Code == "M_LIMIT_EXCEEDED":
		return meaning{fault: channels.RateLimited, wait: time.Duration(min(doc.Wait, httpx.MaxWait.Milliseconds())) * time.Millisecond}
	case doc.Code == "M_UNKNOWN_TOKEN", doc.Code == "M_MISSING_TOKEN", doc.Code == "M_USER_DEACTIVATED":
		return meaning{fault: channels.Unauthorized, why: "the access token is not accepted"}
	case doc.Code == "M_FORBIDDEN":
		return meaning{fault: channels.Rejected, why: "the bot's account is not in the room or may not write there; invite it, and let it join"}
	case doc.Code == "M_NOT_FOUND", r.Status == http.StatusNotFound:
		return meaning{fault: channels.NoRecipient, why: "there is no such room"}
	default:
		return meaning{}
	}
}

func matrixReceipt(c *call, r httpx.Response) channels.Receipt {
	id := decoded[struct {
		ID string `json:"event_id"`
	}](r).ID
	receipt := channels.Receipt{RemoteID: id, Thread: c.Thread}
	if c.Thread == "" {
		receipt.Thread = channels.Thread(id)
	}
	if id != "" {
		receipt.Permalink = "https://matrix.to/#/" + url.PathEscape(c.To.Address) + "/" + url.PathEscape(id)
	}
	return receipt
}
