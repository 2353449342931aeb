//! The heaps of the C library.
//!
//! glibc gives threads up to eight heaps per processor. A server with many threads that each
//! work for a moment then holds far more memory than is in use, because one heap does not use
//! the free memory of another. Safe code can set the number only before a process starts.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, thread};

/// The variable with the most heaps
/// (<https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html>).
const MOST_HEAPS: &str = "MALLOC_ARENA_MAX";
/// Set once the process has started anew. glibc takes its own variable away from programs with
/// capabilities, which would start anew for ever.
const STARTED_ANEW: &str = "NUTHATCH_HEAPS_ARE_SET";

/// Starts the program anew in this process, with a heap for each processor, unless somebody has
/// set their number. Where that fails, the server runs with more heaps.
pub(crate) fn restart_with_few() {
    let is_set = [MOST_HEAPS, STARTED_ANEW].iter().any(|name| env::var_os(name).is_some());
    if is_set || !cfg!(target_env = "gnu") {
        return;
    }
    let (Ok(program), Ok(processors)) = (env::current_exe(), thread::available_parallelism())
    else {
        return;
    };
    // Started by the loader itself, which does not find the program by these arguments.
    if program.file_name().is_none_or(|name| name.to_string_lossy().starts_with("ld-")) {
        return;
    }
    let mut again = Command::new(program);
    again.args(env::args_os().skip(1));
    again.env(MOST_HEAPS, processors.to_string()).env(STARTED_ANEW, "yes");
    let error = again.exec();
    tracing::debug!("cannot start anew with fewer heaps: {error}");
}
