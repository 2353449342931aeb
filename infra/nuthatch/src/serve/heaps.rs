//! The heaps of the C library.
//!
//! glibc gives threads up to eight heaps per processor. A server with many threads that each
//! work for a moment then holds far more memory than is in use, because one heap does not use
//! the free memory of another. The number can be set only before a process starts.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, thread};

/// The variable with the most heaps
/// (<https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html>).
const MOST_HEAPS: &str = "MALLOC_ARENA_MAX";

/// Starts the program anew in this process, with a heap for each processor, unless the variable
/// is set. Where that fails, the server runs with more heaps.
pub(crate) fn share() {
    if !cfg!(target_env = "gnu") || env::var_os(MOST_HEAPS).is_some() {
        return;
    }
    let (Ok(program), Ok(processors)) = (env::current_exe(), thread::available_parallelism())
    else {
        return;
    };
    let mut again = Command::new(program);
    again.args(env::args_os().skip(1)).env(MOST_HEAPS, processors.to_string());
    let error = again.exec();
    tracing::debug!("cannot start anew with fewer heaps: {error}");
}
