//! Symbols, as the real client pushes them.

use nuthatch_tests::{AssemblyBuilder, PackageBuilder, Pdb, symbols};

use crate::NuGet;

/// Writes a package, and beside it the symbols of this PDB.
fn pack(nuget: &NuGet, id: &str, pdb: &Pdb, of_symbols: &Pdb) {
    let assembly = AssemblyBuilder::of(pdb).build();
    let nupkg = PackageBuilder::new(id, "1.0.0").file("lib/net45/A.dll", &assembly);
    let snupkg = symbols(id, "1.0.0").file("lib/net45/A.pdb", &of_symbols.bytes);
    nuget.pack(&format!("{id}.1.0.0.nupkg"), &nupkg);
    nuget.pack(&format!("{id}.1.0.0.snupkg"), &snupkg);
}

pub(crate) fn symbols_are_pushed_along_and_again_and_not_where_they_are_not_wanted(nuget: &NuGet) {
    let pushed = |said: &str| said.matches("Your package was pushed.").count();
    let pdb = Pdb::new(b"one");
    pack(nuget, "Acme", &pdb, &pdb);
    let said = nuget.push_with_key("Acme.1.0.0.nupkg", &[]);
    said.is_success("/api/v2/symbolpackage/");
    assert_eq!(pushed(&said.text), 2, "{}", said.text);
    // This client sends the symbols of a version that it skips.
    let said = nuget.push_with_key("Acme.1.0.0.nupkg", &["-SkipDuplicate"]);
    said.is_success("/api/v2/symbolpackage/");
    assert_eq!(pushed(&said.text), 1, "{}", said.text);
    // Symbols of a version that was built again are skipped like the version.
    let other = Pdb::new(b"built again");
    pack(nuget, "Acme", &other, &other);
    let said = nuget.push_with_key("Acme.1.0.0.nupkg", &["-SkipDuplicate"]);
    said.is_success("Conflict");
    assert_eq!(pushed(&said.text), 0, "{}", said.text);
    pack(nuget, "Other", &pdb, &pdb);
    let said = nuget.push_with_key("Other.1.0.0.nupkg", &["-NoSymbols"]);
    said.is_success("Your package was pushed.");
    assert!(!said.text.contains("symbolpackage"), "{}", said.text);
    nuget.push_with_key("Other.1.0.0.snupkg", &[]).is_success("Your package was pushed.");
}

pub(crate) fn bad_symbols_say_why_and_their_package_is_in(nuget: &NuGet) {
    let (pdb, other) = (Pdb::new(b"one"), Pdb::new(b"other"));
    pack(nuget, "Acme", &pdb, &other);
    let said = nuget.push_with_key("Acme.1.0.0.nupkg", &[]);
    said.is_failure("no assembly of the package names the PDB 'lib/net45/A.pdb'");
    assert!(said.text.contains("the .nupkg is not affected"), "{}", said.text);
    pack(nuget, "Acme", &pdb, &pdb);
    nuget.push_with_key("Acme.1.0.0.nupkg", &[]).is_failure("409");
    nuget.push_with_key("Acme.1.0.0.snupkg", &[]).is_success("Your package was pushed.");
}
