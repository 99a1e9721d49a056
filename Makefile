# Two commands are enough: `make book` and `make test`. Each line below is one command.
PYTHON ?= python3
PROFILE ?= laptop
UV_VERSION := $(shell sed -n 's/^uv==//p' constraints.txt)
RUN := .venv/bin/python -m

.PHONY: book test lab bench lock clean
.DEFAULT_GOAL := book

# uv knows nothing of pip's settings, so an index that pip was told to use is passed on to it.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "The book needs Python 3.11 to 3.13, this is " + sys.version.split()[0] + ". Name another one: make $(MAKECMDGOALS) PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "Installing the packages of constraints.txt, a few minutes and about 8 GB ..."
	@index=$${PIP_INDEX_URL:-$$(.venv/bin/pip config get global.index-url 2>/dev/null)}; \
	.venv/bin/uv pip install --quiet --python .venv/bin/python --constraints constraints.txt \
	    $${index:+--default-index "$$index"} --editable ".[dev]"
	@touch $@

book: .venv/.installed      ## execute every notebook, build _build/html
	$(RUN) helpers book --profile $(PROFILE)

# The tests open the book in a browser of the machine. Where there is none, Playwright's own is
# tried, then Debian's; without either, those tests are skipped (in CI they fail).
.venv/.browser: .venv/.installed
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	    command -v $$name >/dev/null && found=1; done; [ "$$found" ] \
	    || $(RUN) playwright install chromium >/dev/null 2>&1 \
	    || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	        && echo "Installing Chromium for the tests ..." && apt-get update -qq >/dev/null \
	        && apt-get install -qq --no-install-recommends chromium >/dev/null; } \
	    || { echo "No browser could be installed: the tests that need one are skipped."; exit 0; }; \
	touch $@

test: .venv/.installed .venv/.browser ## the whole test suite
	$(RUN) pytest

lab: .venv/.installed       ## JupyterLab on the notebooks
	.venv/bin/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) book

bench: .venv/.installed     ## speed, memory and rate-distortion of the codecs
	$(RUN) helpers bench

lock: .venv/.installed      ## remake constraints.txt from pyproject.toml
	$(RUN) helpers lock

clean:                      ## remove what was built (the environment too)
	rm -rf _build .venv
