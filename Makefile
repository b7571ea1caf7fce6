# Everything a newcomer or a machine needs: `make help`.

CARGO    ?= cargo
ROUNDS   ?= 10
DOWN_AFTER ?= 1000
# Passed to the demo or the benchmark: make demo ARGS=--keep
ARGS     ?=
# The tests start many servers and measure time: a few at once is all a small machine can do.
JOBS     ?= 4
# Whose promises the faults are to show: strict, or available to see what strict is for.
POLICY   ?= strict
FEATURES := --features failpoints

# What cargo-deny looks at. `advisories` too where the advisory database can be fetched.
CHECKS   ?= bans licenses sources
DENY     := 0.20.2
ABOUT    := 0.9.3

.PHONY: help demo test test-faults compare clients bench-failover bench-answers bench-floods check deny notices fix need-redis need-clients need-drivers need-net

help:
	@echo 'make demo            kill a master and watch the failover     (ARGS=--keep leaves the cluster running)'
	@echo 'make test            all tests, with real redis-server processes'
	@echo 'make test-faults     real processes in network namespaces, cut, stopped and killed; needs root (ARGS=cuts: only those)'
	@echo 'make compare         twelve kinds of trouble, beside stock Sentinel: a table and a page   (ARGS="--only crash,hang --runs 5")'
	@echo 'make clients         client libraries through a kill, a switchover and a sentinel that is cut off, beside stock; needs root   (ARGS="--only redis-py,predis")'
	@echo 'make bench-floods    answers and a failover under floods of strangers, beside stock Sentinel   (ARGS="--only ping60,idle")'
	@echo 'make check           formatting, clippy and documentation; changes nothing'
	@echo 'make deny            licences, sources and bans of all dependencies (CHECKS="advisories bans licenses sources" with network access)'
	@echo 'make notices         the licences of everything in the binary, as target/THIRD-PARTY-NOTICES.html'
	@echo 'make fix             formats, and applies what clippy can fix'
	@echo 'make bench-failover  time to the first write after a kill, beside stock Sentinel (ROUNDS=10 DOWN_AFTER=1000)'
	@echo 'make bench-answers   answers a second, and the cost of a change, beside stock Sentinel (ARGS="--pipeline 16")'

demo: need-redis
	$(CARGO) build --release --locked --bin raft-sentinel --example quickstart
	@target/release/examples/quickstart $(ARGS)

# Documentation tests are not for nextest. Both runners end with their own summary line, which is left in sight.
test: need-redis need-clients
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		set -ex; \
		$(CARGO) test --locked $(FEATURES) --doc; \
		$(CARGO) nextest run --locked $(FEATURES) --no-fail-fast --test-threads $(JOBS); \
	else \
		set -ex; \
		$(CARGO) test --locked $(FEATURES) --no-fail-fast -- --test-threads $(JOBS); \
	fi

# Not part of the tests above: it needs root, and takes minutes.
test-faults: need-redis need-net
	@rm -rf target/tmp/faults
	@POLICY=$(POLICY) $(CARGO) test --locked $(FEATURES) --no-fail-fast --test faults -- --test-threads $(JOBS) $(ARGS); \
		status=$$?; cat target/tmp/faults/table.txt; exit $$status

# As root, members live in network namespaces; without, the scenarios that cut connections are left out.
compare: need-redis
	@sh scripts/need iproute2 || true
	$(CARGO) build --release --locked --bin raft-sentinel --example compare
	@target/release/examples/compare $(ARGS)

clients: need-redis need-net need-drivers
	$(CARGO) build --release --locked --bin raft-sentinel --example clients
	@target/release/examples/clients $(ARGS)

bench-failover: need-redis
	$(CARGO) build --release --locked --bin raft-sentinel --example bench_failover
	@target/release/examples/bench_failover --rounds $(ROUNDS) --down-after $(DOWN_AFTER) $(ARGS)

bench-answers: need-redis
	$(CARGO) build --release --locked --bin raft-sentinel --example bench_answers
	@target/release/examples/bench_answers $(ARGS)

bench-floods: need-redis
	$(CARGO) build --release --locked --bin raft-sentinel --example bench_floods
	@target/release/examples/bench_floods $(ARGS)

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets --test faults $(FEATURES) -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps $(FEATURES)

deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny --version $(DENY)
	$(CARGO) deny --locked check --hide-inclusion-graph $(CHECKS)

# To be shipped with every binary.
notices:
	@$(CARGO) about --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-about --version $(ABOUT) --features cli
	@mkdir -p target
	$(CARGO) about generate --locked --fail about.hbs -o target/THIRD-PARTY-NOTICES.html
	@echo 'target/THIRD-PARTY-NOTICES.html'

fix:
	$(CARGO) clippy --fix --allow-dirty --allow-staged --all-targets --test faults $(FEATURES)
	$(CARGO) fmt --all

need-redis:
	@sh scripts/need redis-server redis-sentinel util-linux

# The client libraries that the tests follow a master with bring their own packages; these are what those need.
need-clients:
	@sh scripts/need python3-venv nodejs npm

# What cannot be had is told in the table.
need-drivers: need-clients
	@sh scripts/need php-cli php-redis php-predis libredis-perl ruby-redis ruby-sidekiq haproxy || true

need-net:
	@sh scripts/need iproute2 util-linux
