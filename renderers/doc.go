// Package renderers turns an update into the messages that channels carry. It is the
// border between those who know incidents and those who know protocols, and it is
// where the rules that make an update safe to send live. Everything in it is a pure
// function: the same request gives the same bytes.
//
// # What it promises
//
//   - The audience firewall is one function, [Visible]. A template is given a [View],
//     which holds only what the audience may see, so no template can show more. The
//     leak guard ([Policy.Guard]) then reads the finished message once more.
//   - A section is parsed as Markdown once and walked for each format. HTML in it is
//     text. Images are links. A link leads to http, https or mailto or is text, and
//     one whose text names another host than it leads to says so.
//   - Nothing is lost and nothing is cut. What does not fit in one post goes on in the
//     next, divided at a paragraph where possible; what cannot be divided is an error
//     for the author, with the line.
//   - Every text is hostile. It is valid UTF-8 without control characters and
//     bidirectional overrides; in chat no "@" mentions anybody (U+200B follows it) and
//     Slack's <…> syntax is broken; a subject is one line; HTML is escaped and then
//     sanitised. An operator's template is held to the same.
//   - Times are in the reader's zone with UTC beside them; [Request.Locale] chooses the
//     12-hour clock for American English. The words are English.
//   - A status is told by word, shape and colour; in e-mail every pair of colours
//     passes WCAG AA, in light and in dark.
//
// # Templates
//
// The built-in templates are in templates/. [Load] lays an operator's over them and
// says how they are named; [Set.Verify] proves that with a given configuration none
// of them shows what it must not. A template that fails when an update is sent is
// replaced by the built-in one, and [Rendered.Fallback] says why.
//
// # Choices worth knowing
//
// The subject of an e-mail begins with the status and the severity in square brackets.
// What follows is the same for all updates of an incident, because mail programs make
// threads by it and leave the brackets out: the customer's name, or what the public may
// call it, and the incident's id where the audience may know it. A name or an id of more
// than 100 characters is shortened there, and only there. A reminder by e-mail has the
// same words after its brackets. A channel of [channels.FormatText] or
// [channels.FormatChat] needs no brackets, so there the subject is one sentence; the text
// of a chat message does not repeat it.
//
// A line break in a paragraph is kept if the line could have held the next word
// within 60 columns, as in chat, and is a space if the line was full, as in text
// that an editor wrapped.
package renderers
