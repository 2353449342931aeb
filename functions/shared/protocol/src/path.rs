//! Ids and versions in the paths of requests.

use nupkg::{MAX_VERSION_LENGTH, PackageId, Version};

use crate::Refusal;

/// The id and the version in a path like `Acme.Core/1.0+build`, in any spelling that the
/// user typed.
///
/// # Errors
/// The path is not an id and a version, so nothing can be there.
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
/// The text is not a version, or is longer than any version in the feed can be.
pub fn path_version(text: &str) -> Result<Version, Refusal> {
    match text.parse::<Version>() {
        Ok(version) if version.key().len() <= MAX_VERSION_LENGTH => Ok(version),
        _ => Err(Refusal::NoSuchAddress),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_found_is_found_by_its_normalized_spelling_too() {
        let labels = "c".repeat(250);
        let (short, normalized) = (format!("6.0-{labels}"), format!("6.0.0-{labels}"));
        assert_eq!(path_version(&short).unwrap(), path_version(&normalized).unwrap());
        assert!(path_version(&format!("{short}c")).is_err());
        assert!(path_version(&format!("{normalized}c")).is_err());
        assert!(path_version(&format!("{}6", "0".repeat(1000))).is_ok());
    }
}
