# Usher's build. `make help` lists the targets; `make` alone is what to run
# before a commit, `make test` is what every change must pass.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := check
# The steps share two cores and bin: one at a time, whatever -j says.
.NOTPARALLEL:

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 10s
COUNT    ?= 6
BENCH    ?= .
# Two packages at a time: more does not help on two cores, and lets a test's
# deadline pass while others compile.
JOBS     ?= 2

BROWSER := test/browser
CLIENT  := client
INTEROP := test/interop
PROVIDER := test/provider
NODECHAT := examples/node-chat
# The npm packages that Go tests need.
PACKAGES := $(INTEROP)/node_modules/.package-lock.json $(NODECHAT)/node_modules/.package-lock.json \
	$(PROVIDER)/node_modules/.package-lock.json
GOTEST  := bin/gotest
TOOLS   := bin/.tools

.PHONY: check
check: format vet law lint quick ## What to run before a commit: format, vet, law, lint, quick tests (default).

.PHONY: test
test: deps format vet law lint build race bench-quick interop client browser ## Everything; installs first what is missing.
	@echo "make test: all passed"

# The demo needs nothing but Go. With Node there is a second backend, whose one
# package is installed here; where that fails, as offline, the demo says so.
.PHONY: demo
demo: build ## Build and run the demo, and print the address of its page.
	@if command -v node >/dev/null && command -v npm >/dev/null && [ ! -e $(NODECHAT)/node_modules ]; then \
		(cd $(NODECHAT) && npm ci --no-audit --no-fund --silent --fetch-retries=0) || \
			echo "npm could not install what $(NODECHAT) needs (offline?); the demo goes on with its Go backend alone"; fi
	@exec bin/usher demo --node-chat $(NODECHAT) $(ARGS)

.PHONY: build
build: ## Build bin/usher.
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/usher ./cmd/usher

.PHONY: format
format: $(TOOLS) ## Fail where a Go file is not formatted (gofumpt).
	@files=$$(bin/gofumpt -l .); if [ -n "$$files" ]; then \
		echo "not formatted; run 'make fmt':"; echo "$$files"; exit 1; fi

.PHONY: fmt
fmt: $(TOOLS) ## Format all Go files.
	bin/gofumpt -w .

.PHONY: vet
vet: ## go vet.
	$(GO) vet ./...
	$(GO) -C tools vet ./...
	$(GO) -C $(INTEROP)/ably vet ./...

.PHONY: law
law: $(GOTEST) ## The architecture: imports, public API, sizes, names, comments, docs.
	$(GOTEST) -count=1 ./internal/law

.PHONY: api
api: ## Write anew what follows from the public API; a diff in it is a decision.
	$(GO) test -count=1 -run '^(TestAPI|TestCloses)$$' ./internal/law -update

.PHONY: lint
lint: $(TOOLS) ## golangci-lint, at the version that tools/go.mod pins.
	bin/golangci-lint run ./...
	cd tools && ../bin/golangci-lint run -c ../.golangci.yml ./...
	cd $(INTEROP)/ably && ../../../bin/golangci-lint run -c ../../../.golangci.yml ./...

.PHONY: quick
quick: $(GOTEST) ## Short tests, with the race detector.
	$(GOTEST) -allow-skips -race -short -p $(JOBS) ./...

.PHONY: race
race: $(GOTEST) $(PACKAGES) ## All Go tests, with the race detector; a skip is a failure.
	$(GOTEST) -race -count=1 -timeout 10m -p $(JOBS) ./...
	$(GO) -C tools test ./gotest

# The spec reporter is for the reader, the tap report for the check that
# nothing was skipped.
.PHONY: browser
browser: $(BROWSER)/node_modules/.package-lock.json $(PROVIDER)/node_modules/.package-lock.json $(INTEROP)/node_modules/.package-lock.json ## Browser tests, in the browsers that USHER_BROWSERS names (chromium,firefox).
	@tools/deps.sh go node python browsers
	tools/nodetest.sh $(BROWSER)

# One engine after the other, about half a minute each.
.PHONY: browsers
browsers: $(BROWSER)/node_modules/.package-lock.json $(CLIENT)/node_modules/.package-lock.json ## The support matrix in three engines: writes docs/reference/browsers.md.
	@tools/deps.sh go node browsers webkit
	cd $(BROWSER) && node matrix/main.mjs

