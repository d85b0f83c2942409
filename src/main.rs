//! The `richter` program.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// It gives back what a backlog needed. glibc's keeps it: much of it was librdkafka's, whose memory comes from here as well.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    richter::cli::main()
}
