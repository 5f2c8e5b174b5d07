// Package bounces receives returned mail, reads it, finds the delivery that it is
// about, and records what became of it.
//
// # What comes back
//
// [Read] takes any message and says what it is: a [Failure] (the message was returned),
// a [Delay] (it did not arrive yet and is still being tried), an [AutoReply] (nobody
// reads these), or [Other]. It knows the standard reports (RFC 3464, RFC 6533), what
// qmail, Exim, old Sendmail and Exchange write instead, and the plain words of Postfix,
// Gmail, Outlook and Yahoo. It looks at the first megabyte of a message, at fifty parts
// and five levels of them, and never fails over what is in it.
//
// The status code (RFC 3463) says why, see classify. Only where it says that there is no
// such address, and the remote side's own words do not say otherwise, is the address one
// to be suppressed. A full mailbox or a policy passes.
//
// # Whose it is
//
// Who wants a customer not to hear of an outage could send us reports that he made up.
// Nothing in a report is secret: every recipient of a message knows its Message-ID and
// its ENVID, and can guess those of others' from how they are made. So:
//
//   - Where return paths carry a MAC ([Options].ReadReturnPath), the address that a
//     report was sent to is the proof, and the only one. A wrong or missing MAC changes
//     nothing, whatever else in the report is right.
//   - Where they do not, a report is believed only if the operator trusts whoever handed
//     it over (the relay's network, the mailbox), and it names the delivery by ENVID or
//     Message-ID, and every one of these names the same one, and it names the delivery's
//     address as the recipient.
//   - In both cases the delivery must have been sent by this channel. One that is not in
//     the ledger is nobody's.
//
// With a right MAC the report may name another recipient: the address may be an alias,
// or forwarded. Such a report is kept, for the message did not arrive where it was to go,
// but suppresses nothing: the address itself exists.
//
// Whoever received a message can still return it, or let its server do so, and then is
// not written to any more. That is their right, as it is to unsubscribe; recipients that
// have to be told ([Options].Required) are never suppressed, and the operator hears of
// each of their bounces instead. A report that comes twice changes nothing the second
// time, so an old one cannot suppress an address again that a person has lifted.
//
// # How it comes
//
// By a [Listener], to which the mail server passes on what is for the bounce address
// (SMTP or LMTP, TCP or a socket), or a [Fetcher], which reads a mailbox by IMAP. Either
// lets go of a message only after the ledger has recorded it: until then the answer is
// 4xx, or the message stays unseen, and it comes again. The listener takes mail for the
// bounce address and its return paths only, and passes nothing on, ever. Nothing here
// sends mail, so no report can be answered and no loop can begin.
//
// Bodies are never logged, and of a report only the remote side's reason is kept, cleaned
// and cut.
package bounces
