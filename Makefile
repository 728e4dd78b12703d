# Targets for people; CI calls the same ones. `make run` and `make test` need only Rust and a C compiler.
CARGO ?= cargo
CONFIG ?= Hookaido.conf
# The packages that have soak tests; `cargo xtask tidy` finds those that are missing here.
SOAK = e2e hookaido-queue hookaido-queue-sqlite

.PHONY: run build test check bench soak interop codegen fmt docs

run: ## build and start the server on Hookaido.conf
	$(CARGO) run --release --package hookaido-cli -- run --config $(CONFIG)

build: ## the release binary: target/release/hookaido
	$(CARGO) build --release --package hookaido-cli

test: ## every test that needs only Rust and a C compiler
	$(CARGO) test --workspace

check: ## what CI runs before the tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) xtask tidy

bench: build ## the table of docs/performance.md, on this machine, about eight minutes
	$(CARGO) run --release --package e2e --bin bench

soak: ## every `soak` test of the packages above: kills, power cuts, hostile traffic, simulation, minutes of mixed load
	$(CARGO) test --release $(SOAK:%=--package %) --lib --test '*' --no-fail-fast -- --ignored --nocapture --test-threads 1 soak

interop: ## checks against other languages' tools; says what it skips
	$(CARGO) xtask interop
	$(CARGO) codegen --check

codegen: ## the Rust code of the gRPC service, from its .proto file
	$(CARGO) codegen

fmt: ## format the code
	$(CARGO) fmt --all

docs: ## write the generated pages
	$(CARGO) xtask reference
