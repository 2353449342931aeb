//! A binary for the tests that runs the function named in its first argument. The function
//! starts as in its own binary.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "authorize" => lambda::run_events::<authorize::Authorize>().await,
        "compact" => lambda::run_events::<compact::Compact>().await,
        "meter" => lambda::run_events::<meter::Meter>().await,
        verb => {
            lambda::run_made(|context| registry::verb(verb, context).expect("a verb's name")).await
        }
    }
}
