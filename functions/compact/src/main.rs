//! Starts the function.

use compact::Compact;
use feed::lambda::{self, Error};
use feed::{Aws, Environment};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start_log();
    let aws = Aws::from_environment().await;
    let compact = &Compact::from_environment(&Environment::of_process(), aws)
        .map_err(|error| error.to_string())?;
    lambda::run_events(|event| compact.handle(event)).await
}
