package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sitrep/incident"
)

// app is one run of the program: its surroundings and the global flags. Nothing of
// it outlives the run, and nothing else is ambient.
type app struct {
	env         []string
	in          io.Reader
	out, errOut io.Writer
	now         func() time.Time
	logger      *slog.Logger  // of the daemon; nil: by --verbose
	serving     bool          // this is the daemon
	undone      string        // what has not happened where the command is refused, such as "nothing was sent"
	lease       time.Duration // of the dispatcher's claims; zero: its own default. No flag: only tests cannot wait

	config  string // --config
	json    bool   // --json
	verbose bool   // --verbose

	warnings incident.Problems // of the update at hand; part of the JSON answer
}

func newApp(env []string, in io.Reader, out, errOut io.Writer) *app {
	return &app{env: env, in: in, out: out, errOut: errOut, now: time.Now}
}

// getenv is the value of an environment variable of this run; the last one wins.
func (a *app) getenv(name string) string {
	value := ""
	for _, kv := range a.env {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			value = v
		}
	}
	return value
}

// log is for what happens behind the scenes; the command's own words are printed.
func (a *app) log() *slog.Logger {
	if a.logger != nil {
		return a.logger
	}
	level := slog.LevelError
	if a.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.errOut, &slog.HandlerOptions{Level: level}))
}

const rootLong = `sitrep takes one incident status update, written once in the team's template, and
sends it to every channel of the customer's distribution lists: chat, e-mail, the
status page. Every reader gets the sections their audience may see, and every
single delivery is accounted for.

Start with:

  sitrep demo                 see it work, with nothing set up
  sitrep check                is my configuration right?
  sitrep new CUSTOMER         the template, prefilled
  sitrep preview update.md    what would everybody get?
  sitrep send update.md       send it`

func (a *app) rootCommand() *cobra.Command {
	told := false // --version
	root := &cobra.Command{
		Use:           "sitrep",
		Short:         "Send one incident update to chat, e-mail and the status page, and prove who got it",
		Long:          rootLong,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			a.undone = map[string]string{"send": "nothing was sent", "retry": "nothing was sent", "cancel": "nothing was taken back"}[cmd.Name()]
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if told {
				return a.printVersion()
			}
			return family(cmd, args)
		},
	}
	root.Flags().BoolVar(&told, "version", false, "the same as 'sitrep version'")
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	flags := root.PersistentFlags()
	flags.StringVar(&a.config, "config", "", "configuration `FILE` (default ./sitrep.yaml, then sitrep/sitrep.yaml in the user's configuration directory)")
	flags.BoolVar(&a.json, "json", false, "print JSON for programs instead of text for people")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log what happens behind the scenes to standard error")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &coded{exitUsage, fmt.Errorf("%w. See '%s --help'", err, cmd.CommandPath())}
	})
	root.AddCommand(
		a.either(a.sendCommand(), a.farSend), a.either(a.previewCommand(), a.farPreview), a.checkCommand(),
		a.either(a.newCommand(), a.farNew), a.either(a.whoCommand(), a.farWho),
		a.either(a.reportCommand(), a.farReport), a.either(a.retryCommand(), a.farRetry), a.either(a.cancelCommand(), a.farCancel),
		a.serveCommand(), a.pageCommand(), a.suppressCommand(), a.drillCommand(), a.tokenCommand(), a.ledgerCommand(),
		a.demoCommand(), a.schemaCommand(), a.versionCommand(),
		exitCodesTopic(),
	)
	a.completeAll(root)
	root.SetHelpCommand(helpCommand())
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil && c != root {
		c.Args, c.RunE = cobra.ArbitraryArgs, family
	}
	return root
}

// family is what a command of commands does by itself: it helps, or says that there is
// no such command.
func family(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	msg := fmt.Sprintf("there is no command %q.", strings.TrimPrefix(cmd.CommandPath()+" "+args[0], "sitrep "))
	cmd.SuggestionsMinimumDistance = 2
	near := cmd.SuggestionsFor(args[0])
	slices.SortStableFunc(near, func(x, y string) int { return cmp.Compare(oddStart(x, args[0]), oddStart(y, args[0])) })
	if len(near) > 0 {
		msg += fmt.Sprintf(" Did you mean %q?", near[0])
	}
	return &coded{exitUsage, errors.New(msg + " See '" + cmd.CommandPath() + " --help'")}
}

// oddStart is 1 for a command that begins otherwise than the word: people mistype the
// first letter last.
func oddStart(command, word string) int {
	if word != "" && strings.HasPrefix(command, word[:1]) {
		return 0
	}
	return 1
}

// helpCommand is cobra's own, but that a command which is not there is a mistake.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		ValidArgsFunction: func(cmd *cobra.Command, list []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			if of, rest, err := cmd.Root().Find(list); err == nil && len(rest) == 0 {
				for _, c := range of.Commands() {
					if c.Hidden || !strings.HasPrefix(c.Name(), word) {
						continue
					}
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, list []string) error {
			of, rest, err := cmd.Root().Find(list)
			if err != nil || len(rest) > 0 {
				return family(of, rest)
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		},
	}
}

// args makes cobra's argument check a usage error in our words.
func args(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return &coded{exitUsage, fmt.Errorf("%s is missing: %s. See '%s --help'", what, cmd.UseLine(), cmd.CommandPath())}
		case len(args) > n:
			return &coded{exitUsage, fmt.Errorf("%q is one argument too many: %s. See '%s --help'", args[n], cmd.UseLine(), cmd.CommandPath())}
		}
		return nil
	}
}

func (a *app) printJSON(v any) {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		fmt.Fprintf(a.errOut, "sitrep: writing the JSON answer failed: %v\n", err)
	}
}

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `Exit codes:

  0  everything asked for was done; for send, retry and cancel: every delivery is
     delivered, but for those that were not to be sent (suppressed, superseded, cancelled)
  1  sitrep itself could not go on: the ledger, the disk, a bug
  2  the command line was not understood
  3  the update was refused (bad input, or the leak guard); nothing was sent to anyone
  4  the configuration was refused; nothing was sent to anyone
  5  some deliveries failed for good; the report says which and why. For drill and
     check --dns: something that was tried does not work, or is wrong
  6  some deliveries are still pending; 'sitrep send --resume' finishes them. For drill
     and check --dns: something could not be found out now; try again later`,
	}
}
