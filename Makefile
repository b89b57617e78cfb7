# One command each: `make run` serves the app, `make test` checks it. Both make what they need in .venv first.
# PYTHON=/path/to/python3.12 chooses the interpreter that .venv is made with; PORT=8600 chooses the port.

PORT ?= 8501
PYTHON ?=
PY = .venv/bin/python

# One thread a process: with OpenBLAS's own threads on busy cores, extracting features costs 5 to 10 times more.
export OPENBLAS_NUM_THREADS = 1
export OMP_NUM_THREADS = 1

INSTALL = install() { if uv --version >/dev/null 2>&1; \
	then uv pip install --quiet --compile-bytecode --python $(PY) "$$@"; \
	else $(PY) -m pip install --quiet --disable-pip-version-check "$$@"; fi; }; install

.PHONY: help run class setup test check-long lint models encoder bench audit pins lock check-pins clean FORCE

help:
	@echo "make run      serve the app on http://localhost:$(PORT)"
	@echo "make class    serve it to a class: https, a QR code for phones, an admin word, an end of the lesson"
	@echo "make setup    make .venv and install what the app needs, nothing else"
	@echo "make test     lint, check the types, run every test, the browser tests included, and measure what they cover"
	@echo "make check-long  the checks that take hours: fuzzing, load, soaks; PART=soak for one of them"
	@echo "make lint     ruff and mypy"
	@echo "make models RAVDESS=dir TESS=dir SAVEE=dir EMODB=dir [CREMAD=dir]"
	@echo "              retrain the shipped models under models/"
	@echo "make encoder  build the pretrained encoder's file again; needs internet"
	@echo "make bench    run the benchmarks"
	@echo "make audit    ask whether a library that is used has a known vulnerability; needs internet"
	@echo "make pins     resolve constraints.txt and requirements.lock again; make check-pins: for every platform"
	@echo "make clean    remove .venv and caches; models/ stays"

run: .venv/.ready
	@test -f app.py || { echo "There is no app.py in $$(pwd). Call make in the project's own folder." >&2; exit 1; }
	@exec $(PY) -m streamlit run app.py --server.port $(PORT)

class: .venv/.ready
	@exec $(PY) -m ser_core serve --class --port $(PORT)

setup: .venv/.ready

# .ready is written last: a .venv without it, or one whose Python has gone, is rebuilt.
# Python's own pip installs; uv, where there is one, does the same faster. Either takes the files that requirements.lock names, by their
# hashes, and no others.
.venv/.ready: requirements.lock $(if $(shell test -x $(PY) && echo yes),,FORCE)
	@test -e $@ -a -x $(PY) || { \
		for python in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.13 python3 python); do \
			if "$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; \
			then echo "Making .venv with $$("$$python" --version) ..."; rm -rf .venv; "$$python" -m venv .venv; exit; fi; \
		done; \
		echo "Found no usable Python$(if $(PYTHON), at '$(PYTHON)',). The app needs Python 3.11, 3.12 or 3.13 with its venv module" \
			"(on Debian and Ubuntu: the package python3-venv). Install one, or name it: make run PYTHON=/path/to/python3.12" >&2; \
		exit 1; }
	@rm -f $@
	@echo "Installing the libraries (3 GB on disk; some minutes the first time) ..."
	@$(INSTALL) --require-hashes -r requirements.lock
	@echo "Warming up ..."
	@$(PY) -m ser_core.audio.warm_up
	@touch $@

FORCE:

.venv/.ready-dev: .venv/.ready requirements.txt requirements-dev.txt constraints.txt
	@echo "Installing the test tools ..."
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

# Each of the many processes that the tests start would compile the project anew, if Python kept no bytecode. mypy reads the types beside
# the tests, some of which wait; what it says comes last.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/.ready-dev
	@$(PY) -m tools.browser
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet .
	@rm -rf build/coverage
	@mkdir -p build
	@$(PY) -m mypy >build/types.txt 2>&1 & types=$$!; \
		$(PY) -m coverage run -m pytest && $(PY) -m tools.branches; tested=$$?; \
		wait $$types; typed=$$?; cat build/types.txt; exit $$((tested || typed))

check-long: .venv/.ready-dev
	@$(PY) -m tools.browser
	@$(PY) -m tools.check_long $(if $(PART),--only $(PART))

lint: .venv/.ready-dev
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m mypy

