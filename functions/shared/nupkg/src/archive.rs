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
use rawzip::{ZipArchive, ZipLocator};
use time::OffsetDateTime;

pub use error::ArchiveError;

use crate::source::Positioned;
use crate::symbols::SymbolsError;
use crate::{License, Limits, Nuspec, NuspecError, Source};
pub(crate) use directory::Directory;

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
    /// A rule for symbols packages.
    #[error(transparent)]
    Symbols(#[from] SymbolsError),
    /// The package could not be read from where it is kept.
    #[error("the package could not be read back")]
    Unreadable(#[source] std::io::Error),
}

/// An archive that passes every rule for archives.
pub(crate) struct Opened<S> {
    archive: ZipArchive<Positioned<S>>,
    pub(crate) directory: Directory,
}

/// Opens the archive in `source` at the time `now`. Reads its directory and its local
/// headers.
///
/// # Errors
/// The first rule that it breaks, or a failure to read it.
pub(crate) fn open<S: Source>(
    source: S,
    limits: &Limits,
    now: OffsetDateTime,
) -> Result<Opened<S>, PackageError> {
    // Room for one directory record: three fields of at most 64 KiB each.
    let mut buffer = vec![0; 256 * 1024];
    let size = source.size();
    let archive = ZipLocator::new()
        .locate_in_reader(Positioned(source), &mut buffer, size)
        .map_err(|(_, error)| error::from_rawzip(error))?;
    let directory = Directory::read(&archive, &mut buffer, limits, now)?;
    Ok(Opened { archive, directory })
}

impl<S: Source> Opened<S> {
    /// The nuspec as it stands in the package.
    pub(crate) fn nuspec_xml(&self, limits: &Limits) -> Result<Vec<u8>, PackageError> {
        content::read(&self.archive, self.directory.nuspec()?, limits.nuspec_bytes)
    }

    /// The file that an element of the nuspec names, if it names one.
    fn file(
        &self,
        element: &'static str,
        path: Option<&String>,
        limits: &Limits,
    ) -> Result<Option<Vec<u8>>, PackageError> {
        let Some(path) = path else { return Ok(None) };
        let entry = self
            .directory
            .file(path)
            .ok_or_else(|| ArchiveError::MissingFile { element, path: path.clone() })?;
        content::read(&self.archive, entry, limits.attached_file_bytes).map(Some)
    }
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
    let opened = open(source, limits, now)?;
    let nuspec_xml = opened.nuspec_xml(limits)?;
    let nuspec = Nuspec::parse(&nuspec_xml, limits)?;
    let license = match &nuspec.license {
        Some(License::File(path)) => Some(path),
        Some(License::Expression(_)) | None => None,
    };
    let attached = Attached {
        license: opened.file("license", license, limits)?,
        icon: opened.file("icon", nuspec.icon.as_ref(), limits)?,
        readme: opened.file("readme", nuspec.readme.as_ref(), limits)?,
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
