package incident

import (
	"encoding/json"
	"fmt"
	"time"
)

// recorded is an Update without its methods, so that the two below do not call
// themselves.
type recorded Update

type record struct {
	recorded
	Zone string // a time.Location has no fields that JSON could keep
}

// MarshalJSON writes u for the record, with the zone by its name.
func (u Update) MarshalJSON() ([]byte, error) {
	r := record{recorded: recorded(u)}
	if u.Zone != nil {
		r.Zone = u.Zone.String()
	}
	return json.Marshal(r)
}

// UnmarshalJSON reads what MarshalJSON wrote. A zone that this machine does not
// know is an error, because every displayed time depends on it.
func (u *Update) UnmarshalJSON(data []byte) error {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	if r.Zone != "" {
		zone, err := time.LoadLocation(r.Zone)
		if err != nil {
			return fmt.Errorf("time zone of a recorded update: %w", err)
		}
		r.recorded.Zone = zone
	}
	*u = Update(r.recorded)
	return nil
}
