// Package email is the channel that sends mail through relays (submission servers),
// over SMTP.
//
// # The message
//
// One message per recipient, multipart/alternative: the text (format=flowed, RFC
// 3676) first, then the HTML, each complete. All of it that is the same for every
// recipient is built once per rendering and kept; what differs (Date, Message-ID,
// To, Thread-Index, In-Reply-To, References) is put in front. Nothing depends on when
// or how often it is tried: the Message-ID is <key@domain> of the delivery's key, and
// the Date is the time the update was accepted ([channels.Envelope].Accepted), which is
// what RFC 5322 section 3.6.1 asks for, the time the message was ready to be sent. So a
// second copy of an ambiguous delivery can be recognised as such by mail programs,
// and every attempt is byte for byte the same. (Where the envelope carries no time,
// the Date is the time of the attempt.)
//
// A part travels as 7bit if it is ASCII in lines of at most 998 octets, otherwise as
// quoted-printable: no relay needs 8BITMIME, and none re-encodes what it carries. The built-in
// templates add nothing that is not ASCII, and no line that is longer.
//
// The thread of an incident is the list of its Message-IDs. They become References,
// and the last of them In-Reply-To (RFC 5322 section 3.6.4); the first and the
// latest ten are kept. For Exchange, which goes by headers of its own, Thread-Index is
// the same in all of a thread, and Thread-Topic is the subject without the square
// brackets it begins with, in which sitrep's own templates put what changes. A reader
// copies both into the properties it finds conversations by, the topic if the subject
// ends in it ([MS-OXCMAIL] section 2.2.3.2.7, [MS-OXOMSG] sections 2.2.1.2 and 2.2.1.3).
// Tests hold them to these documents; with an Exchange they were not tried.
//
// Auto-Submitted (RFC 3834) and X-Auto-Response-Suppress
// (MS-OXCMAIL 2.1.3.2.20) keep automatic answers away.
//
// No field can break out of its header: everything is cleaned of control characters
// and encoded (RFC 2047), and an address is checked by [CheckAddress] before it
// reaches a header or a command. Domains travel as punycode; a local part beyond
// ASCII needs a relay with SMTPUTF8 (RFC 6531).
//
// List-Id (RFC 2919) names the distribution list. Whoever is not of our own people gets
// List-Unsubscribe with List-Unsubscribe-Post (RFC 8058), if `unsubscribe` is configured:
// the URL ends in a token that holds the channel and the address and a MAC over them, see
// [UnsubscribeToken]. DKIM signatures (RFC 6376, RFC 8463) are made last, and the same on
// every attempt: the time in them is the Date's.
//
// # What comes back
//
// A message that the relay has taken can come back. Where the relay offers DSN (RFC 3461)
// it is asked to report failures and delays, with the headers only; ENVID is the delivery's
// key, and ORCPT the recipient as we know it. One that offers DSN and then does not know the
// parameters (500, 501, 502, 504, 555 without a reason of its own) gets the message
// again without them, within the same attempt, and after that success is not asked for an
// hour. With `bounces` each message has a return path of its own ([ReturnPath]): the
// delivery's key and a MAC over it, so that a report proves whose it is. It is the same on
// every attempt, for greylisting remembers it. [Channel.ReadReturnPath] and
// [Channel.ReadMessageID] tell the delivery; only the first of them proves anything.
//
// Whoever is required to be told ([channels.Envelope].Required) gets no way to unsubscribe.
//
// # The session
//
// STARTTLS (RFC 3207) is required unless `tls:` says otherwise; TLS is 1.2 or later
// and verified; credentials are never sent without it. STARTTLS is done here and not
// by the library, which would introduce itself as "localhost" before it, know no
// context, and keep the connection to itself. The library opens the session (EHLO,
// AUTH). With `window: 1` it also sends the messages: the way out where a relay does
// not bear what is done here.
//
// A session is a goroutine with a connection. Attempts queue up, and a session takes
// the next one when it has room for it, so what waits goes out together and what does
// not wait is not held up:
//
//   - with PIPELINING (RFC 2920) the body of one message and the envelope of the next
//     are one group: a round trip a message;
//   - with CHUNKING as well (RFC 3030) whole messages follow each other by BDAT, up to
//     `window` of them unanswered. A message that follows another has an RSET before
//     it, so that a refused one cannot drag the next along. A refusal halves the
//     window, a success widens it by one;
//   - otherwise one after another.
//
// At most max_sessions are open at a relay, each carries max_per_session messages and
// survives five refusals, and one that was idle for idle_timeout is closed. A relay that
// turns a session away while it has others gets no more than these for a minute; one
// that says 421 for too many messages gets fewer in a session. Of several relays those
// with the lowest priority number are used; one that cannot be reached, or that answers
// 421 or "too much" before it has looked at a message, rests for five seconds, doubling
// up to five minutes, as long as there is another.
//
// Attempts that end while sixteen or more messages are queued are told so together, sixteen
// at a time and five milliseconds late at most: with so many waiting, nobody is missed who
// could bring another.
//
// The relay may close a session while nobody uses it, or say 421 and mean all that
// follows in the window. A message of which it has looked at nothing goes to the head of
// the queue, once, within the same attempt; it is the only thing ever done twice. Into
// a session that was idle for more than a second no whole message is sent before it
// has answered.
//
// A message waits for a session for at most connect_timeout and command_timeout together;
// then it goes back as Unavailable. One that a session gave back has what is left of
// that. What a session has begun has the relay's time-outs for itself, so a long queue
// does not cut short the answer that a slow relay needs ten minutes for (RFC 5321 section
// 4.5.3.2.6). In a window an answer's time begins with the answer before it. No time-out of
// a relay ends early; it may end late by a hundredth of itself, or a second, whichever is
// less.
//
// [Channel.Inspect] opens a session of its own with each relay and goes as far as MAIL, a
// probe goes as far as RCPT, in the sessions that there are; neither sends anything.
//
// The library knows no contexts, and a message cannot be stopped half-way. So the end
// of an attempt's context takes it back if it is queued, and otherwise closes the
// connection, with all that is under way on it. What was sent whole and not answered is
// Ambiguous then, in a window several messages; the rest is not.
//
// # The faults
//
// The enhanced status code (RFC 3463) decides, then the basic one (RFC 5321), then
// where in the exchange it was said: see classify. A connection lost, or time run
// out, after the message was sent whole and before the answer to it is Ambiguous;
// before that it is Unavailable. What is wrong with the relay, the certificate, the
// credentials or our own sender address is Unauthorized, which pauses the channel and
// tells the operator, instead of failing every recipient in turn.
package email
