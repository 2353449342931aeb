//! The archive: the checks that a nupkg must pass before anything in it is trusted.
//!
//! Every reader of a zip should see the same package: the central directory and the local
//! headers must agree, nothing may be hidden before, after or beneath the entries, and no
//! two names may be the same file on any system.

mod content;
mod directory;
mod end;
mod error;
mod name;

use std::io::Read;

use flate2::Compression;
use flate2::read::ZlibEncoder;
use rawzip::ZipLocator;
use time::OffsetDateTime;

pub use error::ArchiveError;

use crate::source::Positioned;
use crate::{License, Limits, Nuspec, NuspecError, Source};
use directory::Directory;

/// A package that passes every rule.
#[derive(Debug)]
pub struct Package {
    /// The package's description of itself.
    pub nuspec: Nuspec,
    /// The nuspec exactly as it is in the package, deflated (zlib).
    pub nuspec_zlib: Vec<u8>,
    /// The files that the nuspec names.
    pub attached: Attached,
}

/// The contents of the files that a nuspec names.
#[derive(Debug, Default)]
pub struct Attached {
    /// The readme.
    pub readme: Option<Vec<u8>>,
    /// The icon: an image, or a file that the package calls one.
    pub icon: Option<Vec<u8>>,
    /// The license's text.
    pub license: Option<Vec<u8>>,
}

/// Why a package is refused.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A rule for the archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A rule for the nuspec.
    #[error(transparent)]
    Nuspec(#[from] NuspecError),
    /// The package could not be read from where it is kept.
    #[error("the package could not be read back")]
    Unreadable(#[source] std::io::Error),
}

/// Inspects the package in `source` at the time `now`. Reads its directory,
/// its local headers, its nuspec and the files that the nuspec attaches; the
/// other entries are not inflated.
///
/// # Errors
/// The first rule that the package breaks, or a failure to read it.
pub fn inspect<S: Source>(
    source: S,
    limits: &Limits,
    now: OffsetDateTime,
) -> Result<Package, PackageError> {
    // Room for one directory record: three fields of at most 64 KiB each.
    let mut buffer = vec![0; 256 * 1024];
    let size = source.size();
    let archive = ZipLocator::new()
        .locate_in_reader(Positioned(source), &mut buffer, size)
        .map_err(|(_, error)| error::from_rawzip(error))?;
    let directory = Directory::read(&archive, &mut buffer, limits, now)?;
    let entry = directory.nuspec()?;
    let nuspec_xml = content::read(&archive, entry, limits.nuspec_bytes)?;
    let nuspec = Nuspec::parse(&nuspec_xml, limits)?;
    let file = |element, path: Option<&String>| -> Result<Option<Vec<u8>>, PackageError> {
        let Some(path) = path else { return Ok(None) };
        let entry = directory
            .file(path)
            .ok_or_else(|| ArchiveError::MissingFile { element, path: path.clone() })?;
        content::read(&archive, entry, limits.attached_file_bytes).map(Some)
    };
    let license = match &nuspec.license {
        Some(License::File(path)) => Some(path),
        Some(License::Expression(_)) | None => None,
    };
    let attached = Attached {
        license: file("license", license)?,
        icon: file("icon", nuspec.icon.as_ref())?,
        readme: file("readme", nuspec.readme.as_ref())?,
    };
    Ok(Package { nuspec, nuspec_zlib: deflate(&nuspec_xml, limits)?, attached })
}

fn deflate(nuspec_xml: &[u8], limits: &Limits) -> Result<Vec<u8>, PackageError> {
    let mut zlib = Vec::new();
    ZlibEncoder::new(nuspec_xml, Compression::best())
        .read_to_end(&mut zlib)
        .map_err(PackageError::Unreadable)?;
    let (bytes, limit) = (zlib.len() as u64, limits.deflated_nuspec_bytes);
    if bytes > limit {
        return Err(NuspecError::TooLargeDeflated { bytes, limit }.into());
    }
    Ok(zlib)
}
