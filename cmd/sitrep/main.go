// Command sitrep sends one incident status update to every channel of a customer's
// distribution lists and accounts for every single delivery.
//
// One file a command; app.go holds what they share, open.go wires the house
// together. main is only a socket: the program is run, so that tests can start it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones also where the system has none
)

// Exit codes. They are documented in `sitrep help exit-codes` and the README and do
// not change meaning.
const (
	exitOK      = 0 // everything asked for was done; for send: all delivered
	exitError   = 1 // sitrep itself could not go on (disk, ledger, a bug)
	exitUsage   = 2 // the command line was not understood
	exitRefused = 3 // the update was refused; nothing was sent to anyone
	exitConfig  = 4 // the configuration was refused; nothing was sent to anyone
	exitFailed  = 5 // some deliveries failed for good
	exitPending = 6 // some deliveries are still pending; --resume finishes them
)

// exitCode is an error that only says how to end: what there was to say has been
// said.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// coded is an error with an exit code of its own.
type coded struct {
	code int
	err  error
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program. It ends soon after ctx does and returns the exit code.
func run(ctx context.Context, args, env []string, in io.Reader, out, errOut io.Writer) int {
	a := newApp(env, in, out, errOut)
	root := a.rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return a.end(err)
}

// end prints what there is to say about err, once, and turns it into an exit code.
func (a *app) end(err error) int {
	if err == nil {
		return exitOK
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	code := exitError
	if c, ok := errors.AsType[*coded](err); ok {
		code = c.code
	}
	if a.json {
		a.printJSON(map[string]any{"error": map[string]any{"message": err.Error(), "exit": code}})
	} else {
		fmt.Fprintf(a.errOut, "%s %v\n", a.style(a.errOut).red("sitrep:"), err)
	}
	return code
}
