// Package notify is the bridge to github.com/nikoksr/notify for the long tail of
// chat and paging services: one channel kind for each, "notify/slack",
// "notify/discord" and so on. Each sends the plain form of an update
// (channels.FormatChat): Subject, then Text.
//
// # What the bridge adds
//
// The library's Send joins receivers, loses causes and knows no deadlines. The
// bridge restores the contract of package channels:
//
//   - One service value per delivery, with exactly one receiver: so no receiver
//     is told twice because another one failed, and none (which the library
//     reports as success) is refused.
//   - A deadline around every call. A call that outlives it is abandoned and
//     reported as Ambiguous; no more than a few abandoned calls are
//     tolerated before the channel says Unavailable.
//   - A panic in a service is an error of this one delivery.
//   - What happened on the wire decides the fault, not the library's text: the
//     status, the service's own error code and how long it asks to wait.
//   - A text that is too long for one message of a service becomes several, divided
//     between paragraphs and numbered.
//   - No error shows a token or a webhook's URL (the library's do).
//   - No service is asked for anything when the configuration is read.
//
// # Which of the library's services are used
//
// Its slack, telegram, msteams, pagerduty and http services, with our own HTTP
// client where they take one. Its discord, pushover, rocketchat and matrix
// services hide their client and with it the answer: discord sleeps through a 429
// and sends again by itself, without end and ignoring the context; matrix drops the
// subject and the cause of a failure; rocketchat and pushover ignore the context and
// drop the status. These four are spoken to in their own documented protocol
// through the library's http service. hazard_test.go pins each of these facts:
// when one of its tests fails, a newer version of the library has mended it.
package notify

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"sitrep/channels"
)

// service is what is particular to one of the services.
type service struct {
	new     channels.New
	config  any
	address func(string) error
}

var services = map[string]service{
	"notify/discord":    {newDiscord, DiscordConfig{}, discordAddress},
	"notify/http":       {newHTTP, HTTPConfig{}, idAddress},
	"notify/matrix":     {newMatrix, MatrixConfig{}, matrixAddress},
	"notify/msteams":    {newTeams, TeamsConfig{}, idAddress},
	"notify/pagerduty":  {newPagerDuty, PagerDutyConfig{}, pagerDutyAddress},
	"notify/pushover":   {newPushover, PushoverConfig{}, pushoverAddress},
	"notify/rocketchat": {newRocketChat, RocketChatConfig{}, rocketChatAddress},
	"notify/slack":      {newSlack, SlackConfig{}, slackAddress},
	"notify/telegram":   {newTelegram, TelegramConfig{}, telegramAddress},
}

// Kinds returns the kinds of this package by name. The map is the caller's.
func Kinds() map[string]channels.Kind {
	kinds := make(map[string]channels.Kind, len(services))
	for _, name := range slices.Sorted(maps.Keys(services)) {
		s := services[name]
		kinds[name] = channels.Kind{New: s.new, Config: s.config, Address: s.address}
	}
	return kinds
}

// pattern makes an address check.
func pattern(re, hint string) func(string) error {
	compiled := regexp.MustCompile(re)
	return func(a string) error {
		if compiled.MatchString(a) {
			return nil
		}
		return fmt.Errorf("address %q: %s", a, hint)
	}
}

var (
	discordAddress    = pattern(`^[0-9]{15,21}$`, "use the id of the Discord channel (a number; switch on developer mode and choose Copy Channel ID)")
	matrixAddress     = pattern(`^![^\s:/]+(:[^\s/]+)?$`, "use the room's internal id, like !abcdef:example.org (room settings, Advanced)")
	pagerDutyAddress  = pattern(`^[A-Z0-9]{6,20}$`, "use the id of the PagerDuty service, like PABC123 (the end of its address)")
	pushoverAddress   = pattern(`^[A-Za-z0-9]{30}$`, "use the 30-character user or group key of Pushover")
	rocketChatAddress = pattern(`^([#@]?[^\s#@/]+)$`, "use #channel, @user or a room id")
	slackAddress      = pattern(`^([CGDU][A-Z0-9]{7,20}|#[^\s#]{1,80})$`, "use the id of the Slack channel, like C0123456789 (channel details, at the bottom), or #name")
	telegramAddress   = pattern(`^-?[1-9][0-9]{0,18}$`, "use the numeric chat id of Telegram (groups' are negative)")
	idAddress         = pattern(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`, "use the id of one of the channel's webhooks; the URL itself is a secret and stays in the channel's configuration")
)

// required reports settings that are empty. Pairs of name and whether it is there.
func required(pairs ...any) error {
	var errs []error
	for i := 0; i+1 < len(pairs); i += 2 {
		if there, ok := pairs[i+1].(bool); ok && !there {
			errs = append(errs, fmt.Errorf("%v is missing", pairs[i]))
		}
	}
	return errors.Join(errs...)
}
