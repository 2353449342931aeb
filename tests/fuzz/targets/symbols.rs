//! A symbols package is refused, or each of its PDBs belongs to the package, in bounded time.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nupkg::{Limits, PdbContents, PdbIdentity, inspect_symbols, match_symbols};
use packages::{AssemblyBuilder, PackageBuilder, Pdb};
use time::OffsetDateTime;

/// A package with the assemblies of the seeds.
static PACKAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (one, two) = (Pdb::new(b"one"), Pdb::with_id(b"two", [7; 20]));
    let plain = AssemblyBuilder::default().code_view(two.id, "A.pdb");
    PackageBuilder::new("Acme", "1.0.0")
        .file("lib/A.dll", &AssemblyBuilder::of(&one).build())
        .file("lib/B.dll", &plain.build())
        .build()
});

fuzz_target!(|snupkg: &[u8]| {
    let limits = Limits { pdb_bytes: 1 << 20, pdbs_bytes: 1 << 20, ..Limits::default() };
    let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
    let Ok(symbols) = inspect_symbols(snupkg, &limits, now) else { return };
    let Ok(mut pdbs) = PdbContents::open(snupkg) else { return };
    let package = PACKAGE.as_slice();
    let Ok(matched) = match_symbols(&symbols, &mut pdbs, package, &limits) else { return };
    assert!(!matched.is_empty() && matched.len() <= symbols.pdbs.len());
    for pdb in matched {
        let mut bytes = Vec::new();
        pdbs.copy(&pdb.entry, &mut bytes).expect("it was read before");
        let identity = PdbIdentity::read(bytes.as_slice(), pdb.entry.size);
        assert_eq!(identity.expect("a PDB"), pdb.identity);
        assert!(bytes.len() as u64 <= limits.pdb_bytes);
    }
});
