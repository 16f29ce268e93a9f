# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. Each installs what it needs first (.ci/setup), and is quick when nothing changed.
SHELL := /bin/bash
python := .venv/bin/python
export OMP_NUM_THREADS ?= $(shell nproc)

.PHONY: help demo test test-pandas3 build wheel wheel-check sdist stubs lint format typecheck bench fuzz asan sanitize clean distclean
.DEFAULT_GOAL := build

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo:  ## real scans to features to a prediction: report/index.html
	@.ci/setup build
	@.ci/install
	@$(python) examples/sarcoma/run.py

test:  ## build, C++ tests, Python tests against the installed package
	@.ci/setup test
	@.ci/install tests
	@.ci/test

test-pandas3:  ## the tests that hold tables, with pandas 3 (make test runs them with the pandas that its peers want)
	@.ci/setup test
	@.ci/install tests
	@.ci/test-pandas3

build:  ## build and install into .venv
	@.ci/setup build
	@.ci/install

wheel:  ## dist/*.whl that needs no ITK, HDF5 or other system library
	@.ci/setup dev
	@.ci/wheel

wheel-check: wheel  ## run that wheel where ITK, HDF5 and GDCM are hidden (root)
	@.ci/wheel-check dist/vesalius-*manylinux*.whl

sdist:  ## dist/*.tar.gz
	@.ci/setup test
	@$(python) -m build --sdist --no-isolation

stubs: build  ## python/vesalius/_vesalius/*.pyi from the built module
	@.ci/setup test
	@$(python) .ci/stubs.py python/vesalius

lint:  ## ruff, mypy, clang-format, codespell
	@.ci/setup dev
	@PATH="$$PWD/.venv/bin:$$PATH" .ci/lint

format:  ## let ruff and clang-format rewrite the sources
	@.ci/setup dev
	@PATH="$$PWD/.venv/bin:$$PATH" .ci/lint --fix

bench: build  ## tests/bench/*.py, one after the other
	@.ci/setup test
	@for file in tests/bench/*.py; do echo "== $$file"; $(python) "$$file" || exit 1; done

asan:  ## C++ tests under AddressSanitizer and UBSan
	@.ci/setup test
	@PATH="$$PWD/.venv/bin:$$PATH" cmake --workflow --preset asan

sanitize:  ## radiomics in C++ and Python under AddressSanitizer and UBSan
	@.ci/setup test
	@export PATH="$$PWD/.venv/bin:$$PATH" ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0:alloc_dealloc_mismatch=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1; \
	  cmake --preset asan -B build/sanitize -DVESALIUS_PYTHON=ON -DCMAKE_UNITY_BUILD=ON && \
	  cmake --build build/sanitize --target radiomics_tests core_tests _vesalius && \
	  build/sanitize/tests/cpp/radiomics_tests && build/sanitize/tests/cpp/core_tests && \
	  LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so)" PYTHONPATH=build/sanitize/python \
	  python -m pytest -q -p no:cacheprovider tests/python/radiomics -k "not reference_value"

FUZZ_SECONDS ?= 300
fuzz:  ## mutated files into the readers under AddressSanitizer and UBSan (FUZZ_SECONDS=300)
	@.ci/setup test
	@export PATH="$$PWD/.venv/bin:$$PATH"; cmake --preset asan && cmake --build build/asan --target fuzz_read fuzz_bundle && \
	  export ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0:allocator_may_return_null=1:max_allocation_size_mb=2048 && \
	  build/asan/tests/cpp/fuzz_read $(FUZZ_SECONDS) 1 tests/data/io && build/asan/tests/cpp/fuzz_bundle $(FUZZ_SECONDS) 1

clean:  ## remove what was built
	rm -rf build dist report .pytest_cache .mypy_cache .ruff_cache

distclean: clean  ## and the virtual environment
	rm -rf .venv
