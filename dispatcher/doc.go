// Package dispatcher takes an update in and sees to it that every recipient's
// delivery reaches an outcome.
//
//	Prepare  read → resolve → plan → render → leak guard     (records nothing)
//	Publish  update and recipients, one durable transaction  (the sender's call returns)
//	Run      lanes: claim → attempt → settle                 (until stopped)
//	Work     the same, until nothing is pending
//
// # What it promises
//
//   - What was published reaches an outcome. The ledger is the queue: a process that
//     dies loses nothing, and whatever it was doing is found interrupted.
//   - At least once, and honest about it. Keys follow from the content (see
//     [DeliveryKey]). An attempt that may have arrived is looked into where the
//     channel can (channels.Finder); else the channel's policy decides, and what
//     nobody can tell ends as unknown.
//   - Order and supersession are the ledger's; the dispatcher never attempts what it
//     has not claimed, nor what it may have lost the lease of.
//   - One bad recipient harms nobody else, and one slow channel delays no other:
//     each channel is a lane with its own workers. A panic in a channel is an
//     ambiguous attempt of one delivery.
//   - Retries end by age. In between they wait with full jitter, never less than the
//     remote side asked for, and never more than an hour.
//   - A channel that limits or refuses us rests as a whole, durably, and comes back
//     with one attempt at a time until one gets through.
//   - A clock that is set, forward or back, loses nothing, sends nothing twice and
//     leaves nothing waiting: see clock.go. What it makes look too old and was never
//     tried is tried once.
//   - Nothing is sent to anybody when the leak guard finds something, unless a reason
//     is put on record.
//
// # Many recipients
//
// Who is told is decided for classes of recipients, which differ in nothing but
// address and name; so a plan costs as much for a hundred thousand as for a hundred,
// and holds as much. The recipients of a large customer are put into the ledger as a
// roster when the program begins and when its configuration changes. An update for
// more than five hundred is accepted with its first few hundred deliveries; what it
// decided about the others is frozen beside them (who, by which roster; as what, by
// which words; until when), and whoever is at work writes them down, chunk by chunk.
// One function makes the deliveries of both. Whether an address is still written to
// is looked up when its delivery is written down.
//
// # Goroutines
//
// Prepare and Publish start none. Run and Work own, until they return: per lane a
// feeder, which claims ahead of the workers and otherwise sleeps, and its workers;
// one settler, which records results in groups; one keeper of the lease; one
// expander, which writes down what large updates have left. Run also owns a keeper of
// the rosters. A worker calls its channel itself. If that ignores its deadline, the
// lane leaves the call and its goroutine alone, and another takes the worker's place;
// such a goroutine is the channel's, and may outlive Run. Stopping ends the others in
// this order: feeders, workers (attempts in flight have a grace), settler.
//
// # What a fault leads to
//
//	none          delivered
//	unavailable   again, with back-off, until the delivery's age ends it
//	rate_limited  the channel rests as long as it was asked to; then again
//	unauthorized  the channel rests for one to five minutes; then again
//	no_recipient  failed, and the address is not written to any more (unless a contract requires it)
//	rejected      failed
//	ambiguous     ask the channel before sending again; if it cannot tell: resend or unknown
package dispatcher
