# Names only: what a target does stands in .ci/.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-fast lint docs faults mutants clean

help:       ## this list
	@awk -F ': .*## ' '/^[a-z-]+: .*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:      ## system packages and .venv with meshctl in it; quick when all is there
	@.ci/setup

demo:       ## from nothing to a request through the mesh, in an embedded lab
	@.ci/demo

test:       ## everything: lint, unit, libvirt, and the lab run
	@.ci/test

test-all:   ## the same with all scenarios of a cluster that lives, not only those whose turn it is
	@.ci/test whole

test-fast:  ## what needs no lab: unit and libvirt
	@.ci/test fast

lint:       ## ruff, mypy, import contracts
	@.ci/test lint

docs:       ## makes the pages of docs/ that come from data anew
	@.ci/docs

faults:     ## kills a run at every change that it makes, and tries two runs in every phase shift
	@.ci/faults

mutants:    ## plants 30 faults one after the other: does a fast test kill each?
	@.ci/mutants

clean:      ## removes .venv and what tools left here; images and bundles stay in ~/.cache/meshctl
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
