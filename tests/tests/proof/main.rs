//! No fault, crash or race loses, mixes or invents a package: tried at every step.
//! Each test prints how much it tried: a hundredth, a tenth (`cargo
//! xtask proof --tenth`), or all of it (`cargo xtask proof`).

/// Prints how much was tried, even if the test passes.
macro_rules! say {
    ($($text:tt)+) => {{
        use std::io::Write;
        let line = format!($($text)+) + "\n";
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }};
}
use say;

/// The proofs make tens of millions of small allocations.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod crashes;
mod extent;
mod faults;
mod histories;
mod metering;
mod months;
mod orders;
mod rebuilds;
mod trusts;
mod verb;
mod world;
