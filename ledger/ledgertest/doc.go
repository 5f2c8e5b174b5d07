// Package ledgertest is the contract of package ledger as a suite of tests. Every
// engine runs it and passes all of it; nothing in it knows which engine it is.
//
//	func TestContract(t *testing.T) {
//		ledgertest.Run(t, ledgertest.Engine{Open: openTemporary})
//	}
//
// Time is a parameter of every method under test, so no test sleeps, and each runs
// on a store of its own. When one is over, the change feed is compared with what has
// become of every delivery, so each test also looks for methods that forget the feed.
// [BenchmarkAccept] and [BenchmarkWork] measure an engine's two hot paths the same way
// on each, [BenchmarkSizes] what size does to the cost of a delivery.
package ledgertest