# The client is built, its size and types checked, and tried in front of the
# gateway in Node.
.PHONY: client
client: build $(CLIENT)/node_modules/.package-lock.json ## Build the browser client (client/dist) and test it.
	@tools/deps.sh node
	cd $(CLIENT) && npm run --silent build
	tools/nodetest.sh $(CLIENT)

.PHONY: smuggling
smuggling: ## Probe our gateway for smuggling, with nginx, HAProxy and Caddy beside it.
	@tools/deps.sh go proxies
	$(GO) run ./test/smuggling/beside

.PHONY: interop
interop: build $(PACKAGES) ## The published Ably SDKs, for JavaScript and Go, against the hub.
	cd $(INTEROP)/ably && USHER=$(CURDIR)/bin/usher $(GO) test -count=1 ./...

.PHONY: fuzz
fuzz: ## Each fuzz target for FUZZTIME (10s).
	@for pkg in $$($(GO) list ./...); do \
		list=$$($(GO) test -list '^Fuzz' $$pkg); \
		for target in $$(grep '^Fuzz' <<<"$$list" || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

# ARGS are flags of test/load, such as ARGS='--rows ^gateway/'.
.PHONY: bench
bench: ## Measure Usher beside its peers: bin/bench.md, bin/bench.json.
	@tools/deps.sh go peers
	@mkdir -p bin
	$(GO) run ./test/load --json bin/bench.json $(ARGS) | tee bin/bench.md

.PHONY: bench-quick
bench-quick: build ## The same with tiny sizes: shows that all works, not how fast.
	@mkdir -p bin
	$(GO) run ./test/load --quick --usher bin/usher $(ARGS) >bin/bench-quick.md

.PHONY: bench-check
bench-check: ## Fail where CPU against bare gobwas has grown by 20 % over test/load/ratios.json.
	$(GO) run ./test/load --check test/load/ratios.json $(ARGS)

.PHONY: soak
soak: ## Churn for ten minutes each beside 19,000 connections; fail on growth.
	$(GO) run ./test/load --soak 10m --connections 19000 $(ARGS)

.PHONY: promises
promises: ## Disturb the hub for ten minutes, and check what all have seen.
	$(GO) test -count=1 -v -timeout 20m -run '^TestPromises$$' ./test/hub -lasts 10m

.PHONY: microbench
microbench: $(TOOLS) ## Go benchmarks, COUNT (6) times each, summed up by benchstat.
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./... | tee bin/bench.txt
	bin/benchstat bin/bench.txt

.PHONY: vuln
vuln: $(TOOLS) ## Known vulnerabilities in what is imported; needs the network.
	bin/govulncheck ./...

.PHONY: deps
deps: ## Install what the tests need and this machine lacks.
	@tools/deps.sh go node python browsers
	$(GO) mod download
	@$(MAKE) tools $(BROWSER)/node_modules/.package-lock.json $(CLIENT)/node_modules/.package-lock.json $(PACKAGES)

# npm writes this file last, so it is older than the lock file exactly when the
# installed packages are.
$(BROWSER)/node_modules/.package-lock.json $(CLIENT)/node_modules/.package-lock.json $(PACKAGES): \
%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

.PHONY: tools
tools: $(TOOLS) $(GOTEST) ## Build the pinned tools into bin; about two minutes, once.

# One run builds them all; the stamp says for which versions.
$(TOOLS): tools/go.mod tools/go.sum
	@mkdir -p bin
	$(GO) -C tools build -trimpath -o ../bin/ tool
	@touch $@

$(GOTEST): tools/go.mod $(wildcard tools/gotest/*.go)
	@mkdir -p bin
	$(GO) -C tools build -trimpath -o ../$(GOTEST) ./gotest
	@touch $@

.PHONY: clean
clean: ## Remove what was built and installed here.
	rm -rf bin $(CLIENT)/dist $(CLIENT)/node_modules $(BROWSER)/node_modules $(INTEROP)/node_modules $(NODECHAT)/node_modules $(PROVIDER)/node_modules

.PHONY: help
help: ## This list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | \
		awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'
