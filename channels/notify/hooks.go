package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	lib "github.com/nikoksr/notify"
	libteams "github.com/nikoksr/notify/service/msteams"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

// Webhook is a URL that takes messages. The URL is a credential, so lists name it
// by its id.
type Webhook struct {
	ID  string        `yaml:"id"`
	URL secret.String `yaml:"url"`
}

// TeamsConfig is the stanza of notify/msteams.
type TeamsConfig struct {
	// Webhooks are the URLs of the Workflows "Post to a channel when a webhook
	// request is received".
	Webhooks []Webhook `yaml:"webhooks"`
}

// HTTPConfig is the stanza of notify/http: JSON to any URL,
// {"key", "subject", "message"}, with the key in the header webhook-id too.
type HTTPConfig struct {
	Webhooks []HTTPWebhook `yaml:"webhooks"`

	// AllowHTTP permits URLs without encryption. Loopback needs no permission.
	AllowHTTP bool `yaml:"allow_http"`
}

// HTTPWebhook is one URL of notify/http.
type HTTPWebhook struct {
	ID  string        `yaml:"id"`
	URL secret.String `yaml:"url"`

	// Token is sent as "Authorization: Bearer …", if there is one.
	Token secret.String `yaml:"token"`

	// SigningKey (whsec_…) signs requests as https://www.standardwebhooks.com/ has
	// it, if there is one.
	SigningKey secret.String `yaml:"signing_key"`
}

// checkHooks reports every mistake in a list of webhooks and indexes it.
func checkHooks(list []Webhook, plain bool) (map[string]Webhook, error) {
	var errs []error
	byID := map[string]Webhook{}
	if len(list) == 0 {
		errs = append(errs, errors.New("webhooks is empty: give at least one id and url"))
	}
	for i, h := range list {
		if err := idAddress(h.ID); err != nil {
			errs = append(errs, fmt.Errorf("webhooks[%d]: id %q: use letters, digits, dots, - and _", i, h.ID))
		}
		if _, twice := byID[h.ID]; twice {
			errs = append(errs, fmt.Errorf("webhooks[%d]: the id %q is there twice", i, h.ID))
		}
		if _, err := httpx.Site(h.URL.Reveal(), plain); err != nil {
			errs = append(errs, fmt.Errorf("webhooks[%d] (%s): url %w", i, h.ID, err))
		}
		byID[h.ID] = h
	}
	return byID, errors.Join(errs...)
}

func unknownHook(name, id string) error {
	return channels.Errorf(channels.NoRecipient, "%s: no webhook has the id %q; add it to the channel's webhooks, or mend the list", name, id)
}

// hookVerdict: each webhook has its own credential, so a refusal concerns this
// delivery and not the channel, and is mended in the configuration under the same id.
func hookVerdict(r httpx.Response) meaning {
	switch r.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return meaning{fault: channels.Rejected, why: "the webhook does not take messages any more; make a new one and put its URL into the configuration"}
	case http.StatusGone:
		return meaning{fault: channels.NoRecipient, why: "the webhook was removed for good"}
	default:
		return meaning{}
	}
}

func newTeams(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var c TeamsConfig
	wrong := decode(&c)
	hooks, err := checkHooks(c.Webhooks, false)
	if err := errors.Join(wrong, err); err != nil {
		return nil, err
	}
	return newBridge(protocol{
		name: "Teams", secrets: urls(c.Webhooks), verdict: teamsVerdict,
		// A card may have 28 KB; one that is larger is accepted and never shown.
		part: 5_000, spec: channels.Spec{Limits: channels.Limits{SubjectRunes: 250}},
		open: func(call *call) (lib.Notifier, error) {
			hook, ok := hooks[call.To.Address]
			if !ok {
				return nil, unknownHook("Teams", call.To.Address)
			}
			s := libteams.New()
			s.DisableWebhookValidation() // it knows not all of Microsoft's hosts
			s.WithWrapText(true)         // or a card shows one line
			s.SetHTTPClient(call.client)
			s.AddReceivers(hook.URL.Reveal())
			// A card joins lines; a blank line between them keeps them.
			call.Message.Text = strings.ReplaceAll(call.Message.Text, "\n", "\n\n")
			return s, nil
		},
	}, env), nil
}

// teamsVerdict knows that the old connectors answer 200 with the text of an error.
func teamsVerdict(r httpx.Response) meaning {
	if body := strings.TrimSpace(string(r.Body)); r.Status == http.StatusOK && body != "1" && body != "" {
		if strings.Contains(body, "429") {
			return meaning{fault: channels.RateLimited, why: "Teams asks to slow down"}
		}
		return meaning{fault: channels.Rejected, why: "Teams refused the message"}
	}
	return hookVerdict(r)
}

func urls(hooks []Webhook) []secret.String {
	var all []secret.String
	for _, h := range hooks {
		all = append(all, h.URL)
	}
	return all
}

func newHTTP(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var c HTTPConfig
	errs := []error{decode(&c)}
	var list []Webhook
	secrets, more := []secret.String{}, map[string]HTTPWebhook{}
	for i, h := range c.Webhooks {
		list, more[h.ID] = append(list, Webhook{h.ID, h.URL}), h
		secrets = append(secrets, h.URL, h.Token, h.SigningKey)
		if _, err := signingKey(h.SigningKey); err != nil {
			errs = append(errs, fmt.Errorf("webhooks[%d] (%s): %w", i, h.ID, err))
		}
	}
	_, err := checkHooks(list, c.AllowHTTP)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	now := env.Now
	if now == nil {
		now = time.Now
	}
	return newBridge(protocol{
		name: "HTTP", secrets: secrets, verdict: hookVerdict,
		spec: channels.Spec{Limits: channels.Limits{SubjectRunes: 250}},
		open: func(call *call) (lib.Notifier, error) {
			hook, ok := more[call.To.Address]
			if !ok {
				return nil, unknownHook("HTTP", call.To.Address)
			}
			return openHTTP(call, hook, now())
		},
	}, env), nil
}

func openHTTP(call *call, hook HTTPWebhook, now time.Time) (lib.Notifier, error) {
	key, err := signingKey(hook.SigningKey)
	if err != nil {
		return nil, channels.Errorf(channels.Rejected, "HTTP: %w", err)
	}
	body, err := jsonBody(func(subject, text string) any {
		return map[string]string{"key": call.Key, "subject": subject, "message": text}
	})(call.Message.Subject, call.Message.Text)
	if err != nil {
		return nil, channels.Errorf(channels.Rejected, "HTTP: encode the message: %w", err)
	}
	header := map[string]string{"webhook-id": call.Key, "webhook-timestamp": strconv.FormatInt(now.Unix(), 10)}
	if !hook.Token.Empty() {
		header["Authorization"] = "Bearer " + hook.Token.Reveal()
	}
	if len(key) > 0 {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", call.Key, header["webhook-timestamp"], body)
		header["webhook-signature"] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return rest(call, request{
		url: hook.URL.Reveal(), header: header, body: func(string, string) ([]byte, error) { return body, nil },
	}), nil
}

// signingKey decodes a Standard Webhooks secret; none is none.
func signingKey(s secret.String) ([]byte, error) {
	if s.Empty() {
		return nil, nil
	}
	raw, ok := strings.CutPrefix(s.Reveal(), "whsec_")
	key, err := base64.StdEncoding.DecodeString(raw)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("signing_key must be whsec_ and 24 to 64 bytes in base64 (make one with: openssl rand -base64 32)")
	}
	return key, nil
}
