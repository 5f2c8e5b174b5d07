package notify

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	tgbotapi "github.com/go-telegram-bot-api/telegram-bot-api"
	lib "github.com/nikoksr/notify"
	libtelegram "github.com/nikoksr/notify/service/telegram"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

// TelegramConfig is the stanza of notify/telegram.
type TelegramConfig struct {
	// Token is the bot's, from BotFather.
	Token secret.String `yaml:"token"`
}

func newTelegram(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var c TelegramConfig
	if err := errors.Join(decode(&c), required("token", !c.Token.Empty())); err != nil {
		return nil, err
	}
	return newBridge(protocol{
		name: "Telegram", secrets: []secret.String{c.Token}, verdict: telegramVerdict, receipt: telegramReceipt,
		// 4096 characters after entity parsing, with the subject.
		part: 3_800, spec: channels.Spec{Limits: channels.Limits{SubjectRunes: 250}},
		open: func(call *call) (lib.Notifier, error) {
			chat, err := strconv.ParseInt(call.To.Address, 10, 64)
			if err != nil {
				return nil, channels.Errorf(channels.NoRecipient, "Telegram: %w", telegramAddress(call.To.Address))
			}
			s := new(libtelegram.Telegram) // its New asks the network who the bot is
			s.SetClient(&tgbotapi.BotAPI{Token: c.Token.Reveal(), Client: call.client})
			s.AddReceivers(chat)
			// The library sends in HTML mode; the mode is a global of its package.
			call.Message.Subject, call.Message.Text = telegramText.Replace(call.Message.Subject), telegramText.Replace(call.Message.Text)
			return s, nil
		},
	}, env), nil
}

// telegramText escapes for HTML mode, https://core.telegram.org/bots/api#html-style.
var telegramText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// telegramAnswer is the envelope of every answer of the Bot API.
type telegramAnswer struct {
	OK          bool                         `json:"ok"`
	Description string                       `json:"description"`
	Parameters  *tgbotapi.ResponseParameters `json:"parameters"`
	Result      struct {
		ID int `json:"message_id"`
	} `json:"result"`
}

func telegramVerdict(r httpx.Response) meaning {
	a := decoded[telegramAnswer](r)
	text := strings.ToLower(a.Description)
	switch {
	case r.Status == http.StatusUnauthorized, r.Status == http.StatusNotFound:
		return meaning{fault: channels.Unauthorized, why: "the bot's token is not accepted"}
	case r.Status == http.StatusForbidden:
		return meaning{fault: channels.NoRecipient, why: "the bot was blocked by the user or removed from the group"}
	case a.Parameters != nil && a.Parameters.MigrateToChatID != 0:
		return meaning{fault: channels.NoRecipient, why: fmt.Sprintf("the group has a new id, write %d in the list", a.Parameters.MigrateToChatID)}
	case strings.Contains(text, "chat not found"), strings.Contains(text, "user is deactivated"):
		return meaning{fault: channels.NoRecipient, why: "there is no such chat, or nobody there has talked to the bot yet"}
	case a.Parameters != nil:
		return meaning{wait: time.Duration(a.Parameters.RetryAfter) * time.Second}
	default:
		return meaning{}
	}
}

func telegramReceipt(_ *call, r httpx.Response) channels.Receipt {
	id := decoded[telegramAnswer](r).Result.ID
	if id == 0 {
		return channels.Receipt{}
	}
	return channels.Receipt{RemoteID: strconv.Itoa(id)}
}
