package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/config"
	"sitrep/internal/secret"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// mattermost and email stand for kinds: config knows none itself.
type mattermost struct {
	URL     string        `yaml:"url" doc:"Where the server is."`
	Token   secret.String `yaml:"token" doc:"Token of the bot."`
	Webhook secret.String `yaml:"webhook"`
}

type email struct {
	Host     string            `yaml:"host"`
	From     string            `yaml:"from"`
	Password secret.String     `yaml:"password"`
	CAFile   string            `yaml:"ca_file"`
	Headers  map[string]string `yaml:"headers"`
	Sessions int               `yaml:"max_sessions"`
}

func checks() config.Checks {
	return config.Checks{
		Kinds: []string{"mattermost", "email", "page"},
		Open: func(ch config.Channel) error {
			switch ch.Kind {
			case "mattermost":
				var m mattermost
				err := ch.Decode(&m)
				if m.URL == "" {
					err = errors.Join(err, errors.New("url is needed: where is the server?"))
				}
				return err
			case "email":
				return ch.Decode(&email{})
			}
			return ch.Decode(&struct{}{})
		},
		Address: func(kind, address string) error {
			if kind == "email" && !strings.Contains(address, "@") {
				return errors.New("an e-mail address has an @")
			}
			return nil
		},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (%v); got:\n%s", path, err, got)
	}
}

func TestEveryMistakeAtOnce(t *testing.T) {
	c, err := config.Load("testdata/terrible.yaml", []string{"SITREP_LEGDER=x", "HOME=/home/x"})
	if c == nil {
		t.Fatal(err)
	}
	err = c.Check(checks())
	es, ok := errors.AsType[*config.Errors](err)
	if !ok {
		t.Fatalf("got %T: %v", err, err)
	}
	if len(es.Problems) < 40 {
		t.Errorf("only %d mistakes", len(es.Problems))
	}
	golden(t, "terrible.txt", err.Error()+"\n\nwarnings:\n"+config.Lines(c.Warnings())+"\n")
	if strings.Contains(err.Error()+config.Lines(c.Warnings()), "hunter2") {
		t.Error("a secret shows")
	}
}
