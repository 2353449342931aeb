//! No fault, crash or race loses, mixes or invents a package: tried at every step.
//! Each test prints how much it tried: a hundredth, a tenth (`cargo
//! xtask proof --tenth`), or all of it (`cargo xtask proof`).

/// Prints what was tried, also where a test passes: that is what it is for.
macro_rules! say {
    ($($text:tt)+) => {{
        use std::io::Write;
        let line = format!($($text)+) + "\n";
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }};
}
use say;

/// Tens of millions of small pieces of memory come and go here.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod crashes;
mod extent;
mod faults;
mod histories;
mod orders;
mod rebuilds;
mod verb;
mod world;
