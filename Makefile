# Two commands are enough: `make book` and `make test`. Each line below is one command.
PYTHON ?= python3
PROFILE ?= laptop
UV_VERSION := $(shell sed -n 's/^uv==//p' constraints.txt)
RUN := .venv/bin/python -m

.PHONY: book test lab bench lock clean
.DEFAULT_GOAL := book

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	.venv/bin/uv pip install --quiet --python .venv/bin/python --constraints constraints.txt --editable ".[dev]"
	touch $@

book: .venv/.installed      ## execute every notebook, build _build/html
	$(RUN) helpers book --profile $(PROFILE)

test: .venv/.installed      ## the whole test suite
	$(RUN) pytest

lab: .venv/.installed       ## JupyterLab on the notebooks
	.venv/bin/jupyter lab book

bench: .venv/.installed     ## speed, memory and rate-distortion of the codecs
	$(RUN) helpers bench

lock: .venv/.installed      ## remake constraints.txt from pyproject.toml
	$(RUN) helpers lock

clean:                      ## remove what was built (the environment too)
	rm -rf _build .venv
