//! Symbols packages: the values of the reference implementation, and every rule.

use std::io::{self, Cursor};

use nupkg::{
    Algorithm, Assembly, Limits, MatchedPdb, PackageError, PdbContents, PdbError, PdbId,
    PdbIdentity, PdbReadError, SymbolsError, inspect_symbols, locate_id, match_symbols,
};
use packages::{AssemblyBuilder, PackageBuilder, Pdb, code_view, symbols, symbols_corpus};
use proptest::prelude::*;
use sha2::{Digest, Sha384};

/// After the real pairs were made.
const NOW: time::OffsetDateTime = time::macros::datetime!(2026-12-01 12:00 UTC);

/// The PDBs of a symbols package that belong to the assemblies of a package.
fn matched_with(
    snupkg: &[u8],
    nupkg: &[u8],
    limits: &Limits,
) -> Result<Vec<MatchedPdb>, PackageError> {
    let inspected = inspect_symbols(snupkg, limits, NOW)?;
    match_symbols(&inspected, &mut PdbContents::open(snupkg)?, nupkg, limits)
}

fn matched(snupkg: &PackageBuilder, nupkg: &PackageBuilder) -> Result<Vec<MatchedPdb>, String> {
    let matched = matched_with(&snupkg.build(), &nupkg.build(), &Limits::default());
    matched.map_err(|error| error.to_string())
}

fn refusal(snupkg: &PackageBuilder, nupkg: &PackageBuilder) -> String {
    matched(snupkg, nupkg).unwrap_err()
}

