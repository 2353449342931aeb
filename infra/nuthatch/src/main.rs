//! Starts the command.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use nuthatch::command::{Action, Command};
use nuthatch::{check, keys, push, relay, serve};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let command = Command::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let done = match command.action {
        Action::Serve(options) => serve::run(options).await.map_err(|error| error.to_string()),
        Action::Push(options) => push::run(options).await.map_err(|error| error.to_string()),
        Action::Relay(options) => relay::run(options).await.map_err(|error| error.to_string()),
        Action::Check(options) => check::run(options).await.map_err(|error| error.to_string()),
        Action::Key(action) => keys::run(action).await.map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads it, the exit code has to do.
            let _ = writeln!(io::stderr(), "nuthatch: {error}");
            ExitCode::FAILURE
        }
    }
}
