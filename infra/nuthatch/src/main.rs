//! Starts the command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    nuthatch::run().await
}
