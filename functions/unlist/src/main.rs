//! Starts the function.

use feed::lambda::{self, Error};
use feed::{Aws, Environment};
use unlist::Unlist;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start_log();
    let aws = Aws::from_environment().await;
    let verb = &Unlist::from_environment(&Environment::of_process(), aws)
        .map_err(|error| error.to_string())?;
    lambda::run(env!("CARGO_PKG_NAME"), |request| verb.handle(request)).await
}
