// Package docs holds the generated documents that the program carries.
package docs

import _ "embed"

// ConfigSchema is the JSON Schema of the configuration file (draft 7), made from
// the program's types by the test TestSchemaFile in cmd/sitrep.
//
//go:embed config.schema.json
var ConfigSchema []byte
