# Everything a newcomer needs: `make demo` or `make test` work as the first command ever run here.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
SOURCES := bot cli core migrations sandbox scripts templates tests web

.PHONY: setup demo test check bench soak lock format browser help

help:
	@echo "make setup   virtual environment with the locked dependencies"
	@echo "make demo    the whole product against local stand-ins; prints the address to open"
	@echo "make test    the whole test suite"
	@echo "make check   formatter, linter, types, architecture, schema drift, known vulnerabilities"
	@echo "make bench   the benchmarks, about twenty minutes; ARGS=\"blast queue\" runs some of them"
	@echo "make soak    the long fault suite, about half an hour; see docs/reliability.md"

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@started=$$(date +%s); \
	echo "Setting up .venv (the first time takes a minute or two)…"; \
	test -x $(BIN)/python || $(PYTHON) -m venv .venv; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . && \
	touch $(STAMP) && \
	echo "Ready in $$(( $$(date +%s) - started )) s."

demo: setup
	@$(BIN)/sideline demo

test: setup browser
	@started=$$(date +%s); $(BIN)/python -m pytest -n 4 $(ARGS); status=$$?; \
	echo "make test took $$(( $$(date +%s) - started )) s."; exit $$status

check: setup
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_schema.py
	$(BIN)/python scripts/check_migrations.py
	$(BIN)/python scripts/audit.py

bench: setup .venv-bench/.ready
	@$(BIN)/python -m tests.bench $(ARGS)

# What the product is measured against; without it the rest is measured all the same.
.venv-bench/.ready: requirements-bench.lock
	@echo "Setting up .venv-bench with what Sideline is measured against…"; \
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench; \
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-bench.lock && touch $@ || echo "It could not be installed."

soak: setup
	@$(BIN)/python -m tests.soak --write $(ARGS)

format: setup
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# Page tests need a Chromium. CI installs Debian's; elsewhere they skip and say so when there is none.
browser:
	@if [ "$$CI" = true ] && ! command -v chromium >/dev/null && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the page tests…"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	fi

# Re-resolves the dependencies; needs uv on the PATH.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--group dev pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--extra sentry --extra otel --group build -c requirements.lock pyproject.toml -o deploy/requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--group bench -o requirements-bench.lock
