// Package config reads the one YAML file into plain values, checks the whole of
// it and names every mistake at once with its file, line and column.
//
// # The file
//
// Top level: the settings (ledger, templates_dir, require_next_update, zone,
// expire_after, leak_guard, page), then channels and customers, which are lists
// whose members have an id. Ids keep their case and may hold dots. A top-level
// key that begins with "x-" is the operator's own: a place for YAML anchors.
//
// # Rules
//
//   - Unknown keys, keys written twice, wrong types and second documents are
//     mistakes. A key with nothing after it is a mistake where one value is
//     expected and an empty list or mapping elsewhere.
//   - Anchors, aliases and merge keys work, bounded to a million values.
//   - ${NAME} in any value stands for an environment variable, $${ for a plain
//     "${". An undefined variable is a mistake. Keys and CSV files are taken as
//     they are.
//   - Every key whose field is a [secret.String] has a twin with "_file" at its
//     end that names a file holding the value; a trailing newline is not part of
//     it. Both at once, and an empty secret, are mistakes.
//   - Other text keys that end in _file or _dir are paths. Every path, the
//     ledger's too, is relative to the directory of the configuration file.
//   - Durations are like 45s, 90m, 1h30m or 2d.
//   - SITREP_<KEY> in the environment overrides a setting: the key in capitals,
//     nested ones joined by an underscore (SITREP_LEAK_GUARD_WORDS). Lists are
//     separated by commas. [EnvNames] lists them all. Channels and customers are
//     not overridden that way; they use ${NAME}. SITREP_CONFIG names the file for
//     [Find].
//
// # Who does what
//
// viper lays defaults, file and environment over each other. It is not given
// channels and customers: it folds the case of keys, also inside lists, and it
// forgets lines. Those are decoded strictly from YAML nodes.
//
// The package knows no kind of channel, except that an address of kind "page"
// must not be shared between audiences. [Config.Check] takes from its caller what
// the kinds know. Mistakes never contain a secret or the value of a variable.
package config
