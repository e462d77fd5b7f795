# make run   — serve zones/ on 127.0.0.1 and ::1, port 5353; nothing to configure, no root
# make test  — everything that CI runs, the running server once with each engine; as root it installs the real peers (BIND, NSD, Knot, PowerDNS, unbound) that it talks to
# make differential — 100,000 random questions to random zones, to authdns and to BIND, NSD and Knot (takes minutes)
# make bench — CPU time per query, beside a floor and the peers that are installed; options: make bench BENCH=--help
# make fuzz  — FUZZ_SECONDS of Atheris or, for the engine's C, libFuzzer with sanitizers for each target (finds and
#              crashes: build/fuzz), then FUZZ_PACKETS mutated packets over sockets, and as many to engine and executor,
#              and FUZZ_CONVERSATIONS with a primary that were changed

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Many tests wait most of the time, so there may be more of them than processors.
TEST_PROCESSES ?= 4
IN_PARALLEL := --numprocesses $(TEST_PROCESSES) --dist loadfile
FUZZ_SECONDS ?= 300
FUZZ_PACKETS ?= 10000000
FUZZ_CONVERSATIONS ?= 1000000

.PHONY: run test lint unit peers differential bench fuzz format clean

$(VENV)/.run: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "authdns needs Python 3.11 or newer"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "no virtual environment could be made; on Debian: apt install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: $(VENV)/.run
	@echo "Try, in another terminal:"
	@echo "  dig @127.0.0.1 -p 5353 example.com MX"
	@echo "  dig @127.0.0.1 -p 5353 shop.apps.example.com A        # a wildcard"
	@echo "  dig @127.0.0.1 -p 5353 www.lab.example.com A          # a delegation: referral with glue"
	@echo "  dig @::1 -p 5353 +tcp mail._domainkey.example.com TXT"
	@echo "  dig @127.0.0.1 -p 5353 -x 192.0.2.25"
	@echo "Edit a file below zones/ and ask again; Ctrl-C stops."
	@exec $(BIN)/authdns serve --zones zones

peers:
	@sh tests/peers/install.sh

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: peers lint
	$(BIN)/pytest $(IN_PARALLEL) --cov --cov-report=term:skip-covered
	AUTHDNS_ENGINE=python $(BIN)/pytest $(IN_PARALLEL) --quiet tests/scenario

unit: $(VENV)/.dev
	$(BIN)/pytest -m "not interop"

fuzz: $(VENV)/.dev
	for target in query zonefile config; do \
	  $(BIN)/python -m tests.fuzz $$target --seconds $(FUZZ_SECONDS) --finds build/fuzz/$$target || exit 1; \
	done
	for target in answer image; do \
	  $(BIN)/python -m tests.fuzz.native $$target --seconds $(FUZZ_SECONDS) --finds build/fuzz/$$target || exit 1; \
	done
	$(BIN)/python -m tests.fuzz.packets --packets $(FUZZ_PACKETS)
	$(BIN)/python -m tests.fuzz.engine --queries $(FUZZ_PACKETS)
	$(BIN)/python -m tests.fuzz.transfers --conversations $(FUZZ_CONVERSATIONS)

differential: peers $(VENV)/.dev
	$(BIN)/python -m tests.differential

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench $(BENCH)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
