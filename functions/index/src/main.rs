//! Starts the function.

use feed::lambda::{self, Error};
use index::Index;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start_log();
    lambda::run(|request| Index.handle(request)).await
}
