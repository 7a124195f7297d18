# All tasks live in dev.py, which needs Python alone; this file forwards to it.
#   make serve [BACKEND=transformers] [MODEL=Qwen/Qwen3-4B] [PORT=8000] [ARGS="..."]
PYTHON ?= python3
DEV = $(PYTHON) dev.py

.PHONY: help serve demo test test-all matrix check pocket bench soak setup
help:
	@$(DEV) --help
serve:
	@$(DEV) serve --backend "$(BACKEND)" --model "$(MODEL)" --port "$(PORT)" --args="$(ARGS)"
demo:
	@$(DEV) demo --backend "$(BACKEND)"
bench:
	@$(DEV) bench --quick "$(QUICK)" --args="$(ARGS)"
soak:
	@$(DEV) soak --minutes "$(MINUTES)"
test test-all matrix check pocket setup:
	@$(DEV) $@ --args="$(ARGS)"
