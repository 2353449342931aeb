//! Bytes are an assembly or none, and few of them are read.

#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use nupkg::Assembly;

/// Bytes that may be read of an assembly: its headers, its directory, and 32 entries.
const MOST: u64 = 64 * 1024 + 32 * 28 + 32 * 4 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let mut asked = 0;
    let read = Assembly::read(|range| {
        asked += range.end - range.start;
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        Ok::<_, io::Error>(bytes[place(range.start)..place(range.end)].to_vec())
    });
    assert!(asked <= MOST, "{asked}");
    assert_eq!(read.unwrap(), Assembly::parse(bytes));
});
