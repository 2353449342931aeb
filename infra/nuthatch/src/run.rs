//! Runs the command line of this process.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::command::{Action, Command};
use crate::{
    check, identity, keys, log, packages, plugin, push, quotas, relay, serve, sign_in, trusts,
    usages,
};

/// Runs the command line of this process, and returns the exit code: 0 for success, 1 for
/// failure. If the command line cannot be parsed, the process exits with 2.
pub async fn run() -> ExitCode {
    if plugin::is_asked_for() {
        return ended(plugin::run().await.map_err(|error| error.to_string()));
    }
    let command = Command::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let done = match command.action {
        Action::Serve(options) => {
            serve::heaps::restart_with_few();
            serve::run(options).await.map_err(|error| error.to_string())
        }
        Action::Push(options) => push::run(options).await.map_err(|error| error.to_string()),
        Action::Relay(options) => relay::run(options).await.map_err(|error| error.to_string()),
        Action::Check(options) => check::run(options).await.map_err(|error| error.to_string()),
        Action::Key(action) => keys::run(action).await.map_err(|error| error.to_string()),
        Action::Trust(action) => {
            Box::pin(trusts::run(action)).await.map_err(|error| error.to_string())
        }
        Action::Token(options) => {
            Box::pin(identity::run(options)).await.map_err(|error| error.to_string())
        }
        Action::Log(options) => {
            Box::pin(log::run(options)).await.map_err(|error| error.to_string())
        }
        Action::Usage(options) => {
            Box::pin(usages::run(options)).await.map_err(|error| error.to_string())
        }
        Action::Quota(action) => {
            Box::pin(quotas::run(action)).await.map_err(|error| error.to_string())
        }
        Action::Package(action) => packages::run(action).await.map_err(|error| error.to_string()),
        Action::Login(options) => {
            Box::pin(sign_in::login(options)).await.map_err(|error| error.to_string())
        }
        Action::Logout(options) => sign_in::logout(&options).map_err(|error| error.to_string()),
    };
    ended(done)
}

fn ended(done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads stderr, the exit code has to be enough.
            let _ = writeln!(io::stderr(), "nuthatch: {error}");
            ExitCode::FAILURE
        }
    }
}
