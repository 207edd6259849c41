# Needs: npm, make and any Node from 20 on. What is built and run uses the Node that package-lock.json
# pins; it is installed with the other dependencies. `make help` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

NODE := node_modules/.bin/node
# Arguments for what a target starts: make run ARGS='--seconds 20', make test ARGS='unit tidy'.
ARGS ?=
# How often `make soak` kills; a tenth of it on Kafka.
KILLS ?= 4000
# Where `make run` sends traces: jaeger, or nothing.
TRACES ?=

.PHONY: help run test test-quick bench bench-decisions fuzz soak tools build gen docs pictures lint format clean setup

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

run: build ## Install and build where needed, then start the demo (ARGS='--seconds 20'; TRACES=jaeger; INSTANCES=3 KAFKA=1)
ifdef INSTANCES
	@echo "run: $(INSTANCES) instances$(if $(KAFKA), and three Kafka brokers)"
	@$(NODE) --conditions=heapmesh-source scripts/instances.ts --instances $(INSTANCES) $(if $(KAFKA),--kafka) $(ARGS)
else
	@echo "run: heapmesh demo $(ARGS)"
	@$(NODE) $(if $(TRACES),scripts/traces.ts $(TRACES) --) dist/cli/main.js demo $(if $(TRACES),--via proxy) $(ARGS)
endif

test: gen ## Run all tests; installs what they need (ARGS='unit tidy' for some suites)
	@$(NODE) scripts/test.ts $(ARGS)

test-quick: gen ## Run the tests that need neither root nor a second toolchain
	@$(NODE) scripts/test.ts --quick $(ARGS)

bench: build ## Run the benchmarks, as tables and as JSON in bench-results/ (ARGS='heap pick' for some)
	@$(NODE) scripts/bench.ts $(ARGS)

bench-decisions: gen ## Compare picks with those of other balancers, on real processes (ARGS='--only unequal')
	@mkdir -p bench-results
	@$(NODE) --conditions=heapmesh-source test/bench/decisions/decisions.ts \
		--json bench-results/decisions.json --plot bench-results/decisions.svg $(ARGS)

fuzz: gen ## Run what is random for long, with fresh seeds (ARGS='--seconds 3600 test/http2')
	@$(NODE) scripts/fuzz.ts $(ARGS)

soak: gen ## Kill processes that write the log, thousands of times (KILLS=20000 for more), a tenth of them on Kafka
	@HEAPMESH_KILL_CYCLES=$(KILLS) $(NODE) --conditions=heapmesh-source --test test/state/kill.test.ts
	@$(NODE) scripts/tools.ts kafka
	@HEAPMESH_KAFKA_KILL_CYCLES=$$(($(KILLS) / 10)) $(NODE) --conditions=heapmesh-source --test test/kafka/kill.test.ts

tools: setup ## Install the pinned tools of tests and benchmarks into a cache (ARGS='grpcurl' for some)
	@$(NODE) scripts/tools.ts $(ARGS)

build: gen ## Compile to dist/
	@$(NODE) scripts/build.ts

gen: setup ## Generate the messages from proto/ into src/gen/
	@$(NODE) scripts/gen.ts

lint: gen ## Check style, types and protos, change nothing
	@$(NODE) scripts/test.ts lint types proto tidy

format: setup ## Format the sources and apply the linter's safe fixes
	@$(NODE) node_modules/@biomejs/biome/bin/biome check --write .

docs: gen ## Write docs/reference/ and the picture of the flows from the sources
	@$(NODE) scripts/docs.ts

pictures: build ## Renew the pictures of the README by running the demo and the console (needs util-linux, Chromium)
	@$(NODE) scripts/pictures.ts

clean: ## Remove what was built; installed packages and tools stay
	rm -rf dist src/gen bench-results .make ./*.tgz

# Not listed: every target that needs the dependencies needs this.
setup:
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "Heapmesh is built with npm and Node 20 or later: install these first." >&2; exit 1; }
	@node scripts/setup.mjs
