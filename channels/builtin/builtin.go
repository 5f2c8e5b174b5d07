// Package builtin is the only list of channels. Adding one is a line here, a row
// in the README and a stanza in config.example.yaml; a test fails if one is
// missing.
package builtin

import (
	"maps"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/channels/mattermost"
	"sitrep/channels/notify"
	"sitrep/channels/page"
)

// Kinds returns every kind of channel by the word that selects it in the
// configuration. The map is the caller's.
func Kinds() map[string]channels.Kind {
	kinds := map[string]channels.Kind{
		"email":      email.Kind(),
		"mattermost": mattermost.Kind(),
		"page":       page.Kind(),
	}
	maps.Copy(kinds, notify.Kinds())
	return kinds
}
