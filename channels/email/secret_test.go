package email_test

import (
	"encoding/base64"
	"testing"

	"sitrep/channels/channeltest"
)

// noCredential fails the test if the password shows in err in any of the forms in which
// it crosses the wire.
func noCredential(t *testing.T, err error) {
	t.Helper()
	for _, form := range []string{password, "\x00sitrep\x00" + password, "user=sitrep\x01auth=Bearer " + password + "\x01\x01"} {
		channeltest.NoLeak(t, err, form)
		channeltest.NoLeak(t, err, base64.StdEncoding.EncodeToString([]byte(form)))
	}
}
