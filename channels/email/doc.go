// Package email is the channel that sends mail through a relay (a submission
// server), over SMTP.
//
// # The message
//
// One message per recipient, multipart/alternative: the text (format=flowed, RFC
// 3676) first, then the HTML, each complete. All of it that is the same for every
// recipient is built once per rendering and kept; what differs (Date, Message-ID,
// To, In-Reply-To, References) is put in front. Nothing depends on when or how often
// it is tried: the Message-ID is <key@domain> of the delivery's key, and the Date is
// the time the update was accepted ([channels.Envelope].Accepted), which is what RFC
// 5322 section 3.6.1 asks for, the time the message was ready to be sent. So a
// second copy of an ambiguous delivery can be recognised as such by mail programs,
// and every attempt is byte for byte the same. (Where the envelope carries no time,
// the Date is the time of the attempt.)
//
// A part travels as 7bit if it is ASCII in lines of at most 998 octets, otherwise as
// quoted-printable: no relay needs 8BITMIME, and none re-encodes what it carries.
//
// The thread of an incident is the list of its Message-IDs. They become References,
// and the last of them In-Reply-To (RFC 5322 section 3.6.4); the first and the
// latest ten are kept. Auto-Submitted (RFC 3834) and X-Auto-Response-Suppress
// (MS-OXCMAIL 2.1.3.2.20) keep automatic answers away.
//
// No field can break out of its header: everything is cleaned of control characters
// and encoded (RFC 2047), and an address is checked by [CheckAddress] before it
// reaches a header or a command. Domains travel as punycode; a local part beyond
// ASCII needs a relay with SMTPUTF8 (RFC 6531).
//
// # The session
//
// STARTTLS (RFC 3207) is required unless `tls:` says otherwise; TLS is 1.2 or later
// and verified; credentials are never sent without it. STARTTLS is done here and not
// by the library, which would introduce itself as "localhost" before it, know no
// context, and keep the connection to itself.
//
// Sessions are pooled: at most max_sessions are open, each carries max_per_session
// messages, and one that was idle for idle_timeout is closed. After a success the next
// transaction simply begins; RSET is used only to leave a refused one, because the
// library says EHLO again after it.
//
// A session that the relay closed while it was idle is noticed when the next MAIL
// fails. Nothing of the message was sent then, so a new session is opened within the
// same attempt; it is the only thing ever done twice.
//
// The library knows no contexts and sets its own deadlines with every command. So
// the end of the attempt's context closes the connection under it.
//
// # The faults
//
// The enhanced status code (RFC 3463) decides, then the basic one (RFC 5321), then
// where in the exchange it was said: see classify. A connection lost, or time run
// out, after the final dot was sent whole and before the answer to it is Ambiguous;
// before that it is Unavailable. What is wrong with the relay, the certificate, the
// credentials or our own sender address is Unauthorized, which pauses the channel and
// tells the operator, instead of failing every recipient in turn.
package email
