//! No fault, crash or race loses, mixes or invents a package: tried at every step.
//! Each test prints how much it tried.

/// Prints what was tried, also where a test passes: that is what it is for.
macro_rules! say {
    ($($text:tt)+) => {{
        use std::io::Write;
        let line = format!($($text)+) + "\n";
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }};
}
use say;

/// What is tried here, tens of millions of small pieces of memory come and go with.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod crashes;
mod faults;
mod histories;
mod orders;
mod rebuilds;
mod verb;
mod world;
