.PHONY: demo build test chaos fuzz promql accuracy storms rootcause bench-correlate bench-detect bench-kafka bench-route lint deny check-deploy clean

# A recorded fault, from the first sign to its review.
demo: build
	@./target/release/richter demo

build:
	@scripts/setup
	cargo build --release --locked

# Everything: format, lints, documentation, deploy files, fuzzing for seconds, unit, golden, simulation and Kafka tests.
test:
	@scripts/setup test
	$(MAKE) lint check-deploy
	fuzz/run 2
	cargo test --locked --lib --test it

# The promise at length: 50 kills under load, then ten minutes of everything. RICHTER_SEED chooses what.
chaos:
	@scripts/setup test
	RICHTER_KILLS=50 cargo test --locked --test it killed_again_and_again -- --nocapture
	RICHTER_CHAOS=600 cargo test --locked --test it everything_at_random -- --nocapture

# Every decoder against mutations of the samples, a minute each or SECONDS. TARGET=metrics/influx for one of them.
fuzz:
	@scripts/setup
	fuzz/run $(or $(SECONDS),60) $(TARGET)

# Queries against Prometheus' own engine: N random expressions on random series from SEED.
promql:
	@scripts/setup promql
	cargo bench --locked --profile dev --bench promql -- $(or $(N),3000) $(or $(SEED),1)

# Detection on labelled series, from ../shared/data or RICHTER_DATA, and on series whose truth is known.
# WHAT="nab kpi draws robust truth" for some of it.
accuracy:
	@scripts/setup
	cargo bench --locked --bench accuracy -- $(WHAT)

# Grouping and suspects on generated storms whose truth is known; the generator is in ../shared/storms or RICHTER_STORMS.
# SEEDS=20-29 and PROFILES="base noisy" for others.
storms: build
	benches/storms/run $(or $(SEEDS),0-9) "$(or $(PROFILES),base late noisy storm dense badtopo)"

# Which node is at the root of 26 injected faults in a shop of services, from ../shared/data/petshop or RICHTER_DATA.
rootcause:
	@scripts/setup
	cargo bench --locked --bench rootcause

# Correlation from memory on one core: alerts per second, bytes per active alert, and grouping on storms of its own.
bench-correlate:
	@scripts/setup
	cargo bench --locked --bench correlate -- $(WHAT)

# Detection from memory on one core: nanoseconds per evaluation, bytes per series. WHAT=400000 for one number of series.
bench-detect:
	@scripts/setup
	cargo bench --locked --bench detect -- $(WHAT)

# Route from memory on one core. WHAT="influx 1000" for one format and one number of series.
bench-route:
	@scripts/setup
	cargo bench --locked --bench route -- $(WHAT)

# Throughput, latency and recovery on a real Kafka, in tables. WHAT=latency for one of them.
bench-kafka:
	@scripts/setup test
	cargo bench --locked --bench kafka -- $(WHAT)

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet

# Licences and sources of what we build on; needs cargo-deny.
deny:
	cargo deny check licenses bans sources

# What can be checked without Docker: each tool where it is installed.
check-deploy:
	@deploy/check

clean:
	cargo clean
