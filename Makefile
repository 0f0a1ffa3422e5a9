# Two commands do all set-up on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/sh
UV = $(shell sh lab/bootstrap.sh)
RUN = $(UV) run --frozen
LABCMD = python3 -m lab

.PHONY: help demo test check generate lab-up lab-status lab-down format deep mutants bench-git bench-sessions bench-rollback bench-releases

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: lab-up ## the main job, on a real cluster: from git push to a page, switched, stopped, and a bad one taken back
	@$(RUN) python -m lab.demo

test: lab-up check ## everything this machine can run; says what it skipped and why
	@$(RUN) python -m tests.run

check: ## format, lint, types, import rules, generated files, unit and property tests (no cluster; under a minute)
	@$(RUN) python -m tests.check

generate: ## write crds/, the chart's copies and the API reference from the models
	@$(RUN) python crds/generate.py

format: ## let ruff format and mend what it can
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .

deep: ## the property tests with many more examples (minutes)
	@DATAAPP_DEEP=1 $(RUN) pytest -q tests/property

mutants: ## break each invariant in the code, three ways each; the property tests must notice (minutes)
	@$(RUN) python -m tests.mutants

bench-git: lab-up ## what a repository of 100 apps costs per commit and at rest (5 minutes; alone on the cluster)
	@$(RUN) python -m bench.git

bench-sessions: lab-up ## 30 people with open sessions under 50 releases, and under a plain rolling update (12 minutes; alone)
	@$(RUN) python -m bench.sessions

bench-rollback: lab-up ## from the first failing answer of a released version to no new visit on it (10 minutes; alone)
	@$(RUN) python -m bench.rollback

bench-releases: ## 200 releases at once, on a cluster of fake nodes of its own (5 minutes; needs no lab; alone on the machine)
	@$(RUN) python -m bench.releases

lab-up: ## raise the cluster, with the operator in it (safe to run again at any time)
	@sh lab/bootstrap.sh >/dev/null
	@$(LABCMD) up

lab-status: ## what runs, where its logs are
	@$(LABCMD) status

lab-down: ## remove all of it; caches stay
	@$(LABCMD) down