fn package() -> PackageBuilder {
    PackageBuilder::new("Acme", "1.0.0")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
#[cfg_attr(not(has_corpus), ignore = "the corpus of real packages is not beside this checkout")]
fn real_pdbs_have_the_ids_and_checksums_of_the_reference() {
    let mut checked = 0;
    for pair in symbols_corpus(false).into_iter().chain(symbols_corpus(true)) {
        let mut archive = zip::ZipArchive::new(Cursor::new(&pair.snupkg)).unwrap();
        for expected in &pair.pdbs {
            let text = |name: &str| expected[name].as_str().unwrap();
            let mut bytes = Vec::new();
            io::copy(&mut archive.by_name(text("entry")).unwrap(), &mut bytes).unwrap();
            let size = bytes.len() as u64;
            let identity = PdbIdentity::read(bytes.as_slice(), size).unwrap();
            assert_eq!(identity.id_offset, expected["id_offset"].as_u64().unwrap());
            assert_eq!(hex(&identity.checksum), text("sha256_with_id_zeroed"));
            let name = text("entry").rsplit('/').next().unwrap().to_lowercase();
            let key = format!("{name}/{}ffffffff/{name}", identity.id.guid());
            assert_eq!(key, text("key"));
            assert!(identity.is_self_certified(), "{}", text("entry"));
            // A second opinion.
            let other = symbolic_ppdb::PortablePdb::parse(&bytes).unwrap();
            let other = other.pdb_id().unwrap();
            assert_eq!(format!("{:x}", other.uuid().simple()), identity.id.guid());
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked}");
}

#[test]
#[cfg_attr(not(has_corpus), ignore = "the corpus of real packages is not beside this checkout")]
fn real_assemblies_name_the_pdbs_of_the_reference() {
    let mut checked = 0;
    for pair in symbols_corpus(false) {
        let mut archive = zip::ZipArchive::new(Cursor::new(&pair.nupkg)).unwrap();
        for expected in pair.assemblies.iter().filter(|entry| entry["kind"] == "pe") {
            let mut bytes = Vec::new();
            let entry = expected["entry"].as_str().unwrap();
            io::copy(&mut archive.by_name(entry).unwrap(), &mut bytes).unwrap();
            let assembly = Assembly::parse(&bytes).unwrap();
            let debug = expected["debug"].as_array().unwrap();
            let of_kind = |kind: &'static str| debug.iter().filter(move |of| of["type"] == kind);
            let views: Vec<String> = of_kind("CodeView")
                .map(|of| {
                    let text = |name: &str| of[name].as_str().unwrap();
                    format!("{}-{} {}", text("guid"), text("stamp"), text("path"))
                })
                .collect();
            let seen = assembly.code_views.iter().map(|view| format!("{} {}", view.id, view.path));
            assert_eq!(seen.collect::<Vec<_>>(), views);
            let checksums = of_kind("PdbChecksum").map(|of| of["checksum"].as_str().unwrap());
            let seen = assembly.checksums.iter().map(|checksum| hex(&checksum.hash));
            assert_eq!(seen.collect::<Vec<_>>(), checksums.collect::<Vec<_>>());
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}

#[test]
#[cfg_attr(not(has_corpus), ignore = "the corpus of real packages is not beside this checkout")]
fn real_pairs_match_and_those_of_another_build_do_not() {
    for pair in symbols_corpus(false) {
        let matched = matched_with(&pair.snupkg, &pair.nupkg, &Limits::default()).unwrap();
        assert_eq!(matched.len(), pair.pdbs.len(), "{}", pair.id);
    }
    for pair in symbols_corpus(true) {
        let error = matched_with(&pair.snupkg, &pair.nupkg, &Limits::default()).unwrap_err();
        let PackageError::Symbols(error) = error else { panic!("{error}") };
        assert!(error.is_of_another_build(), "{error}");
        assert!(error.to_string().contains("Sym.Portable.dll' names "), "{error}");
    }
}

#[test]
fn a_pdb_belongs_to_any_assembly_that_names_it() {
    let pdb = Pdb::new(b"one");
    let assembly = AssemblyBuilder::of(&pdb).build();
    let of = |path: &str| symbols("Acme", "1.0.0").file(path, &pdb.bytes);
    for (path, file) in [
        ("lib/net8.0/A.pdb", "lib/net8.0/A.dll"),
        ("lib/net8.0/A.PDB", "LIB/net8.0/a.DLL"),
        ("tools/A.pdb", "contentFiles/any/any/A.dll"),
        ("A.pdb", "tools/B.exe"),
    ] {
        let found = matched(&of(path), &package().file(file, &assembly)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].names, ["a.pdb"]);
        assert!(found[0].identity.is_self_certified());
        assert_eq!(found[0].checksums.len(), 1);
    }
    // An apphost beside it names no PDB.
    let apphost = AssemblyBuilder::default().build();
    let nupkg = package().file("tools/A.exe", &apphost).file("tools/A.dll", &assembly);
    assert_eq!(matched(&of("tools/A.pdb"), &nupkg).unwrap().len(), 1);
    // The same PDB twice is one.
    let twice = of("lib/a/A.pdb").file("lib/b/A.pdb", &pdb.bytes);
    assert_eq!(matched(&twice, &nupkg).unwrap().len(), 1);
}

#[test]
fn a_pdb_has_the_name_that_its_assembly_has_for_it_too() {
    let pdb = Pdb::new(b"one");
    for (path, names) in [
        (r"C:\build\Real.pdb", vec!["a.pdb", "real.pdb"]),
        ("/_/A.pdb", vec!["a.pdb"]),
        ("/_/", vec!["a.pdb"]),
    ] {
        let assembly = AssemblyBuilder::default().code_view(pdb.id, path).build();
        let found = matched(
            &symbols("Acme", "1.0.0").file("lib/A.pdb", &pdb.bytes),
            &package().file("lib/A.dll", &assembly),
        );
        assert_eq!(found.unwrap()[0].names, names);
    }
}

#[test]
fn an_assembly_without_a_known_checksum_is_taken_by_its_id() {
    let pdb = Pdb::with_id(b"one", [7; 20]);
    let snupkg = symbols("Acme", "1.0.0").file("lib/A.pdb", &pdb.bytes);
    let plain = AssemblyBuilder::default().code_view(pdb.id, "A.pdb");
    for assembly in [plain.clone(), plain.clone().checksum("BLAKE3", &[1])] {
        let found = matched(&snupkg, &package().file("lib/A.dll", &assembly.build())).unwrap();
        assert!(!found[0].identity.is_self_certified());
    }
    // Compiled ahead of time: one more view, of another PDB.
    let two = AssemblyBuilder::default().code_view([1; 20], "A.ni.pdb").code_view(pdb.id, "A.pdb");
    assert!(matched(&snupkg, &package().file("lib/A.dll", &two.build())).is_ok());
}

#[test]
fn any_checksum_of_an_assembly_may_match() {
    let pdb = Pdb::new(b"one");
    let mut zeroed = pdb.bytes.clone();
    zeroed[96..116].fill(0);
    let snupkg = symbols("Acme", "1.0.0").file("lib/A.pdb", &pdb.bytes);
    let view = AssemblyBuilder::default().code_view(pdb.id, "A.pdb").checksum("SHA512", &[0; 64]);
    let assembly = view.clone().checksum("SHA384", &Sha384::digest(&zeroed));
    let found = matched(&snupkg, &package().file("lib/A.dll", &assembly.build())).unwrap();
    let algorithms: Vec<Algorithm> = found[0].checksums.iter().map(|of| of.algorithm).collect();
    assert_eq!(algorithms, [Algorithm::Sha256, Algorithm::Sha384]);
    let said = refusal(&snupkg, &package().file("lib/A.dll", &view.build()));
    assert!(said.contains("its checksum differs"), "{said}");
}

#[test]
fn a_pdb_of_another_build_is_refused_with_both_ids() {
    let (pdb, other) = (Pdb::new(b"one"), Pdb::new(b"other"));
    let nupkg = package().file("lib/A.dll", &AssemblyBuilder::of(&pdb).build());
    let said = refusal(&symbols("Acme", "1.0.0").file("lib/A.pdb", &other.bytes), &nupkg);
    assert!(said.contains(&other.guid()) && said.contains(&pdb.guid()), "{said}");
    // Nowhere an assembly.
    let said = refusal(&symbols("Acme", "1.0.0").file("lib/A.pdb", &other.bytes), &package());
    assert!(said.starts_with("no assembly of the package names the PDB 'lib/A.pdb'"), "{said}");
    // The same id, and other bytes.
    let changed = Pdb::with_id(b"onf", pdb.id);
    let said = refusal(&symbols("Acme", "1.0.0").file("lib/A.pdb", &changed.bytes), &nupkg);
    assert!(said.contains("its checksum differs"), "{said}");
    let both = symbols("Acme", "1.0.0").file("x/A.pdb", &pdb.bytes);
    let said = refusal(&both.file("y/A.pdb", &changed.bytes), &nupkg);
    assert!(said.contains("have the same id and differ"), "{said}");
}

#[test]
fn a_broken_debug_directory_matches_nothing() {
    let pdb = Pdb::with_id(b"one", [7; 20]);
    let snupkg = symbols("Acme", "1.0.0").file("lib/A.pdb", &pdb.bytes);
    let view = || AssemblyBuilder::default().code_view(pdb.id, "A.pdb");
    let in_no_section = {
        let mut bytes = view().build();
        bytes[0x80 + 24 + 144..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes
    };
    let unending = code_view(pdb.id, "A.pdb");
    let unending = &unending[..unending.len() - 1];
    for assembly in [
        in_no_section,
        view().entry(19, 0, [0; 4], b"SHA256").build(),
        view().entry(19, 0, [0; 4], b"\0hash").build(),
        AssemblyBuilder::default().entry(2, 0x504d, [7; 4], unending).build(),
        AssemblyBuilder::default().entry(2, 0x504d, [7; 4], b"NB10").build(),
        AssemblyBuilder::default().entry(2, 0, [7; 4], &code_view(pdb.id, "A.pdb")).build(),
        view().build()[..0x1f0].to_vec(),
        b"MZ".to_vec(),
        Vec::new(),
    ] {
        let said = refusal(&snupkg, &package().file("lib/A.dll", &assembly));
        assert!(said.starts_with("no assembly of the package"), "{said}");
    }
    // A directory of 2^20 entries, or of 4 GB, is read no further than any real one.
    for size in [28_u32 << 20, u32::MAX] {
        let mut endless = view().build();
        endless[0x80 + 24 + 148..][..4].copy_from_slice(&size.to_le_bytes());
        let _ = Assembly::parse(&endless);
    }
}

#[test]
fn a_large_assembly_is_read_in_parts_and_only_so_far() {
    let pdb = Pdb::with_id(b"one", [7; 20]);
    let snupkg = symbols("Acme", "1.0.0").file("lib/A.pdb", &pdb.bytes).build();
    let assembly = AssemblyBuilder::of(&pdb).code(20 << 20).build();
    let nupkg = package().file("lib/A.dll", &assembly).build();
    let limited = |bytes| Limits { assembly_bytes: bytes, ..Limits::default() };
    assert!(matched_with(&snupkg, &nupkg, &limited(256 << 20)).is_ok());
    let error = matched_with(&snupkg, &nupkg, &limited(10 << 20)).unwrap_err();
    assert!(matches!(error, PackageError::Symbols(SymbolsError::NoAssembly { .. })), "{error}");
    // A PDB that nobody can make again is taken unseen.
    let pdb = Pdb::new(b"one");
    let snupkg = symbols("Acme", "1.0.0").file("lib/A.pdb", &pdb.bytes).build();
    assert!(matched_with(&snupkg, &nupkg, &limited(10 << 20)).is_ok());
    assert!(matched_with(&snupkg, &nupkg, &limited(256 << 20)).is_err());
}

#[test]
fn a_symbols_package_holds_pdbs_and_nothing_else() {
    let pdb = Pdb::new(b"one");
    let nupkg = package().file("lib/A.dll", &AssemblyBuilder::of(&pdb).build());
    let plain = || symbols("Acme", "1.0.0");
    let with = |path: &str| plain().file("lib/A.pdb", &pdb.bytes).file(path, b"x");
    for path in ["[Content_Types].xml", "_rels/.rels", "p/q.psmdcp", ".signature.p7s", "LICENSE"] {
        assert!(matched(&with(path), &nupkg).is_ok(), "{path}");
    }
    for (snupkg, words) in [
        (with("x.dll"), "holds 'x.dll'"),
        (plain(), "holds no .pdb file"),
        (plain().file("../x.pdb", &pdb.bytes), "unsafe"),
        (plain().file(r"lib\..\..\x.pdb", &pdb.bytes), "unsafe"),
        (plain().file("C:/x.pdb", &pdb.bytes), "unsafe"),
        (with("lib/a.PDB"), "are the same file"),
        (package().file("lib/A.pdb", &pdb.bytes), "not a symbols package"),
        (plain().file("lib/A.pdb", b"Microsoft C/C++ MSF 7.00\r\n"), "Windows PDB"),
        (plain().file("lib/A.pdb", b""), "not a portable PDB"),
    ] {
        let said = refusal(&snupkg, &nupkg);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_symbols_package_has_limits() {
    let pdb = Pdb::new(b"one");
    let nupkg = package().file("lib/A.dll", &AssemblyBuilder::of(&pdb).build()).build();
    let three = (0..3).fold(symbols("Acme", "1.0.0"), |of, number| {
        of.file(&format!("{number}/A.pdb"), &pdb.bytes)
    });
    let three = three.build();
    let size = pdb.bytes.len() as u64;
    let limits = Limits { pdbs: 3, pdb_bytes: size, pdbs_bytes: 3 * size, ..Limits::default() };
    assert!(matched_with(&three, &nupkg, &limits).is_ok());
    for (limits, words) in [
        (Limits { pdbs: 2, ..limits.clone() }, "holds 3 PDBs; pack at most 2"),
        (Limits { pdb_bytes: size - 1, ..limits.clone() }, "'0/A.pdb' has more than"),
        (Limits { pdbs_bytes: 3 * size - 1, ..limits.clone() }, "the PDBs have"),
    ] {
        let said = matched_with(&three, &nupkg, &limits).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn broken_headers_of_a_pdb_are_refused() {
    let sound = Pdb::new(b"content").bytes;
    let size = sound.len() as u64;
    assert_eq!(locate_id(&sound, size), Ok(96));
    let with = |at: usize, bytes: &[u8]| {
        let mut broken = sound.clone();
        broken[at..at + bytes.len()].copy_from_slice(bytes);
        locate_id(&broken, size)
    };
    // The length of the version, the number of streams, and the header of the first.
    let (version, count, stream) = (12, 30, 32);
    assert_eq!(with(version, &u32::MAX.to_le_bytes()), Err(PdbError::Headers));
    assert_eq!(with(count, &u16::MAX.to_le_bytes()), Err(PdbError::Headers));
    assert_eq!(with(stream + 8, &[b'#'; 40]), Err(PdbError::Headers));
    assert_eq!(with(stream + 8, b"#Pdx"), Err(PdbError::IdStreams(0)));
    assert_eq!(with(stream + 24, b"#Pdb\0\0\0\0"), Err(PdbError::IdStreams(2)));
    let of = |offset, size| Err(PdbError::IdStream { offset, size });
    assert_eq!(with(stream + 4, &8_u32.to_le_bytes()), of(96, 8));
    assert_eq!(with(stream, &u32::MAX.to_le_bytes()), of(u32::MAX, 32));
    for end in [0, 4, 15, 31, 60] {
        let read = PdbIdentity::read(&sound[..end], end as u64);
        assert!(matches!(read, Err(PdbReadError::Format(_))), "{end}: {read:?}");
    }
}

proptest! {
    #[test]
    fn the_id_is_found_and_left_out_wherever_it_is(
        before in 0_usize..9_000,
        content in proptest::collection::vec(any::<u8>(), 0..200_usize),
        id in any::<[u8; 20]>(),
    ) {
        let pdb = Pdb::with_id(&content, id);
        // The stream moves behind everything else.
        let mut bytes = pdb.bytes.clone();
        bytes.resize(bytes.len() + before, 1);
        let at = bytes.len();
        bytes[32..36].copy_from_slice(&u32::try_from(at).unwrap().to_le_bytes());
        bytes.extend(&id);
        bytes.extend([0; 12]);
        let mut zeroed = bytes.clone();
        zeroed[at..at + 20].fill(0);
        let identity = PdbIdentity::read(Few(&bytes), bytes.len() as u64).unwrap();
        prop_assert_eq!(identity.id_offset, at as u64);
        prop_assert_eq!(identity.id.guid(), pdb.guid());
        prop_assert_eq!(identity.checksum[..].to_vec(), sha2::Sha256::digest(&zeroed).to_vec());
        prop_assert!(!identity.is_self_certified());
    }

    #[test]
    fn any_bytes_are_a_pdb_or_none(mut bytes in proptest::collection::vec(any::<u8>(), 0..300_usize)) {
        bytes.splice(0..0, *b"BSJB");
        let _ = PdbIdentity::read(bytes.as_slice(), bytes.len() as u64);
    }
}

/// A reader that gives a few bytes at a time.
struct Few<'a>(&'a [u8]);

impl io::Read for Few<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let few = buffer.len().min(7);
        self.0.read(&mut buffer[..few])
    }
}

#[test]
fn an_id_reads_like_a_guid_and_a_stamp() {
    let id = PdbId::new([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 0xfeed);
    assert_eq!(id.to_string(), "0403020106050807090a0b0c0d0e0f10-0000feed");
}
