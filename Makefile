# Every target prepares what it needs: a virtual environment in .venv, filled by uv from the pinned requirements.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
RUN := $(BIN)/python
# The AWS CDK's command line, run by the Node from PyPI.
CDK := $(RUN) -m infra.cli
# Options for the CDK, as in: make deploy CDK_OPTIONS="-c config=production.json"
CDK_OPTIONS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test prove check policy mutants format synth deploy local docs bench lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

demo: .venv/ready  ## watch real (emulated) Glue runs stop, on this machine
	@$(RUN) -m local demo

test: .venv/ready check  ## lint, types, and every test
	$(RUN) -m pytest --cov --cov-report=term

prove: .venv/ready  ## attack what it promises: faults, kills, floods (PROVE_OPTIONS="--seed 1" repeats a run)
	@$(RUN) -m prove $(PROVE_OPTIONS)
PROVE_OPTIONS ?=

check: .venv/ready  ## lint and types alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

policy: .venv/ready build/checkov/ready  ## hold the template against cdk-nag, cfn-lint and checkov
	$(RUN) app.py $(CDK_OPTIONS)
	$(BIN)/cfn-lint --ignore-checks W3005 -- $(TEMPLATE)
	LOG_LEVEL=ERROR build/checkov/bin/checkov --file $(TEMPLATE) --framework cloudformation --skip-download --compact --quiet
TEMPLATE := cdk.out/Gluebrake.template.json

mutants: .venv/ready build/mutants/ready  ## change the code, one thing at a time, and see that the tests notice
	build/mutants/bin/python -m tests.mutation

format: .venv/ready  ## mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

synth: .venv/ready  ## synthesise the CloudFormation template into cdk.out/
	$(RUN) app.py $(CDK_OPTIONS)

deploy: .venv/ready  ## deploy to the AWS account that your credentials name
	@$(BOOTSTRAPPED) >/dev/null 2>&1 || $(CDK) bootstrap $(CDK_OPTIONS)
	$(CDK) deploy --require-approval never $(CDK_OPTIONS)
BOOTSTRAPPED := $(BIN)/aws ssm get-parameter --name /cdk-bootstrap/hnb659fds/version

local: .venv/ready  ## AWS on this machine, with Gluebrake deployed, until Ctrl-C
	@$(RUN) -m local up

docs: .venv/ready  ## write the schemas and pictures of docs/ anew
	$(RUN) -m docs.generate
	$(RUN) -m local demo --svg docs/pictures/demo.svg

bench: .venv/ready build/bench/ready  ## measure the figures of docs/performance.md anew, in some five minutes
	@PYTHONPATH=build/bench:lambda_src $(RUN) -m benchmarks --write

lock: .venv/ready  ## look up new versions for the requirements files
	$(UV) pip compile $(LOCK) --upgrade --group dev -o requirements-dev.txt
	$(UV) pip compile $(LOCK) --constraint requirements-dev.txt --group app -o requirements.txt
	$(UV) pip compile $(LOCK) --constraint requirements-dev.txt --group functions -o lambda_src/requirements.txt
	$(UV) pip compile $(LOCK) --upgrade --constraint requirements-dev.txt --group bench -o benchmarks/requirements.txt
	$(UV) pip compile $(LOCK) --constraint requirements-dev.txt --group bench-conventional -o benchmarks/functions/conventional/requirements.txt
	$(UV) pip compile $(LOCK) --constraint requirements-dev.txt --group bench-bare -o benchmarks/functions/bare/requirements.txt
	$(UV) pip compile $(LOCK) --upgrade --no-deps --group bench-runtime -o benchmarks/functions/runtime.txt
	$(UV) pip compile $(LOCK) --upgrade --group checkov -o requirements-checkov.txt
	$(UV) pip compile $(LOCK) --constraint requirements-dev.txt --group mutants -o requirements-mutants.txt
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url pyproject.toml

clean:  ## remove the environment and everything generated
	rm -rf .venv cdk.out build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov

# Tools with an environment of their own.
build/%/ready: requirements-%.txt .venv/ready
	@$(UV) venv --quiet --clear --python $(RUN) build/$*
	@$(UV) pip sync --quiet --python build/$*/bin/python $<
	@touch $@

.venv/ready: requirements-dev.txt
	@test -x $(RUN) || $(PYTHON) -m venv .venv
	@test -x $(UV) || $(RUN) -m pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[0-9.]*' requirements-dev.txt)"
	@$(UV) pip sync --quiet --python $(RUN) requirements-dev.txt
	@touch $@

# Beside the environment, not in it: what draws pictures and makes certificates is no part of the project.
build/bench/ready: benchmarks/requirements.txt .venv/ready
	@rm -rf $(@D)
	@$(UV) pip install --quiet --python $(RUN) --require-hashes --no-deps --target $(@D) -r $<
	@touch $@
