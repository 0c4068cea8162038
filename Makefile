# One short name per job; CI and the README call the same names. Each slow step says on stderr how long it took.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Foundry comes from npm where it has a package for the platform, else from PATH.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# The default profile is the release profile; a profile of the caller's shell must not change what is tested.
unexport FOUNDRY_PROFILE

CARGO_FLAGS ?= --locked
TIMED := tools/timed

# Contracts without tests and scripts, in a place of their own: `forge build PATH` deletes the artifacts of the rest.
SOURCES := contracts/src --out cache/src/out --cache-path cache/src
ARTIFACT := cache/src/out/DrandBank.sol/DrandBank.json

ETHERS := --manifest-path bindings/ethers/Cargo.toml
MANIFESTS := Cargo.toml $(wildcard bindings/ethers/Cargo.toml benches/*/Cargo.toml)

SOAK := cargo test --release $(CARGO_FLAGS) --all-features -p

WASM := wasm32-unknown-unknown

# Benches have lock files of their own, and share what they build.
BENCHES := target/benches
BENCH_BUILD := cargo build --quiet --release --locked --target-dir $(BENCHES) --manifest-path

NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)
ifeq ($(NEXTEST),yes)
RUN_TESTS := cargo nextest run --workspace --all-features
else
RUN_TESTS := cargo test --workspace --all-features --lib --bins --tests
endif

.PHONY: help setup tools-check build demo interop-hardhat test test-contracts test-rust test-ethers test-tools fmt fmt-check \
	lint prose circles sizes wasm-check bytecode bytecode-check gas gas-check bench bench-check bench-instructions load soak \
	assurance invariants symbolic slither coverage clean

help: ## list the jobs
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r job text; do \
		printf '%-22s %s\n' "$$job" "$$text"; done

setup: tools-check node_modules/.installed ## check the tools, install the pinned npm packages (the other jobs do this themselves)

tools-check:
	@tools/need node npm cargo cc

node_modules/.installed: package.json package-lock.json
	@$(TIMED) 'npm ci' npm ci --no-audit --no-fund --loglevel=error >&2
	@touch $@

build: setup ## compile contracts and crates
	@tools/need forge
	@$(TIMED) 'forge build' forge build
	@$(TIMED) 'cargo build' cargo build --workspace $(CARGO_FLAGS)

demo: setup ## pay on a private chain, from deposit to draw; more arguments with ARGS='...'
	@tools/need anvil
	@$(TIMED) 'cargo build --release' cargo build --release $(CARGO_FLAGS) -p cheque-cli --bin cheque
	@cargo run --quiet --release $(CARGO_FLAGS) -p cheque-cli --bin cheque -- demo $(ARGS)

interop-hardhat: setup ## the demo on a node of Hardhat, which this job installs; not part of CI
	@$(TIMED) 'cargo build' cargo build --quiet $(CARGO_FLAGS) -p cheque-cli --bin cheque
	@$(TIMED) 'demo on Hardhat' tools/interop-hardhat target/debug/cheque

test: test-contracts test-rust ## all tests but those of bindings/ethers

test-contracts: setup ## Solidity tests on the release profile
	@tools/need forge
	@$(TIMED) 'forge test' forge test

test-rust: setup ## Rust tests, documentation examples included
	@tools/need anvil
	@tools/postgres || true
	@$(TIMED) 'documentation examples' cargo test --quiet --workspace --all-features --doc $(CARGO_FLAGS)
	@$(TIMED) 'core with k256' cargo test --quiet -p cheque --lib --no-default-features $(CARGO_FLAGS)
	@$(TIMED) 'Rust tests' $(RUN_TESTS) $(CARGO_FLAGS)

test-ethers: setup ## tests of the bindings for ethers-rs, which has a lock file of its own
	@$(TIMED) 'bindings/ethers' cargo test $(ETHERS) --locked

fmt: setup ## format everything
	@tools/need forge
	@forge fmt
	@for manifest in $(MANIFESTS); do cargo fmt --all --manifest-path "$$manifest"; done

fmt-check: setup ## fail if `make fmt` would change something
	@tools/need forge
	@forge fmt --check
	@for manifest in $(MANIFESTS); do cargo fmt --all --manifest-path "$$manifest" --check; done

lint: setup test-tools sizes circles prose wasm-check ## these five jobs, compiler warnings, forge lint, solhint, vectors, clippy, rustdoc
	@tools/need forge
	@$(TIMED) 'solc warnings' forge build --force --deny warnings $(SOURCES)
	@# In a place of its own too: its artifacts have no bytecode.
	@FOUNDRY_OUT=cache/lint/out FOUNDRY_CACHE_PATH=cache/lint $(TIMED) 'forge lint' forge lint --severity high med low info --deny notes contracts/src
	@$(TIMED) 'solhint' solhint --disc --noPoster --max-warnings 0 'contracts/src/**/*.sol'
	@$(TIMED) 'vectors' node tools/vectors.mjs --check
	@$(TIMED) 'clippy' cargo clippy --workspace --all-features --all-targets $(CARGO_FLAGS) -- -D warnings
	@$(TIMED) 'clippy of gas' cargo clippy -p cheque --features local-beacon --test gas $(CARGO_FLAGS) -- -D warnings
	@RUSTDOCFLAGS='-D warnings' $(TIMED) 'rustdoc' cargo doc --workspace --all-features --no-deps $(CARGO_FLAGS)

test-tools: setup ## tests of the next three jobs, on small trees, and the simulation of bought draws (tools/randao.mjs)
	@tools/need node git
	@$(TIMED) 'tests of the tools' node --test --test-reporter=dot tools/test/*.test.mjs

sizes: ## fail if a source or test file has more than 400 lines
	@tools/need node git
	@$(TIMED) 'sizes' node tools/sizes.mjs

circles: ## fail if files import each other in a circle
	@tools/need node git
	@$(TIMED) 'circles' node tools/circles.mjs

prose: ## fail on convoluted comments, banned words, long test names; every sentence that counts with ARGS='--list FOLDER'
	@tools/need node git
	@$(TIMED) 'prose' node tools/prose.mjs $(ARGS)

# C code and the system's random numbers do not compile on this target. Files and clocks do, and fail only when used.
wasm-check: ## fail if the protocol alone does not build for WebAssembly
	@tools/need cargo
	@if [ -d "$$(rustc --print target-libdir --target $(WASM))" ]; then \
		$(TIMED) 'core on $(WASM)' cargo check --quiet -p cheque --no-default-features --target $(WASM) $(CARGO_FLAGS); \
	else \
		printf '%s\n' '-- the check of the core on $(WASM) is skipped, the target is not installed:' \
			'-- rustup target add $(WASM)' >&2; \
	fi

bytecode: setup ## put the contract's bytecode where the Rust bindings embed it
	@tools/need forge
	@$(TIMED) 'forge build' forge build $(SOURCES)
	@node tools/bytecode.js $(ARTIFACT)

bytecode-check: setup ## fail if `make bytecode` would change something
	@tools/need forge
	@$(TIMED) 'forge build' forge build $(SOURCES)
	@node tools/bytecode.js $(ARTIFACT) --check

gas: setup ## measure what everything costs, and write it into docs/gas.md, COMPARE.md and target/gas.json
	@tools/need anvil forge
	@WRITE_GAS=1 $(TIMED) 'gas' cargo test --quiet -p cheque --features local-beacon --test gas $(CARGO_FLAGS)

gas-check: setup ## measure, and fail if a figure has moved by more than 1 %
	@tools/need anvil forge
	@$(TIMED) 'gas' cargo test --quiet -p cheque --features local-beacon --test gas $(CARGO_FLAGS)

bench: ## measure beside other systems, in one run: a table, target/bench.json, docs/performance.md; the machine should be idle
	@tools/need cargo cc
	@$(TIMED) 'benches/hopr' $(BENCH_BUILD) benches/hopr/Cargo.toml
	@$(TIMED) 'benches/peers' $(BENCH_BUILD) benches/peers/Cargo.toml
	@HOPR_BENCH=$(BENCHES)/release/cheque-hopr WRITE_BENCH=1 $(TIMED) 'bench' $(BENCHES)/release/cheque-peers

bench-check: ## count the instructions of the hot paths, and fail if a count has moved by more than 5 %
	@tools/need cargo cc valgrind
	@$(TIMED) 'benches/instructions' $(BENCH_BUILD) benches/instructions/Cargo.toml
	@$(TIMED) 'bench-check' $(BENCHES)/release/cheque-instructions

bench-instructions: ## count them, and keep the counts
	@tools/need cargo cc valgrind
	@$(TIMED) 'benches/instructions' $(BENCH_BUILD) benches/instructions/Cargo.toml
	@WRITE_INSTRUCTIONS=1 $(TIMED) 'bench-instructions' $(BENCHES)/release/cheque-instructions

load: setup ## waiting times of `payee run` and `payer run` under load: target/load.json, docs/performance.md; an idle machine
	@tools/need anvil
	@LOAD=1 $(TIMED) 'load' cargo test --quiet --release $(CARGO_FLAGS) --all-features -p cheque-cli --test load -- --nocapture

soak: setup ## a week of simulated time: 10,000 payees x 2,000 rounds, 420 rounds on a node, 500 kills of each kind
	@tools/need anvil
	@tools/postgres || true
	@SOAK_PAYEES=10000 SOAK_ROUNDS=2000 $(TIMED) 'rounds in simulated time' $(SOAK) cheque --test soak
	@SOAK_NODE_ROUNDS=20 SOAK_SHORT_ROUNDS=400 $(TIMED) 'rounds on a node' $(SOAK) cheque --test anvil -- rounds::
	@SOAK_KILLS=500 $(TIMED) 'kills' $(SOAK) cheque --test crash --test store -- killed
	@SOAK_KILLS=500 $(TIMED) 'kills of services' $(SOAK) cheque-cli --test kills -- killed
	@SOAK_KILLS=500 $(TIMED) 'kills of a market' $(SOAK) cheque-market --test kill -- surviv

assurance: test-contracts invariants symbolic slither coverage ## all that CI has no time for: minutes to an hour

invariants: setup ## the invariants, in many and long runs
	@tools/need forge
	@FOUNDRY_PROFILE=long $(TIMED) 'long invariants' forge test --match-path 'contracts/test/invariant/*'

tools/.venv/.installed: tools/requirements.txt
	@tools/need python3
	@python3 -m venv tools/.venv
	@$(TIMED) 'pip install' tools/.venv/bin/pip install --quiet --disable-pip-version-check -r $< >&2
	@touch $@

symbolic: setup tools/.venv/.installed ## proofs by halmos, of the compiled code, and by z3
	@$(TIMED) 'z3' tools/.venv/bin/python tools/payout.py
	@FOUNDRY_PROFILE=symbolic $(TIMED) 'halmos' tools/.venv/bin/halmos --forge-build-out cache/symbolic/out

slither: setup tools/.venv/.installed ## static analysis: nothing may be left
	@$(TIMED) 'slither' tools/slither

coverage: setup ## fail if a branch of the contract is not tested; lcov.info
	@tools/need forge
	@FOUNDRY_PROFILE=dev $(TIMED) 'coverage' forge coverage --no-match-path 'contracts/test/invariant/*' \
		--no-match-coverage 'contracts/(test|script)' --report summary --report lcov --report-file lcov.info
	@# BRDA:LINE,BLOCK,BRANCH,TAKEN with a dash or zero for a branch that no test takes.
	@if grep -nE '^BRDA:.*,(-|0)$$' lcov.info; then echo 'coverage: these branches are not tested' >&2; exit 1; fi

clean: ## remove everything built; node_modules stays
	rm -rf out cache target bindings/ethers/target
