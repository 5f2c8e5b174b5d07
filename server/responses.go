package server

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Security schemes of the API's description.
const (
	byToken = "token"
	byInput = "input"
)

// failures are the answers of an operation that are no success, each with why it is
// given.
func failures(op huma.Operation) map[int]string {
	all := map[int]string{
		http.StatusUnprocessableEntity: "The request has mistakes; all of them are named.",
		http.StatusTooManyRequests:     "More requests than are permitted in this time. Retry-After says how long to wait.",
		http.StatusServiceUnavailable:  "The ledger does not answer just now, or this process is shutting down. Nothing was done; Retry-After says when to try again.",
		http.StatusUnauthorized:        "There is no valid token.",
		http.StatusForbidden:           "The token does not permit it.",
	}
	if strings.Contains(op.Path, "{") {
		all[http.StatusNotFound] = "There is nothing of that name, or the token does not show it."
	}
	if op.Method == http.MethodPost {
		all[http.StatusRequestEntityTooLarge] = "The body is larger than is read."
		all[http.StatusUnsupportedMediaType] = "The body is of a kind that is not read here."
	}
	if strings.HasPrefix(op.Path, base+"/hooks/") {
		all[http.StatusUnauthorized] = "There is no such input, or this is not its secret or signature."
		delete(all, http.StatusForbidden)
		delete(all, http.StatusNotFound)
	}
	if op.OperationID == "send-update" {
		all[http.StatusConflict] = "Several updates of the incident came at once. Nothing was sent: try again."
	}
	return all
}

// fails documents how an operation fails: as a problem document, whatever the status.
func fails(api huma.API, op *huma.Operation) {
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	add := func(status, why string) {
		if op.Responses[status] == nil {
			op.Responses[status] = &huma.Response{
				Description: why,
				Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
			}
		}
	}
	for status, why := range failures(*op) {
		add(strconv.Itoa(status), why)
	}
	add("default", "What went wrong (RFC 9457)")
}

// exampleUpdate is the team's template, as an example.
const exampleUpdate = `### Enterprise ABC SEV1 outage - 7:20pm ET update

#### Status: Identified

#### Incident Time: 1 hour

Sign-in fails for some users. We know the cause and are rolling back.

#### Customer Impact

About a third of your users cannot sign in.

#### Next Update: 8:00pm ET
`

// exampleFields is the same by its fields.
func exampleFields() Submission {
	return Submission{
		Customer: "Enterprise ABC", Severity: "SEV1", Status: "identified", At: "7:20pm ET",
		Summary:        "Sign-in fails for some users. We know the cause and are rolling back.",
		CustomerImpact: "About a third of your users cannot sign in.", Next: "8:00pm ET",
	}
}
