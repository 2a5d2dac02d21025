# Everything a newcomer types. `make help` lists it. Needs Python 3.11+, git and make; all else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# For 2 cores: more than half of the suite waits, for limits and for servers that start.
WORKERS ?= 6
# `make test COVERAGE=1` measures coverage and refuses less than 90%; it nearly doubles the processor time.
COVERAGE ?=
MEASURED := $(if $(COVERAGE),--cov --cov-report=term:skip-covered)
# The suite must not hear what its caller's shell says about servers and accounts. Nor that Python should keep nothing
# compiled: each worker and each command that a test starts would compile it all again.
DEAF := env -u PYTHONDONTWRITEBYTECODE -u DATABASE_URL -u REDIS_URL -u DAGSTER_PG_URL -u DAGSTER_HOME \
	-u DATABASE_URL_FILE -u REDIS_URL_FILE -u DAGSTER_PG_URL_FILE \
	$$(env | sed -n 's/^\(CALCOM_[A-Za-z0-9_]*\)=.*/-u \1/p')

.DEFAULT_GOAL := help
.PHONY: help demo up test ui live proof soak bench lint docs wheel sbom audit clean distclean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || { echo "Making the virtual environment ..."; $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); exit 1; }; }
	@echo "Installing the locked set (once, about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q calcom_pipeline
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "Installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.runtime ## The whole sync once, on this machine alone, with a summary
	@$(BIN)/calcom-pipeline demo

up: $(VENV)/.runtime ## Serve the Dagster UI until Ctrl-C
	@$(BIN)/calcom-pipeline up

# The first time, all workers would compile the same tests side by side: that took longer than one doing it for all.
test: $(VENV)/.dev ## The whole suite, seeded
	@test -d tests/__pycache__ || $(DEAF) $(BIN)/python -m pytest --collect-only -qq >/dev/null || true
	@$(DEAF) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(MEASURED) -q

ui: $(VENV)/.dev ## Look at the Dagster UI in headless Chromium (Debian's package chromium)
	@$(DEAF) $(BIN)/python -m pytest -m ui -q

live: $(VENV)/.dev ## Book and cancel on a real account; needs CALCOM_LIVE_KEY
	@if [ -z "$$CALCOM_LIVE_KEY" ]; then \
		echo "Nothing done: CALCOM_LIVE_KEY is not set. It names a key of a test account, which is booked for real."; \
	else LIVE_KEY="$$CALCOM_LIVE_KEY" $(DEAF) $(BIN)/python -m pytest tests/live -m live -s -q; fi

proof: $(VENV)/.dev ## Every must-show of the issues at full size, with figures; takes long (some: ONLY="file -k words")
	@$(DEAF) $(BIN)/python -m pytest -m proof -s -q $(ONLY)

bench: $(VENV)/.dev ## Every figure of bench/RESULTS.md once more; an hour, with QUICK=1 some minutes
	@$(DEAF) $(BIN)/python -m bench $(if $(QUICK),--quick)

soak: $(VENV)/.dev ## Every fault at once over several accounts, then an audit: make soak MINUTES=30 [SEED=n]
	@$(DEAF) SOAK_MINUTES=$(MINUTES) SOAK_SEED=$(SEED) $(BIN)/python -m pytest -m soak tests/faults/test_soak.py -s -q

lint: $(VENV)/.dev ## Style, types, direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

docs: $(VENV)/.dev ## This documentation as a website, in site/; its reference is made from the code
	@PYTHONHASHSEED=0 $(BIN)/python -m docs.making
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "Wrote site/. To read it: $(BIN)/python -m http.server --directory site --bind 127.0.0.1 8000"

wheel: $(VENV)/.runtime ## The wheel, the same byte by byte wherever this commit is built
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 1580601600) $(BIN)/python -m pip wheel --quiet \
		--disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@cd dist && sha256sum calcom_pipeline-*.whl

sbom: $(VENV)/.dev ## What it is made of, as CycloneDX: dist/sbom.cdx.json
	@mkdir -p dist && PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
		--mc-type application --output-reproducible --spec-version 1.6 --output-format JSON --output-file dist/sbom.cdx.json
	@echo "Wrote dist/sbom.cdx.json"

audit: $(VENV)/.runtime ## Known vulnerabilities of the locked set; skipped where no advisory service can be asked
	@.ci/audit $(PYTHON)

clean: ## Stop the embedded servers and drop their data
	@test ! -x $(BIN)/calcom-pipeline || $(BIN)/calcom-pipeline local remove
	@rm -rf .calcom dist site
	@find dagster_home -mindepth 1 ! -name dagster.yaml -delete

distclean: clean ## The same, and the virtual environments
	@rm -rf $(VENV) .venv-bench-* .venv-audit
