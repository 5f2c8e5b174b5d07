package dispatcher

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// rowOf is the update as the ledger takes it.
func rowOf(p Prepared, now time.Time) (ledger.Update, error) {
	u := p.Update
	content, err := json.Marshal(u)
	if err != nil {
		return ledger.Update{}, fmt.Errorf("write down the update: %w", err)
	}
	return ledger.Update{
		Key: u.Key, Incident: u.Incident, Customer: u.Customer, Seq: u.Seq,
		Status: string(u.Status), Title: titleOf(u), At: u.At, Accepted: now, Next: u.Next,
		Source: strings.ToValidUTF8(string(p.Source), "\uFFFD"), Override: p.override, Content: content,
	}, nil
}

// titleOf is one line for reports, for our own people.
func titleOf(u incident.Update) string {
	return strings.Join(strings.Fields(u.CustomerName+" "+u.Severity.String()), " ") + ": " + u.Status.Title()
}

// Content is the resolved update that a ledger row holds, as it was when it was
// accepted: for showing or rendering it again.
func Content(row ledger.Update) (incident.Update, error) {
	var u incident.Update
	if err := json.Unmarshal(row.Content, &u); err != nil {
		return incident.Update{}, fmt.Errorf("read update %s from the ledger: %w", row.Key, err)
	}
	return u, nil
}
