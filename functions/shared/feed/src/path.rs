//! What stands in the paths of requests.

use nupkg::{PackageId, Version};

use crate::Refusal;

/// The id and the version in a path like `Acme.Core/1.0+build`, in whatever
/// spelling the user typed.
///
/// # Errors
/// The path is no id and version: nothing can be there.
pub fn package_version(path: &str) -> Result<(PackageId, Version), Refusal> {
    let mut segments = path.trim_end_matches('/').split('/');
    let (Some(id), Some(version), None) = (segments.next(), segments.next(), segments.next())
    else {
        return Err(Refusal::NoSuchAddress);
    };
    let id = PackageId::parse(id).map_err(|_| Refusal::NoSuchAddress)?;
    Ok((id, path_version(version)?))
}

/// The version that a part of a path spells.
///
/// # Errors
/// It is none, or longer than any that can be there.
pub fn path_version(text: &str) -> Result<Version, Refusal> {
    // A key of the table has room for 1,024 bytes (AWS quota), a pushed
    // version for 64 and any number of leading zeros.
    const LONGEST: usize = 255;
    match text.parse() {
        Ok(version) if text.len() <= LONGEST => Ok(version),
        _ => Err(Refusal::NoSuchAddress),
    }
}
