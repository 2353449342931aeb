//! Every reason to refuse a request, with the message to the client and the status. The log
//! gets the sources of an error; the client never does.

use std::error::Error;

use http::StatusCode;
use nupkg::{PackageError, PackageId, SymbolsError, Version};

use access::{KeyName, KeyProblem, QuotaName, QuotaProblem, Scope};
use usage::ByteSize;

use crate::BoxError;

/// The reason why a request was refused. Displayed, it is the message to the client: the
/// fault and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request's framing cannot be read.
    #[error("the upload cannot be read ({0}); push the .nupkg again")]
    UnreadableUpload(String),
    /// The connection ended before the upload did.
    #[error("the upload ended too early; push the .nupkg again")]
    CutOff(#[source] BoxError),
    /// The client sent nothing for too long.
    #[error("the upload stood still for too long; push the .nupkg again")]
    TooSlow(#[source] BoxError),
    /// The declaration of an upload is not valid.
    #[error(
        "the declaration of the upload cannot be read ({0}); send id, version, size and sha256 as JSON"
    )]
    UnreadableDeclaration(String),
    /// The bucket has no such upload.
    #[error("there is no upload '{0}' of this package; begin it again")]
    NoSuchUpload(String),
    /// The uploaded package is not the declared one.
    #[error("the upload was declared as '{declared}' and holds '{found}'; declare what it holds")]
    NotAsDeclared {
        /// Id and version that were declared.
        declared: String,
        /// Those of the nuspec.
        found: String,
    },
    /// The package breaks a rule.
    #[error("{0}")]
    InvalidPackage(#[source] PackageError),
    /// The symbols package breaks a rule, or its PDBs belong to another build.
    #[error("{0} (the .nupkg is not affected, and a .snupkg can be pushed alone)")]
    InvalidSymbols(#[source] PackageError),
    /// The version has symbols, and the pushed ones belong to another build.
    #[error("the package '{id}' {version} has symbols, and these are not its own: {error}")]
    SymbolsOfAnotherBuild {
        /// The package.
        id: PackageId,
        /// The version.
        version: Version,
        /// Why they are not.
        #[source]
        error: Box<SymbolsError>,
    },
    /// The version that symbols are for is not there.
    #[error(
        "the feed has no package '{id}' {version} that these symbols could belong to; push its .nupkg first"
    )]
    NoVersionForSymbols {
        /// The package.
        id: PackageId,
        /// The version.
        version: Version,
    },
    /// The symbol server has no such file.
    #[error("there is no such file; debuggers get the PDBs of this feed's symbols packages here")]
    NoSuchSymbols,
    /// The request's key is not good for the request.
    #[error("{}", words_of_key(*.problem, *.scope))]
    Key {
        /// The problem with the key.
        problem: KeyProblem,
        /// The scope that is needed.
        scope: Scope,
    },
    /// The key may push, but may not restore a deleted version.
    #[error(
        "the package '{id}' {version} was deleted; a key with the scope unlist can bring it back, or push a new version"
    )]
    MayNotRestore {
        /// The package.
        id: PackageId,
        /// The version.
        version: Version,
    },
    /// The key is not good for this id.
    #[error("the API key '{key}' may not touch the package '{id}'; use a key whose ids cover it")]
    NotYourPackage {
        /// The key's name.
        key: KeyName,
        /// The package.
        id: PackageId,
    },
    /// Nothing is at this address.
    #[error("there is nothing at this address; see /v3/index.json for those that exist")]
    NoSuchAddress,
    /// The feed has no such package.
    #[error("the feed has no package '{0}'; check the id")]
    NoSuchPackage(PackageId),
    /// The feed has no such version.
    #[error("the feed has no package '{id}' {version}; check id and version")]
    NoSuchVersion {
        /// The package.
        id: PackageId,
        /// The version.
        version: Version,
    },
    /// The version has no such file.
    #[error("the package '{id}' {version} has no such file; its nuspec names those it has")]
    NoSuchFile {
        /// The package.
        id: PackageId,
        /// The version.
        version: Version,
    },
    /// The version exists.
    #[error(
        "the package '{id}' {version} exists already; push a new version, or use --skip-duplicate"
    )]
    VersionExists {
        /// The package.
        id: PackageId,
        /// The version.
        version: Version,
    },
    /// The version was deleted.
    #[error(
        "the package '{id}' {version} was deleted and its number stays taken; push a new version"
    )]
    VersionDeleted {
        /// The package.
        id: PackageId,
        /// The version.
        version: Version,
    },
    /// The package is larger than the feed takes.
    #[error(
        "the package is larger than the {limit} bytes that this feed takes; make it smaller or split it"
    )]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A quota has no room for the push.
    #[error("{}", words_of_quota(quota, *problem))]
    OverQuota {
        /// The quota.
        quota: QuotaName,
        /// Why not.
        problem: QuotaProblem,
    },
    /// A month, or something else that was asked for in an address, is not valid.
    #[error("'{name}' cannot be {value:?}; {remedy}")]
    InvalidParameter {
        /// The parameter's name.
        name: &'static str,
        /// Its value.
        value: String,
        /// Right values.
        remedy: &'static str,
    },
    /// The answer would be larger than the limit.
    #[error(
        "the answer would be larger than an answer of this feed may be; ask for fewer results (take), or for the pages that the registration's index names"
    )]
    AnswerTooLarge,
    /// As many answers are under way as the feed has memory for.
    #[error("the feed gives as many answers as it can at once; try again in a moment")]
    Crowded,
    /// A disk has no room left.
    #[error("the feed's disk is full; its operator has to make room, then push again")]
    DiskFull(#[source] BoxError),
    /// The feed is already receiving as many packages as it may at once.
    #[error("the feed receives as many packages as it can at once; try again in a moment")]
    Full,
    /// A service did not answer; the same request may succeed.
    #[error("the feed is busy; try again in a moment")]
    Unavailable(#[source] BoxError),
    /// Something is wrong in the feed.
    #[error("the feed failed; try again, and tell its operator if it stays so")]
    Broken(#[source] BoxError),
}

/// The seconds that a client may be kept waiting without a word.
const SOON: u32 = 30;

impl Refusal {
    /// A parameter of the address with a value that it cannot have; `remedy` says how to write it.
    #[must_use]
    pub fn invalid_parameter(name: &'static str, value: &str, remedy: &'static str) -> Self {
        Self::InvalidParameter { name, value: value.to_owned(), remedy }
    }

    /// The status of the answer. It is decided only here.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UnreadableUpload(_)
            | Self::CutOff(_)
            | Self::UnreadableDeclaration(_)
            | Self::NotAsDeclared { .. }
            | Self::InvalidPackage(_)
            | Self::InvalidSymbols(_)
            | Self::InvalidParameter { .. }
            | Self::AnswerTooLarge => StatusCode::BAD_REQUEST,
            // Clients repeat a 429, and sit out its Retry-After without a word, however long
            // (seen with SDK 10 and 7,200 s).
            Self::OverQuota { problem: QuotaProblem::TooManyPushes { seconds, .. }, .. }
                if *seconds <= SOON =>
            {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::OverQuota { .. } => StatusCode::FORBIDDEN,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            // For a reading client, 403 is no better than 401, and only 401 makes it ask
            // for other credentials. On a write, 401 would make it send the whole package
            // again.
            Self::Key { problem: KeyProblem::Missing, .. }
            | Self::Key { scope: Scope::Read, .. } => StatusCode::UNAUTHORIZED,
            Self::Key { .. } | Self::NotYourPackage { .. } | Self::MayNotRestore { .. } => {
                StatusCode::FORBIDDEN
            }
            Self::NoSuchAddress
            | Self::NoSuchPackage(_)
            | Self::NoSuchVersion { .. }
            | Self::NoSuchUpload(_)
            | Self::NoVersionForSymbols { .. }
            // Debuggers give up on a server for the session after any other refusal.
            | Self::NoSuchSymbols
            | Self::NoSuchFile { .. } => StatusCode::NOT_FOUND,
            // Clients before NuGet 6.1 push the symbols of a skipped version again, and
            // only this status lets --skip-duplicate go on.
            Self::SymbolsOfAnotherBuild { .. }
            | Self::VersionExists { .. }
            | Self::VersionDeleted { .. } => StatusCode::CONFLICT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Full | Self::Crowded | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::DiskFull(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// After how many seconds the client should try again, where that helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<u16> {
        match self {
            Self::Unavailable(_) => Some(2),
            Self::Crowded => Some(5),
            // An upload takes a while.
            Self::Full => Some(20),
            Self::OverQuota { problem: QuotaProblem::TooManyPushes { seconds, .. }, .. }
                if *seconds <= SOON =>
            {
                u16::try_from(*seconds).ok()
            }
            _ => None,
        }
    }
}

impl Refusal {
    /// The text of the status line: the remedy, in ASCII and without any text from the
    /// request. Clients print it if an operation fails, and only then.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnreadableUpload(_) => "The upload cannot be read: push the .nupkg again",
            Self::CutOff(_) => "The upload ended too early: push again",
            Self::TooSlow(_) => "The upload stood still or was too slow: push again",
            Self::UnreadableDeclaration(_) => "The declaration of the upload cannot be read",
            Self::NoSuchUpload(_) => "There is no such upload: begin it again",
            Self::NotAsDeclared { .. } => "The upload is not the declared package",
            Self::InvalidPackage(_) => "The package breaks a rule: see the warning for which",
            Self::InvalidSymbols(_) => {
                "The symbols package breaks a rule: see the warning for which"
            }
            Self::SymbolsOfAnotherBuild { .. } => {
                "The version has symbols, and these are of another build"
            }
            Self::NoVersionForSymbols { .. } => {
                "The feed lacks their package: push its .nupkg first"
            }
            Self::NoSuchSymbols => "There is no such symbol file",
            Self::Key { problem, scope } => reason_of_key(*problem, *scope),
            Self::NotYourPackage { .. } => {
                "The ids of the API key do not cover this package: use another key"
            }
            Self::MayNotRestore { .. } => {
                "The version was deleted: a key with the scope unlist can bring it back"
            }
            Self::NoSuchAddress => "There is nothing at this address: see /v3/index.json",
            Self::NoSuchPackage(_) => "The feed has no such package: check the id",
            Self::NoSuchVersion { .. } => "The feed has no such version: check id and version",
            Self::NoSuchFile { .. } => "The package has no such file",
            Self::VersionExists { .. } => {
                "The version exists already: push a new version, or use --skip-duplicate"
            }
            Self::VersionDeleted { .. } => "The version was deleted: push a new version",
            Self::TooLarge { .. } => "The package is larger than this feed takes",
            Self::OverQuota { problem, .. } => match problem {
                QuotaProblem::Full { .. } => {
                    "The quota is full: delete versions, or ask for more room"
                }
                QuotaProblem::PackageTooLarge { .. } => {
                    "The package is larger than its quota allows: make it smaller"
                }
                QuotaProblem::TooManyPushes { .. } => {
                    "The quota has no more pushes today: push again after midnight (UTC)"
                }
            },
            Self::InvalidParameter { .. } => "A parameter of the address is not valid",
            Self::AnswerTooLarge => "The answer would be too large: ask for fewer results",
            Self::Crowded => "The feed gives as many answers as it can: try again in a moment",
            Self::DiskFull(_) => "The feed's disk is full: its operator has to make room",
            Self::Full => "The feed receives as many packages as it can: try again in a moment",
            Self::Unavailable(_) => "The feed is busy: try again in a moment",
            Self::Broken(_) => "The feed failed: try again, and tell its operator",
        }
    }

    /// Logs the details that the client does not get.
    pub fn log(&self) {
        let status = self.status().as_u16();
        if status < 500 {
            tracing::info!(http.status = status, "refused: {}", one_line(&self.to_string()));
            return;
        }
        let mut causes = String::new();
        let mut cause: Option<&dyn Error> = self.source();
        while let Some(error) = cause {
            causes.push_str(": ");
            causes.push_str(&error.to_string());
            cause = error.source();
        }
        tracing::error!(http.status = status, "failed{causes}");
    }
}

fn words_of_key(problem: KeyProblem, scope: Scope) -> String {
    match (problem, scope) {
        (KeyProblem::Missing, Scope::Read) => "no key was sent; put one with the scope read into \
            nuget.config, as the password of this package source"
            .to_owned(),
        (KeyProblem::Missing, _) => "no API key was sent; pass one with --api-key".to_owned(),
        (KeyProblem::Unknown, _) => "the feed does not know this API key; check that it was \
            copied whole and is one of this feed, or ask for another one"
            .to_owned(),
        (KeyProblem::Ended, _) => {
            "the API key has expired or was revoked; ask for another one".to_owned()
        }
        (KeyProblem::LacksScope, scope) => {
            format!("the API key may not do this; use one with the scope {scope}")
        }
    }
}

fn words_of_quota(quota: &QuotaName, problem: QuotaProblem) -> String {
    match problem {
        QuotaProblem::Full { limit, stored, bytes } => format!(
            "the quota '{quota}' has room for {}, {} of them are taken, and this push needs {} more; \
             delete versions, or ask the feed's owner for more room",
            ByteSize(limit),
            ByteSize(u64::try_from(stored).unwrap_or_default()),
            ByteSize(bytes)
        ),
        QuotaProblem::PackageTooLarge { limit, bytes } => format!(
            "the package has {}, and the quota '{quota}' allows packages of up to {}; make it \
             smaller, or ask the feed's owner to allow more",
            ByteSize(bytes),
            ByteSize(limit)
        ),
        QuotaProblem::TooManyPushes { limit, .. } => format!(
            "the quota '{quota}' allows {limit} pushes a day, and they were made today; push again \
             after midnight (UTC), or ask the feed's owner to allow more"
        ),
    }
}

fn reason_of_key(problem: KeyProblem, scope: Scope) -> &'static str {
    match (problem, scope) {
        (KeyProblem::Missing, Scope::Read) => {
            "No key was sent: put one into nuget.config as the password of this source"
        }
        (KeyProblem::Missing, _) => "No API key was sent: pass one with --api-key",
        (KeyProblem::Unknown, _) => "The feed does not know this API key: check it",
        (KeyProblem::Ended, _) => "The API key has expired or was revoked: ask for another one",
        (KeyProblem::LacksScope, Scope::Read) => {
            "The API key may not read: use one with the scope read"
        }
        (KeyProblem::LacksScope, Scope::Push) => {
            "The API key may not push: use one with the scope push"
        }
        (KeyProblem::LacksScope, Scope::Unlist) => {
            "The API key may not unlist or relist: use one with the scope unlist"
        }
        (KeyProblem::LacksScope, Scope::Admin) => {
            "The API key may not do this: use one with the scope admin"
        }
    }
}

impl From<PackageError> for Refusal {
    fn from(error: PackageError) -> Self {
        match error {
            PackageError::Archive(_) | PackageError::Nuspec(_) | PackageError::Symbols(_) => {
                Self::InvalidPackage(error)
            }
            PackageError::Unreadable(_) => Self::Unavailable(error.into()),
        }
    }
}

/// `text` as one line of printable ASCII, fit for a header: text from a package may contain
/// anything, and have any length.
#[must_use]
pub fn one_line(text: &str) -> String {
    // nuget.org cuts its reason phrases here.
    const LONGEST: usize = 512;
    text.chars()
        .map(|c| match c {
            ' '..='~' => c,
            c if c.is_whitespace() => ' ',
            _ => '?',
        })
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests;
