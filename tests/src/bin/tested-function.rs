//! Any function, by the name that it is given: cargo builds it for the tests. Each starts as
//! its own binary does.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "authorize" => lambda::run_events::<authorize::Authorize>().await,
        "compact" => lambda::run_events::<compact::Compact>().await,
        verb => {
            lambda::run_made(|context| registry::verb(verb, context).expect("a verb's name")).await
        }
    }
}
