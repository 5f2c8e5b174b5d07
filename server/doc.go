// Package server is sitrep over HTTP: the API that people and tools send through,
// the status pages, metrics and health.
//
//	/api/v1/…             the API; its description is docs/openapi.json, and is served
//	                      as /api/v1/openapi.json and /api/v1/openapi.yaml
//	/metrics              for Prometheus
//	/healthz, /readyz     for whoever watches the process
//	/u/… or the like      where recipients sign off by themselves, see [Exit]
//	everything else       the status pages
//
// # Who may do what
//
// A caller is a token (Authorization: Bearer …) or comes by a Unix socket, whose
// file permission is then what admits it (see [Local]). A token has a role and is
// for some customers or all.
//
//	viewer   incidents, updates, deliveries, lists, who, events: no message bodies,
//	         no sources of updates
//	author   and those; sends, previews, retries, cancels, drafts
//	admin    and issues and revokes tokens, for no more customers than its own
//
// # What it promises
//
//   - No token, a wrong one, one that is revoked or has expired: the same 401. A role
//     that is not enough: the same 403. A customer outside a token's scope cannot be
//     told from one that does not exist, whichever way it is asked for: by name, by
//     incident, by update, by key, in the text of an update, by events or by counts.
//   - Every error is an RFC 9457 problem document ([Problem]), also those that no
//     handler of ours wrote; what an author can mend is in its problems, all at once,
//     each with its line in the update. (People who sign off get pages, see [Exit].)
//   - What is answered with 202 is on disk: see [ledger.Intake].
//   - A request's body is read whole, bounded in size and time, before anything is
//     done about it; a reader of events that does not read is let go.
//   - Tokens are 256 random bits, shown once and kept as SHA-256. Neither they nor the
//     secrets of inputs appear in a log, an answer or an error.
//
// # Time and goroutines
//
// The package starts no goroutines of its own. Readers of events follow the ledger's
// change feed; [Server.Event] wakes them at once for what this process did, and they
// look once a second for what others did.
package server
