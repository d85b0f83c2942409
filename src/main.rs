//! The `richter` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    richter::cli::main()
}