models: .venv/.ready
	@test -n "$(RAVDESS)" -a -n "$(TESS)" -a -n "$(SAVEE)" -a -n "$(EMODB)" || { \
		echo "make models needs the folders of four corpora, and takes a fifth: make models RAVDESS=dir TESS=dir SAVEE=dir EMODB=dir CREMAD=dir" >&2; exit 1; }
	@nice -n 19 $(PY) -m ser_core build-models \
		--corpus "ravdess=$(RAVDESS)" --corpus "tess=$(TESS)" --corpus "savee=$(SAVEE)" --corpus "emodb=$(EMODB)" \
		$(if $(CREMAD),--corpus "cremad=$(CREMAD)") --answers ser_core/experiments/results/held_out.npz
	@nice -n 19 $(PY) -m ser_core corpora prints "ravdess=$(RAVDESS)" "tess=$(TESS)" "savee=$(SAVEE)" "emodb=$(EMODB)" \
		$(if $(CREMAD),"cremad=$(CREMAD)")

encoder: .venv/.ready
	@$(PY) -m tools.encoder

bench: .venv/.ready
	@for script in benchmarks/*.py; do echo "$$script"; $(PY) "$$script" --json || exit 1; done

# Not part of make test, which needs no internet: it asks a service about each pin. In a .venv of its own, so that it changes none.
AUDIT = pip-audit==2.10.1

audit: .venv/.ready
	@mkdir -p build
	@test -x build/audit/bin/pip-audit || { $(PY) -m venv build/audit && build/audit/bin/python -m pip install --quiet \
		--disable-pip-version-check $(AUDIT); }
	@cat requirements.txt requirements-dev.txt constraints.txt | sed '/^[-#]/d' > build/pins.txt
	@build/audit/bin/pip-audit --no-deps --disable-pip --requirement build/pins.txt

UV = $$(command -v uv || { $(PY) -m pip install --quiet uv && echo .venv/bin/uv; })

pins: .venv/.ready-dev
	@mkdir -p build
	@sed '/^[-#]/d' requirements.txt requirements-dev.txt > build/direct.txt
	@MACOSX_DEPLOYMENT_TARGET=14.0 $(UV) pip compile build/direct.txt --universal --python-version 3.11 \
		--no-header --no-annotate --quiet --upgrade --output-file build/all.txt >/dev/null
	@head -n 1 constraints.txt > build/constraints.txt
	@awk -F '[= ;]' 'NR == FNR { direct[$$1]; next } !($$1 in direct)' build/direct.txt build/all.txt >> build/constraints.txt
	@mv build/constraints.txt constraints.txt
	@$(MAKE) --no-print-directory lock

# requirements.lock is what requirements.txt and constraints.txt give, for every Python and platform, with the hash of each file.
COMPILE_LOCK = MACOSX_DEPLOYMENT_TARGET=14.0 $(UV) pip compile requirements.txt --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet --output-file

lock: .venv/.ready-dev
	@mkdir -p build
	@rm -f build/requirements.lock
	@$(COMPILE_LOCK) build/requirements.lock >/dev/null
	@{ echo "# Everything that 'make setup' installs, with the hashes of its files. Written by 'make pins', not by hand."; \
		cat build/requirements.lock; } > build/requirements.new
	@mv build/requirements.new requirements.lock

# Wheels only: nobody who wants to run the app should need a compiler. PyAV's wheel needs macOS 14. A file that its publisher has added to
# a version since is no difference.
check-pins: .venv/.ready-dev
	@uv="$(UV)"; for version in 3.11 3.12 3.13; do \
		for platform in x86_64-manylinux_2_28 aarch64-manylinux_2_28 x86_64-pc-windows-msvc aarch64-apple-darwin; do \
			MACOSX_DEPLOYMENT_TARGET=14.0 "$$uv" pip compile requirements-dev.txt --only-binary :all: --quiet \
				--python-version $$version --python-platform $$platform >/dev/null || exit 1; \
			echo "Python $$version on $$platform: resolves"; \
		done; \
	done
	@mkdir -p build
	@rm -f build/requirements.lock
	@$(COMPILE_LOCK) build/requirements.lock >/dev/null
	@lines() { sed -e '/^#/d' -e 's/ *\\$$//' "$$1" | LC_ALL=C sort; }; \
		lines requirements.lock > build/lock.kept; lines build/requirements.lock > build/lock.new; \
		if LC_ALL=C comm -23 build/lock.kept build/lock.new | grep . || LC_ALL=C comm -13 build/lock.kept build/lock.new | grep ==; then \
			echo "requirements.lock is not what requirements.txt and constraints.txt give (see above). Run: make pins" >&2; exit 1; \
		else echo "requirements.lock: what requirements.txt and constraints.txt give"; fi

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
