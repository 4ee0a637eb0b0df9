# `make` alone tells what there is. The two that a newcomer needs: `make run` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help run test test-browser schemathesis check fmt clippy deny advisories sbom docs lint openapi bench bench-quick bench-growth faults faults-long fuzz mutants toolchain nightly postgres fault-tools browser

CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := .tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_CYCLONEDX := .tools/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION)/bin/cargo-cyclonedx
CARGO_MUTANTS_VERSION := 27.1.0
CARGO_MUTANTS := .tools/cargo-mutants-$(CARGO_MUTANTS_VERSION)/bin/cargo-mutants
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := .tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
LINT := .ci/lint/node_modules
# Options, such as `make run ARGS="--listen 127.0.0.1:8443"` or `make faults ARGS="--only kill-sqlite --seed 7"`.
ARGS ?=
# How long each target is fed.
FUZZ_SECONDS ?= 60
# One part of what `make mutants` breaks: rules, hashing, memory, http, sqlite or postgres. All, where it is empty.
ONLY ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: toolchain ## Build the release and serve the API with a demo partner, on https://localhost:4401
	cargo build --release --locked --bin signet
	./target/release/signet serve --demo $(ARGS)

test: toolchain postgres ## Run all tests; finds or installs the PostgreSQL they need
	.ci/test

test-browser: toolchain browser ## Use Swagger UI in a headless Chromium, which it finds or installs
	cargo test --locked -p signet-server --features browser --test e2e browser::

schemathesis: toolchain ## Compare the answers of a server with its OpenAPI document (Schemathesis, which it installs); one minute
	cargo build --locked --bin signet
	.ci/schemathesis/run target/debug/signet $(ARGS)

check: fmt clippy deny docs lint ## Formatting, lints, dependencies, documentation, the OpenAPI document

fmt:
	cargo fmt --all --check

clippy: toolchain
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

# The arrows between the crates are those of the program; what only tests use may know anything.
deny: $(CARGO_DENY) ## What may be in the program: crates, licenses, sources, and which crate may know which
	$(CARGO_DENY) --locked --exclude-dev --manifest-path crates/signet-server/Cargo.toml check bans
	$(CARGO_DENY) --locked check licenses sources

advisories: $(CARGO_DENY) ## Known weaknesses of dependencies; fetches RustSec's database from the network
	$(CARGO_DENY) --locked check advisories

# The tool writes beside each manifest whose crate has a binary.
sbom: toolchain $(CARGO_CYCLONEDX) ## What the binary is made of (CycloneDX), in target/signet.cdx.json
	$(CARGO_CYCLONEDX) cyclonedx --quiet --describe binaries --format json --spec-version 1.5
	mkdir -p target
	mv crates/signet-server/signet_bin.cdx.json target/signet.cdx.json
	rm -f crates/*/*_bin.cdx.json

docs: toolchain $(LINT)
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	$(LINT)/.bin/remark --quiet --frail --no-stdout --rc-path .ci/lint/remark.mjs README.md docs .github

lint: $(LINT)
	$(LINT)/.bin/spectral lint --ruleset .ci/lint/spectral.yaml --fail-severity hint openapi.yaml
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
		$(LINT)/.bin/redocly lint --config .ci/lint/redocly.yaml openapi.yaml

openapi: toolchain ## Generate openapi.yaml from the code
	cargo run --quiet --locked --bin signet -- openapi > openapi.yaml.new
	mv openapi.yaml.new openapi.yaml

bench: toolchain ## Measure the service side by side with the bare database (wrk, pgbench); takes two hours
	cargo bench --locked --package signet-application --bench known_key
	cargo build --release --locked --bin signet
	python3 crates/signet-server/bench/bench.py

bench-quick: toolchain ## The same in one short round, in three minutes
	cargo build --release --locked --bin signet
	python3 crates/signet-server/bench/bench.py --quick

bench-growth: toolchain ## get-user among 10,000 users and among 10,000,000
	cargo build --release --locked --bin signet
	python3 crates/signet-server/bench/bench.py --growth

faults: toolchain postgres fault-tools ## Break the service on purpose and compare what it keeps with what it promises; 15 minutes
	cargo build --release --locked --bin signet --bin signet-faults
	./target/release/signet-faults $(ARGS)

faults-long: toolchain postgres fault-tools ## The same with the full counts; takes two hours
	cargo build --release --locked --bin signet --bin signet-faults
	./target/release/signet-faults --long $(ARGS)

# What it finds worth keeping stays under target; the corpora that are kept for good grow by hand. Each input has an
# application of its own, whose router leaks the names of its parameters.
fuzz: toolchain nightly $(CARGO_FUZZ) ## Make requests up, FUZZ_SECONDS (60) for each kind, on a nightly toolchain
	@cd crates/signet-http && for corpus in fuzz/corpus/*; do \
		found=$(CURDIR)/target/$$corpus; mkdir -p $$found; \
		ASAN_OPTIONS=detect_leaks=0 RUSTUP_TOOLCHAIN=nightly \
			$(CURDIR)/$(CARGO_FUZZ) run --target-dir $(CURDIR)/target/fuzz $${corpus##*/} \
			$$found $$corpus -- -max_total_time=$(FUZZ_SECONDS) || exit; \
	done

# Which files, and what is left out, .cargo/mutants.toml tells; which tests are asked, .ci/mutants. Options such as
# `make mutants ONLY=postgres ARGS="--iterate"`, `ARGS="-F register"`.
mutants: toolchain postgres $(CARGO_MUTANTS) ## Break rules on purpose and see whether a test notices; in target/mutants
	ONLY=$(ONLY) .ci/mutants $(CARGO_MUTANTS) $(ARGS)

# What `make` cannot install by itself.
toolchain:
	@for tool in cargo cc perl; do \
		command -v $$tool >/dev/null || { \
			echo "$$tool is missing: install Rust 1.95 or later (https://rustup.rs), a C compiler, make and perl" >&2; exit 1; }; \
	done

nightly:
	@rustup run nightly cargo --version >/dev/null 2>&1 || { \
		echo "a nightly Rust toolchain is missing: rustup toolchain install nightly --profile minimal" >&2; exit 1; }
	@command -v c++ >/dev/null || { echo "c++ is missing: install a C++ compiler, which libFuzzer is built with" >&2; exit 1; }

postgres:
	@.ci/need-postgres

fault-tools:
	@.ci/need-fault-tools

browser:
	@.ci/need-browser

$(CARGO_DENY):
	cargo install --locked --root .tools/cargo-deny-$(CARGO_DENY_VERSION) cargo-deny@$(CARGO_DENY_VERSION)

$(CARGO_MUTANTS):
	cargo install --locked --root .tools/cargo-mutants-$(CARGO_MUTANTS_VERSION) cargo-mutants@$(CARGO_MUTANTS_VERSION)

$(CARGO_CYCLONEDX):
	cargo install --locked --root .tools/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION) cargo-cyclonedx@$(CARGO_CYCLONEDX_VERSION)

$(CARGO_FUZZ):
	cargo install --locked --root .tools/cargo-fuzz-$(CARGO_FUZZ_VERSION) cargo-fuzz@$(CARGO_FUZZ_VERSION)

$(LINT): .ci/lint/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or later" >&2; exit 1; }
	npm ci --prefix .ci/lint --ignore-scripts --no-audit --no-fund
	@touch $(LINT)
