package main

import (
	"github.com/spf13/cobra"

	"sitrep/docs"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Long: `Prints the JSON Schema of the configuration file. Editors that know YAML complete and
check the file by it; tell them with a first line like

  # yaml-language-server: $schema=config.schema.json`,
		Example: "  sitrep schema > config.schema.json",
		Args:    args(0, "nothing"),
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(docs.ConfigSchema)
			return err
		},
	}
}
