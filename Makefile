# The front door. `make help` lists what it opens.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo

.PHONY: help demo test lint bench bench-micro fuzz lab setup setup-tools release clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 12

setup: ## install the Debian packages that building, testing and the demo need
	@tests/lab/setup

setup-tools: setup ## install the cargo tools that the tests and lints need
	@command -v cargo-nextest >/dev/null || $(CARGO) install --locked cargo-nextest
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked --debug --no-default-features cargo-deny --version 0.20.2

release: setup
	$(CARGO) build --release --locked -p sluice-dataplane -p sluiced -p sluice-cli -p sluice-bench -p sluice-interop

demo: release ## build, boot the appliance between two namespaces and send real HTTPS through it
	@tests/lab/demo

test: setup-tools release ## everything that has to pass, end to end included
	@trap 'tests/lab/lab down >/dev/null' EXIT; $(CARGO) nextest run --locked --workspace --no-fail-fast

lint: setup-tools ## formatting, clippy, licences, bans and sources
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) deny --offline check bans licenses sources

bench: release bench-micro ## side by side against HAProxy and Squid, in memory, over a bad link; writes bench/RESULTS.md
	@tests/lab/lab down >/dev/null
	@bench/compare
	@bench/goodput

bench-micro: ## in memory: cost against flows, memory, sessions, frames beside testpmd; writes bench/RESULTS.md
	$(CARGO) build --release --locked -p sluice-bench
	@bench/inmemory

fuzz: setup-tools ## hostile bytes at every parser: a hundred times what make test runs
	SLUICE_FUZZ_CASES=100 $(CARGO) nextest run --locked -p sluice-fuzz
	PROPTEST_CASES=20000 $(CARGO) nextest run --locked --workspace \
		-E 'test(/never_panic|any_bytes|any_segments|hostile|garbage|no_input|whatever/)'

lab: release ## bring the lab up and leave it up (tests/lab/lab down takes it down)
	@tests/lab/lab up

clean: ## take the lab down and remove what was built
	-@tests/lab/lab down
	$(CARGO) clean
