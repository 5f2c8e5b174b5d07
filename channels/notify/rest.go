package notify

import (
	"encoding/json"
	"fmt"
	"net/http"

	lib "github.com/nikoksr/notify"
	libhttp "github.com/nikoksr/notify/service/http"

	"sitrep/channels/internal/httpx"
)

// request is a request to make through the library's http service.
type request struct {
	method string // empty means POST
	url    string
	header map[string]string
	kind   string // content type; empty means JSON
	body   func(subject, text string) ([]byte, error)
}

// rest makes an http service for one request.
func rest(c *call, r request) lib.Notifier {
	s := libhttp.New()
	s.WithClient(c.client)
	s.Serializer = asIs{}
	hook := &libhttp.Webhook{
		ContentType: r.kind, Method: r.method, URL: r.url, Header: http.Header{},
		BuildPayload: func(subject, text string) any { return built(r.body(subject, text)) },
	}
	if hook.Method == "" {
		hook.Method = http.MethodPost
	}
	if hook.ContentType == "" {
		hook.ContentType = "application/json"
	}
	s.PreSend(func(req *http.Request) error {
		// The library shares the webhook's header map with the request; this webhook
		// is for this call only, so nothing set here is sent by another.
		req.Header.Del("User-Agent") // the library's; ours is filled in below it
		for name, value := range r.header {
			req.Header.Set(name, value)
		}
		return nil
	})
	s.AddReceivers(hook)
	return s
}

// payload is a body already made, or why it could not be.
type payload struct {
	raw []byte
	err error
}

func built(raw []byte, err error) payload { return payload{raw, err} }

// asIs takes payloads as they are.
type asIs struct{}

// Marshal returns the payload's bytes.
func (asIs) Marshal(_ string, v any) ([]byte, error) {
	p, ok := v.(payload)
	if !ok {
		return nil, fmt.Errorf("unexpected payload %T", v)
	}
	return p.raw, p.err
}

// jsonBody makes a body of the document that doc makes.
func jsonBody(doc func(subject, text string) any) func(string, string) ([]byte, error) {
	return func(subject, text string) ([]byte, error) { return json.Marshal(doc(subject, text)) }
}

// decoded reads an answer. What cannot be read is left zero: then the status
// alone decides.
func decoded[T any](r httpx.Response) (doc T) {
	_ = json.Unmarshal(r.Body, &doc) // see above
	return doc
}

// joined is the whole message where a service has no subject.
func joined(subject, text string) string {
	if subject == "" {
		return text
	}
	return subject + "\n" + text
}
