.PHONY: demo build test chaos bench-kafka lint deny check-deploy clean

# A recorded fault, from the first sign to the recovery.
demo: build
	@./target/release/richter demo

build:
	@scripts/setup
	cargo build --release --locked

# Everything: format, lints, documentation, deploy files, unit, golden, simulation and Kafka tests.
test:
	@scripts/setup test
	$(MAKE) lint check-deploy
	cargo test --locked --lib --test it

# The promise at length: 50 kills under load, then ten minutes of everything. RICHTER_SEED chooses what.
chaos:
	@scripts/setup test
	RICHTER_KILLS=50 cargo test --locked --test it killed_again_and_again -- --nocapture
	RICHTER_CHAOS=600 cargo test --locked --test it everything_at_random -- --nocapture

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
