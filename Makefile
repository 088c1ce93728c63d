# `make help` lists the targets.
GO      ?= go
PREFIX  ?= /usr/local
DESTDIR ?=

.PHONY: all test check bench install clean help

all: ## build the binary ./mptcpctl
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o mptcpctl ./cmd/mptcpctl

test: ## run all tests (no root, no preparation)
	$(GO) test ./...

check: ## all that CI checks: format, vet, staticcheck, race, fuzz seeds
	bash .ci/run

bench: ## measure this code beside its peers (see docs/performance.md)
	bash bench/run

install: all ## install the binary, its man pages and its completions below PREFIX
	install -Dm755 mptcpctl $(DESTDIR)$(PREFIX)/bin/mptcpctl
	for page in $$(./mptcpctl help --man-list); do \
		install -d $(DESTDIR)$(PREFIX)/share/man/man8 && \
		./mptcpctl help --man $$page > $(DESTDIR)$(PREFIX)/share/man/man8/$$page.8 || exit 1; done
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	./mptcpctl completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mptcpctl
	./mptcpctl completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mptcpctl
	./mptcpctl completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/mptcpctl.fish

clean: ## remove what the targets made
	rm -rf mptcpctl dist artifacts

help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 10
