# `make help` lists the targets.
GO      ?= go
PREFIX  ?= /usr/local
DESTDIR ?=

.PHONY: all test test-kernels recordings churn check busy page-tools page-check page-format fuzz bench soak install dist package-test clean help

all: ## build the binaries ./mptcpctl and ./mptcpctl-full, which has top and serve
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o . ./cmd/mptcpctl ./cmd/mptcpctl-full

test: ## run all tests (no root, no preparation)
	$(GO) test ./...

test-kernels: ## the lab and the kernel tests on Debian's other kernels, in virtual machines (ARGS: see kernels/run -h)
	kernels/run $(ARGS)

recordings: ## record the lab's scenarios on this kernel: the fixtures of doctor (minutes)
	UPDATE=1 $(GO) test -count=1 -timeout=30m -run=TestRecordScenarios ./internal/cli

churn: ## the churn tests a hundred times in a row (CHURN_ROUNDS=N: so often)
	CHURN_ROUNDS=$(or $(CHURN_ROUNDS),100) $(GO) test -count=1 -timeout=3h -v -run=Churn ./internal/source/live

check: ## all that CI checks: format, vet, staticcheck, race, fuzz seeds
	bash .ci/run

page-tools: ## install the formatter and the linter of the page's scripts and styles (npm)
	cd tools/web && npm ci --no-audit --no-fund

page-check: ## check the page's scripts and styles: prettier and eslint
	tools/web/node_modules/.bin/eslint --config tools/web/eslint.config.mjs internal/web/assets
	tools/web/node_modules/.bin/prettier --check internal/web/assets tools/web/eslint.config.mjs

page-format: ## format the page's scripts and styles
	tools/web/node_modules/.bin/prettier --write internal/web/assets tools/web/eslint.config.mjs

busy: ## the tests three times in a row beside busy loops and listeners to events (ROUNDS=N: so often)
	bash .ci/busy

fuzz: ## every fuzz target for half a minute, recordings a million times (FUZZ=TIME or Nx; ARGS: some targets)
	bash .ci/fuzz $(ARGS)

bench: ## measure this code beside its peers; writes docs/performance.md (ARGS: see bench/run -h)
	bash bench/run -out docs/performance.md $(ARGS)

soak: ## serve and monitor beside 50,000 connections, storms and slow readers, for an hour (SOAK=TIME: so long)
	bash bench/run -soak $(or $(SOAK),1h) $(ARGS)

install: all ## install the binaries, their man pages and completions below PREFIX
	install -Dm755 mptcpctl $(DESTDIR)$(PREFIX)/bin/mptcpctl
	install -Dm755 mptcpctl-full $(DESTDIR)$(PREFIX)/libexec/mptcpctl/mptcpctl-full
	ln -sf mptcpctl $(DESTDIR)$(PREFIX)/bin/ip-mptcp
	packaging/tree ./mptcpctl $(DESTDIR)$(PREFIX)

dist: ## static builds, deb, rpm and apk packages, checksums: into dist/
	packaging/dist

package-test: ## install the deb below an empty root, use it, remove it
	packaging/test.sh

clean: ## remove what the targets made
	rm -rf mptcpctl mptcpctl-full dist artifacts

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14
