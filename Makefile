# Everything a newcomer needs. `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
ARCH ?= amd64
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := $(VENV)/demo

.PHONY: demo test test-boards test-system deb lint fuzz bench bench-daemon bench-large screens clean help

help:
	@echo "make demo | test | test-boards | test-system | deb | lint | fuzz | bench | bench-daemon | bench-large | screens | clean"

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@# Real pre-trained models for the tests. Without their dependencies: those would bring a second
	@# onnxruntime, which clashes with onnxruntime-gpu.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python \
	  rapidocr-onnxruntime==1.4.4 silero-vad==6.2.3
	@touch $@

# The main job on an emulated board, with its data kept inside .venv.
demo: $(STAMP)
	@rm -rf $(DEMO)
	TUNER_DATA_DIR=$(DEMO)/data TUNER_STATE_DIR=$(DEMO)/state $(BIN)/tuner start --objective energy \
	  --device emulated:jetson-tx2 --budget 40 --seed 1 --output $(DEMO)/best.toml
	TUNER_DATA_DIR=$(DEMO)/data TUNER_STATE_DIR=$(DEMO)/state $(BIN)/tuner profile validate $(DEMO)/best.toml

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# A session in real time, and exported scripts, on every emulated board; minutes each.
test-boards: $(STAMP)
	$(BIN)/python -m pytest tests/devices/jetson/test_end_to_end.py tests/exporters/test_shell_boards.py \
	  tests/exporters/test_every_device.py tests/environments -m '' -v

# The Debian package, into dist/. Built without running anything of the target: make deb ARCH=arm64.
deb: $(STAMP)
	$(BIN)/python systemd/package/build.py --arch $(ARCH)

# The package installed, used, attacked, starved, upgraded, killed and removed in a container under systemd. As root;
# needs debootstrap, systemd-container, fuse3 and e2fsprogs; some 25 minutes. Keeps its log in docs/. (In memory it is
# faster: `python -m tests.system.run --cache /dev/shm/system-test`.)
test-system: $(STAMP)
	PYTHONPATH=. $(BIN)/python -m tests.system.run

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy tuner plugins emulator
	$(BIN)/lint-imports

# The daemon against malformed input: ten minutes of schemathesis, then 108,000 requests and profiles;
# and 50 kills of daemon and session at random moments.
fuzz: $(STAMP)
	TUNER_KILLS=50 $(BIN)/python -m pytest tests/daemon/test_sessions.py -k kills
	TUNER_FUZZ_CASES=30000 TUNER_FUZZ_SECONDS=600 $(BIN)/python -m pytest tests/daemon/test_malformed.py -s

bench: $(STAMP)
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.suggestion_cost
	$(BIN)/python -m benchmarks.jetson_apply
	$(BIN)/python -m benchmarks.jetson_sampling

bench-daemon: $(STAMP)
	$(BIN)/python -m benchmarks.daemon idle
	$(BIN)/python -m benchmarks.daemon clients
	$(BIN)/python -m benchmarks.daemon watched
	$(BIN)/python -m benchmarks.daemon long

# Installs SMAC3 and OpenBox into environments of their own, inside .venv.
bench-large: $(STAMP)
	$(BIN)/python -m benchmarks.large_space --work $(VENV)/peers

screens: $(STAMP)
	$(BIN)/python -m benchmarks.doctor_screens
	$(BIN)/python -m benchmarks.tui_screens --wait-for 'trial 2' -- \
	  $(BIN)/tuner start --objective energy --device emulated:jetson-tx2 --budget 400 --seed 1

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
