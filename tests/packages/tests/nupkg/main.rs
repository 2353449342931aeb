//! The rules for packages: every rule, the vectors of the real NuGet library,
//! the corpus, and laws.

mod archive;
mod edges;
mod laws;
mod nuspec;
mod symbols;
mod versions;

use nupkg::{Limits, Package, PackageError, inspect};
use packages::{PackageBuilder, assert_read_alike, corpus};
use time::macros::datetime;

const NOW: time::OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

/// Tests that something is refused with this error.
macro_rules! refuses {
    ($($name:ident: $error:expr => $pattern:pat,)+) => {
        $(
            #[test]
            fn $name() {
                let error = $error;
                assert!(matches!(error, $pattern), "{error:?}");
            }
        )+
    };
}
pub(crate) use refuses;

/// The verdict on a package. If it is accepted, another reader must see the same content.
fn judge_with(package: &[u8], limits: &Limits) -> Result<Package, PackageError> {
    let judged = inspect(package, limits, NOW);
    if judged.is_ok() {
        assert_read_alike(package).expect("zip accepts it, too");
    }
    judged
}

fn judge(package: &PackageBuilder) -> Result<Package, PackageError> {
    judge_with(&package.build(), &Limits::default())
}

fn acme() -> PackageBuilder {
    PackageBuilder::new("Acme", "1.0.0")
}

#[test]
#[cfg_attr(not(has_corpus), ignore = "the corpus of real packages is not beside this checkout")]
fn the_corpus_is_judged_as_its_manifest_says() {
    for package in corpus() {
        let judged = judge_with(&package.bytes(), &Limits::default());
        let name = package.name();
        if let Some(reason) = package.refused_by_rule() {
            let error = judged.expect_err(&name).to_string();
            assert!(error.contains(reason), "{name}: {error}");
        } else if package.verdict == "valid" {
            let nuspec = judged.unwrap_or_else(|error| panic!("{name}: {error}")).nuspec;
            assert_eq!(nuspec.id.as_str(), package.id, "{name}");
            assert_eq!(nuspec.version.normalized(), package.normalized, "{name}");
        } else {
            assert!(judged.is_err(), "{name}");
        }
    }
}
