//! The tests of refusals: a table of all of them.

use super::*;

#[test]
fn every_refusal_has_its_status_and_says_what_to_do() {
    let id = || PackageId::parse("Acme.Core").unwrap();
    let version = || "1.2.3".parse::<Version>().unwrap();
    let over_quota = |problem| Refusal::OverQuota { quota: "team".parse().unwrap(), problem };
    let table: Vec<String> = [
        Refusal::UnreadableUpload("no boundary".to_owned()),
        Refusal::CutOff("reset".into()),
        Refusal::TooSlow("silence".into()),
        Refusal::UnreadableDeclaration("no size".to_owned()),
        Refusal::NoSuchUpload("01J".to_owned()),
        Refusal::NotAsDeclared {
            declared: "Acme 1.0.0".to_owned(),
            found: "Acme 2.0.0".to_owned(),
        },
        Refusal::Full,
        Refusal::InvalidPackage(nupkg::ArchiveError::NoNuspec.into()),
        Refusal::InvalidSymbols(SymbolsError::NoPdb.into()),
        Refusal::SymbolsOfAnotherBuild {
            id: id(),
            version: version(),
            error: Box::new(SymbolsError::OtherChecksum {
                path: "lib/A.pdb".to_owned(),
                id: nupkg::PdbId::new([0; 16], 1),
                assembly: "lib/A.dll".to_owned(),
            }),
        },
        Refusal::NoVersionForSymbols { id: id(), version: version() },
        Refusal::NoSuchSymbols,
        Refusal::Key { problem: KeyProblem::Missing, scope: Scope::Read },
        Refusal::Key { problem: KeyProblem::Missing, scope: Scope::Push },
        Refusal::Key { problem: KeyProblem::Unknown, scope: Scope::Read },
        Refusal::Key { problem: KeyProblem::Unknown, scope: Scope::Push },
        Refusal::Key { problem: KeyProblem::Ended, scope: Scope::Push },
        Refusal::Key { problem: KeyProblem::LacksScope, scope: Scope::Read },
        Refusal::Key { problem: KeyProblem::LacksScope, scope: Scope::Push },
        Refusal::Key { problem: KeyProblem::LacksScope, scope: Scope::Unlist },
        Refusal::Key { problem: KeyProblem::LacksScope, scope: Scope::Admin },
        Refusal::MayNotRestore { id: id(), version: version() },
        over_quota(QuotaProblem::Full {
            limit: 50_000_000_000,
            stored: 49_900_000_000,
            bytes: 200_000_000,
        }),
        over_quota(QuotaProblem::PackageTooLarge { limit: 1 << 20, bytes: 1_500_000 }),
        over_quota(QuotaProblem::TooManyPushes { limit: 500, seconds: 7_200 }),
        over_quota(QuotaProblem::TooManyPushes { limit: 500, seconds: 30 }),
        Refusal::InvalidParameter {
            name: "month",
            value: "now".to_owned(),
            remedy: "write it like 2026-11",
        },
        Refusal::AnswerTooLarge,
        Refusal::Crowded,
        Refusal::DiskFull("secret".into()),
        Refusal::NotYourPackage { key: "ci".parse().unwrap(), id: id() },
        Refusal::NoSuchAddress,
        Refusal::NoSuchPackage(id()),
        Refusal::NoSuchVersion { id: id(), version: version() },
        Refusal::NoSuchFile { id: id(), version: version() },
        Refusal::VersionExists { id: id(), version: version() },
        Refusal::VersionDeleted { id: id(), version: version() },
        Refusal::TooLarge { limit: 1024 },
        Refusal::Unavailable("secret".into()),
        Refusal::Broken("secret".into()),
    ]
    .iter()
    .map(|refusal| {
        let reason = refusal.reason();
        assert!(reason.len() <= 100 && reason.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        format!("{} {refusal}\n    {reason}", refusal.status().as_u16())
    })
    .collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn a_hostile_text_becomes_one_printable_line() {
    assert_eq!(one_line("a\r\nX-Evil: 1\u{0}é"), "a  X-Evil: 1??");
    assert_eq!(one_line(&"x".repeat(9999)).len(), 512);
}

#[test]
fn who_may_succeed_later_is_told_when() {
    assert_eq!(Refusal::Unavailable("no answer".into()).retry_after(), Some(2));
    assert_eq!(Refusal::Full.retry_after(), Some(20));
    assert_eq!(Refusal::Crowded.retry_after(), Some(5));
    assert_eq!(Refusal::NoSuchAddress.retry_after(), None);
    let tomorrow = |seconds| Refusal::OverQuota {
        quota: "team".parse().unwrap(),
        problem: QuotaProblem::TooManyPushes { limit: 1, seconds },
    };
    assert_eq!(tomorrow(30).retry_after(), Some(30));
    assert_eq!(tomorrow(31).retry_after(), None);
}

#[test]
fn the_log_tells_what_failed_from_what_was_refused() {
    let refused = crate::logged(|| Refusal::NoSuchAddress.log());
    assert!(refused.contains("INFO") && refused.contains("refused: "), "{refused}");
    let causes: [Refusal; 2] = [
        Refusal::Broken("the table is full".into()),
        Refusal::Unavailable("the table is full".into()),
    ];
    for failed in causes {
        let failed = crate::logged(|| failed.log());
        assert!(failed.contains("ERROR"), "{failed}");
        assert!(failed.contains("failed: the table is full"), "{failed}");
    }
}
