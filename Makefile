# make demo: set up and run the main job. make test: set up, then lint, types and tests.
# make docs: set up and build the documentation, site/index.html.
# make notebooks: run those of docs/notebooks again, in place.
# All need only Python 3.11 or newer and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: demo test docs notebooks clean

demo: .venv/ready
	$(BIN)/hoag demo --out demo --resume

test: .venv/ready
	$(BIN)/ruff check src tests benchmarks results runs docs/building docs/notebooks/run.py
	$(BIN)/ruff format --check src tests benchmarks results runs docs/building docs/notebooks/run.py
	$(BIN)/mypy
	# Two processes of one thread each keep two cores busier than one of two threads.
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo site/index.html

notebooks: .venv/ready
	$(BIN)/python docs/notebooks/run.py

.venv/ready: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit('hoag needs Python 3.11 or newer; set PYTHON=' if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@

clean:
	rm -rf .venv demo site
