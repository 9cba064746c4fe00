# A thin front: what is said here is done by tools/setup (Node, no dependencies), bin/sluice and the npm scripts.
#
#   make demo                       set up, then run the main job until Ctrl-C
#   make demo FOR=30s RATE=2000     … for 30 seconds at 2,000 transactions a second, then a summary
#   make test                       set up, then run the tests
#   make check                      all that CI checks: format, lint, types, imports, dead code, docs, tests
#   make setup                      what both share, alone;  make setup-cluster adds Kafka's and Redis' needs
#   make clean                      removes what was built (not the installed packages, not .sluice/, where data is)

.PHONY: help setup setup-cluster demo test check clean
.DEFAULT_GOAL := help

NODE = node -r ./tools/setup/node-version.cjs

help:
	@sed -n 's/^#   \(make .*\)/  \1/p' Makefile

setup: have-node
	@$(NODE) tools/setup/setup.mjs

setup-cluster: have-node
	@$(NODE) tools/setup/setup.mjs --cluster

# At a terminal the demo gets a process group of its own (set -m), so that Ctrl-C ends it and not make, which would complain.
demo: setup
	@if [ -t 0 ]; then set -m; fi; ./bin/sluice demo $(if $(FOR),--for $(FOR)) $(if $(RATE),--rate $(RATE))

test: setup
	@npm test --silent

check: setup
	@npm run check --silent

clean:
	rm -rf dist coverage node_modules/.cache

.PHONY: have-node
have-node:
	@command -v node >/dev/null 2>&1 || { echo "Sluice needs Node 20.19 or newer on PATH, and there is no 'node'; see nodejs.org" >&2; exit 1; }
