//! A package is judged the same wherever it is kept, in bounded time and space.

#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use nupkg::{Limits, Source, inspect};
use packages::assert_read_alike;
use time::OffsetDateTime;

/// A source that gives a few bytes at a time, as a slow store might.
struct Slow<'a>(&'a [u8]);

impl Source for Slow<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let few = buffer.len().min(7);
        self.0.read_at(&mut buffer[..few], offset)
    }
}

fuzz_target!(|package: &[u8]| {
    let limits = Limits::default();
    let judge = |source: &dyn Fn() -> Result<nupkg::Package, nupkg::PackageError>| {
        source().map(|package| {
            let files =
                [&package.attached.readme, &package.attached.icon, &package.attached.license];
            for file in files.into_iter().flatten() {
                assert!(file.len() as u64 <= limits.attached_file_bytes);
            }
            assert!(package.nuspec_zlib.len() as u64 <= limits.deflated_nuspec_bytes);
            format!("{package:?}")
        })
    };
    let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
    let at_once = judge(&|| inspect(package, &limits, now));
    // An accepted package gives exactly the same result. A refusal may name another fault
    // first.
    if let Ok(seen) = at_once {
        let slowly = judge(&|| inspect(Slow(package), &limits, now));
        assert_eq!(slowly.ok(), Some(seen));
        // Where zip refuses a package, nobody reads another one out of it.
        let _ = assert_read_alike(package);
    }
});
