# make demo: install, render the sample clip, say where the result is.   make test: install, run the tests.
# make check: lint, format, types.   All of them create .venv first, with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check install install-dev bench card clean release

$(VENV)/.run: requirements.txt requirements-data.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-warn-conflicts -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements-data.txt
	touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt requirements-hub.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-warn-conflicts -r requirements-dev.txt
	touch $@

install: $(VENV)/.run

install-dev: $(VENV)/.dev

demo: install
	$(BIN)/python -m samples.make_clip output/sample.mp4
	$(BIN)/python run_pipeline.py --config configs/toonify.yaml output/sample.mp4 -o output/sample_toonify.mp4 --overwrite
	@echo
	@echo "result:        output/sample_toonify.mp4"
	@echo "before/after:  output/sample_toonify.mp4.preview.png"
	@echo "report:        output/sample_toonify.mp4.report.md"

test: install-dev
	$(BIN)/python -m pytest

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

release: install-dev
	$(BIN)/python -m pytest -m release

bench: install
	$(BIN)/python -m benchmarks.pipeline_rate

# make card MODEL=lite_edit: measure a shipped file again, on the heads in output/heads; its tables, its pictures.
card: install-dev
	$(BIN)/python -m models.training.evaluate models/weights/$(MODEL).safetensors --samples output/heads \
		--report output/$(MODEL).json --record
	$(BIN)/python -m models.training.card
	$(BIN)/python -m samples.make_card_pictures docs/cards $(MODEL)
	$(BIN)/python -m samples.make_task_pictures docs/tasks.jpg

clean:
	rm -rf $(VENV) output .pytest_cache .ruff_cache
