# `make demo` and `make test` each do everything from a bare clone: environment, install, run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1

.PHONY: help demo test test-all check lint types fast families bench bench-load bench-rerank bench-collection bench-integrations bench-gpu clean

help:
	@echo "make demo    index a sample folder, answer eight questions, write demo/index.html"
	@echo "make test    every test but those that damage, kill and flood; make test-all: those, too"
	@echo "make check   lint, types and the fast tests"
	@echo "make bench CORPUS=folder   the README's numbers: retrieval, loading, reranking, collections"
	@echo "make bench-load CORPUS=folder   loading only; without a corpus, memory and speed"
	@echo "make bench-rerank          reranking only, which needs no corpus; half an hour"
	@echo "make bench-collection CORPUS=folder   what collections lose, mix up and cost; two hours"
	@echo "make bench-integrations    what LangChain and LlamaIndex cost on top; two minutes"
	@echo "make bench-gpu             reranking on a GPU, at the size of a model of 2 billion"

$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[all,dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/mm-rag demo --output demo

test: $(VENV)/installed
	$(BIN)/python -m pytest -m "not heavy"

test-all: $(VENV)/installed
	$(BIN)/python -m pytest

check: lint types fast

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/pyright --pythonpath $(BIN)/python

fast: $(VENV)/installed
	$(BIN)/python -m pytest -m "not slow and not heavy"

# The README's table of models, from the list that the tests go through.
families: $(VENV)/installed
	$(BIN)/python -m tests.parity.table

bench: $(VENV)/installed
	@test -n "$(CORPUS)" || { echo "Say where: make bench CORPUS=folder (with queries.jsonl in it)"; exit 2; }
	$(BIN)/python -m benchmarks.retrieval --corpus "$(CORPUS)" --queries "$(CORPUS)/queries.jsonl"
	$(BIN)/python -m benchmarks.loading --corpus "$(CORPUS)" --readme
	$(BIN)/python -m benchmarks.reranking --readme
	$(BIN)/python -m benchmarks.collection --corpus "$(CORPUS)" --readme
	$(BIN)/python -m benchmarks.integrations --readme

# Long files that are made up, and the corpus's hostile and damaged ones.
bench-load: $(VENV)/installed
	$(BIN)/python -m benchmarks.loading $(if $(CORPUS),--corpus "$(CORPUS)" --readme)

# Random weights and made-up documents, beside sentence-transformers.
bench-rerank: $(VENV)/installed
	$(BIN)/python -m benchmarks.reranking --readme

# Random operations and kills, two writers, 100,000 Segments, a modality gap, bytes per page.
bench-collection: $(VENV)/installed
	$(BIN)/python -m benchmarks.collection $(if $(CORPUS),--corpus "$(CORPUS)" --readme)

# What the adapters add to the encoder's work, and how long an event loop waits for them.
bench-integrations: $(VENV)/installed
	$(BIN)/python -m benchmarks.integrations --readme

bench-gpu: $(VENV)/installed
	$(BIN)/python -m benchmarks.reranking --device cuda

clean:
	rm -rf $(VENV) demo dist build
