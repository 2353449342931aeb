//! The command, which cargo builds for the tests.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    nuthatch::run().await
}
