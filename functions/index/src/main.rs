//! Starts the function.

use feed::Environment;
use feed::lambda::{self, Error};
use index::Index;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start_log();
    let verb =
        &Index::from_environment(&Environment::of_process()).map_err(|error| error.to_string())?;
    lambda::run(env!("CARGO_PKG_NAME"), |request| verb.handle(request)).await
}
