# Every target makes .venv first when it is missing or older than what it is made from.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ARGS ?=
VALIDATOR := gltf-validator@2.0.0-dev.3.10
SHELL := /bin/bash

.PHONY: help install demo test lint format check bench train-dream system clean

help:
	@echo "make demo         dream 480 frames into out/dream.mp4, numbers into out/dream.json"
	@echo "make test         run the tests            (ARGS='-k name' to choose)"
	@echo "make lint         ruff: style and formatting rules"
	@echo "make format       ruff: apply what it can"
	@echo "make check        mypy, strict, on the built package"
	@echo "make bench        measure the shipped model into out/bench-dream.json"
	@echo "make train-dream  collect frames and train the shipped model again"
	@echo "make system       install ffmpeg, chromium, node and the glTF validator (Debian, as root; tests use them)"

$(READY): pyproject.toml setup.py constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $(READY)

install: $(READY)

demo: $(READY)
	@mkdir -p out
	$(BIN)/unreel generate dream -o out/dream.mp4 --frames 480 --actions "w-40,wd-20,a-30,none-10" --seed 7 --steps 4 \
	  --json out/dream.json --compare 48

test: $(READY)
	$(BIN)/python -m pytest $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# mypy does not follow the import hook of an editable install, so it reads a plain installed copy.
check: $(READY)
	@rm -rf build
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation --target build/check .
	MYPYPATH=build/check $(BIN)/mypy -p unreel.engine -p unreel.streaming

bench: $(READY)
	@mkdir -p out
	$(BIN)/unreel bench dream --json out/bench-dream.json

train-dream: $(READY)
	$(BIN)/unreel train dream

system:
	@missing=""; \
	command -v ffprobe >/dev/null || missing="$$missing ffmpeg"; \
	command -v chromium-headless-shell chromium google-chrome >/dev/null || missing="$$missing chromium-headless-shell"; \
	command -v npm >/dev/null || missing="$$missing nodejs npm"; \
	if [ -z "$$missing" ]; then echo "system: ffmpeg, chromium and node are there"; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "system: missing$$missing; install with your package manager (tests that need them will skip)"; fi
	@if [ -f .node/node_modules/gltf-validator/package.json ]; then echo "system: the glTF validator is there"; \
	elif command -v npm >/dev/null; then mkdir -p .node && npm install --silent --no-audit --no-fund --prefix .node $(VALIDATOR); \
	else echo "system: no npm, so no glTF validator (tests that need it will skip)"; fi

clean:
	rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache *.egg-info
