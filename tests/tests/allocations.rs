//! Hostile packages: whatever the bytes, an answer within bounds. The whole
//! process may have 64 MiB: one allocation beyond it ends the tests.

use std::alloc::System;
use std::io::Write;
use std::time::Instant;

use cap::Cap;
use flate2::write::DeflateEncoder;
use flate2::{Compression, FlushCompress};
use http::StatusCode;
use nupkg::{Limits, inspect};
use nuthatch_tests::{Entry, PackageBuilder, TestFeed, nuspec};
use time::OffsetDateTime;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 64 * 1024 * 1024);

/// Deflated zeros, `mib` MiB of them.
fn zeros(mib: usize) -> Vec<u8> {
    let mut block = Vec::new();
    let mut deflate = flate2::Compress::new(Compression::best(), false);
    let content = vec![0; 1024 * 1024];
    // A fully flushed block does not depend on others, so any number of them is a stream.
    block.reserve(64 * 1024);
    deflate.compress_vec(&content, &mut block, FlushCompress::Full).unwrap();
    let mut end = DeflateEncoder::new(Vec::new(), Compression::best());
    end.write_all(b"").unwrap();
    [block.repeat(mib), end.finish().unwrap()].concat()
}

fn declaring(name: &str, packed: Vec<u8>, inflated: u32) -> Entry {
    let mut entry = Entry::file(name, b"");
    entry.declared_packed = u32::try_from(packed.len()).unwrap();
    entry.packed = packed;
    entry.declared_inflated = inflated;
    entry.local_inflated = inflated;
    entry
}

#[tokio::test]
async fn a_bomb_of_10_gb_is_answered_without_inflating_it() {
    const TEN_GB: usize = 10 * 1024;
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let acme = || PackageBuilder::new("Acme", "1.0.0");
    let quarter = || declaring("", zeros(TEN_GB / 4), 5 << 29);
    let quarters = ["a", "b", "c", "d"].into_iter().fold(acme(), |package, name| {
        let named = name.as_bytes().to_vec();
        package.entry(Entry { name: named.clone(), local_name: named, ..quarter() })
    });
    for (what, package) in [
        ("a nuspec that hides it", {
            PackageBuilder::default().entry(declaring("a.nuspec", zeros(TEN_GB), 1000))
        }),
        ("a nuspec that declares it", {
            PackageBuilder::default().entry(declaring("a.nuspec", zeros(TEN_GB), u32::MAX - 1))
        }),
        ("files that declare it", quarters),
    ] {
        let package = package.build();
        let start = Instant::now();
        let answer = owner.push(&package).await;
        let (elapsed, memory) = (start.elapsed(), MEMORY.allocated() / 1024 / 1024);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}");
        println!("{what}: {} in {elapsed:?}, {memory} MiB allocated", answer.refusal());
    }
}

#[test]
fn a_hundred_thousand_mutated_packages_are_answered() {
    const ROUNDS: usize = 100_000;
    let mut random = Random(0x6e75_7468_6174_6368);
    let xml = nuspec(
        "Acme",
        "1.2.3-beta.1+x",
        "<license type=\"file\">L.txt</license><dependencies><group targetFramework=\"net8.0\">\
         <dependency id=\"B\" version=\"[1.0, 2.0)\"/></group></dependencies>",
    );
    let plain = PackageBuilder::default()
        .entry(Entry::stored("a.nuspec", xml.as_bytes()))
        .file("L.txt", b"MIT")
        .file("lib/net8.0/a.dll", &[7; 300]);
    let base = plain.build();
    let (mut taken, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let package = if round % 2 == 0 {
            random.mutate(base.clone())
        } else {
            // A sound archive with a mutated nuspec gets further.
            let xml = random.mutate(xml.clone().into_bytes());
            PackageBuilder::default().file("a.nuspec", &xml).file("L.txt", b"MIT").build()
        };
        match inspect(package.as_slice(), &Limits::default(), OffsetDateTime::now_utc()) {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    println!("{ROUNDS} mutated packages: {taken} taken, {refused} refused, 0 panics");
    // Most mutated packages must be refused, and some accepted, or this tests nothing.
    assert!(refused > ROUNDS / 2 && taken > 100, "{taken} taken, {refused} refused");
}

/// A generator that gives every run the same packages (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap() % bound.max(1)
    }

    /// A few flips, interesting values, cuts, copies and splices.
    fn mutate(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let to = at + self.below(bytes.len() - at);
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 0xff, b'<', b'&', b'/', b'P'][self.below(6)],
                2 => bytes.truncate(at.max(1)),
                3 => drop(bytes.drain(at..to.min(bytes.len() - 1).max(at))),
                4 => {
                    let copied = bytes[at..to].to_vec();
                    let place = self.below(bytes.len());
                    bytes.splice(place..place, copied);
                }
                _ => {
                    let value = [0_u32, 1, u32::MAX, u32::MAX - 1, 1 << 31][self.below(5)];
                    let end = (at + 4).min(bytes.len());
                    bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                }
            }
        }
        bytes
    }
}
