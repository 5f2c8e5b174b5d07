# What a developer needs. Everything here is also what .ci/run does.
.PHONY: help build test check golden generate demo picture screenshots

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

build: ## the program, static, as ./sitrep
	CGO_ENABLED=0 go build -trimpath -o sitrep ./cmd/sitrep

test: ## the tests that need nothing but Go
	go test ./...

check: ## everything CI checks (installs what it needs)
	.ci/run

golden: ## rewrite the golden files; read the diff before you commit it
	go test ./renderers ./statuspage ./config ./cmd/sitrep -update

generate: ## rewrite the generated files (the configuration's JSON Schema)
	go test ./cmd/sitrep -run TestSchemaFile -update

demo: ## the main job, on loopback
	go run ./cmd/sitrep demo

picture: ## docs/renderings.png, the picture in the README (needs Chromium)
	docs/picture.sh

screenshots: ## pictures of all mails, in screenshots/ (needs Chromium and npm)
	docs/screenshots.sh
