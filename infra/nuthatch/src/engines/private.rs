//! Files and folders that only their owner can access.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

const OF_A_FOLDER: u32 = 0o700;
const OF_A_FILE: u32 = 0o600;

/// Creates a folder if it is missing, and removes other users' access to it.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(OF_A_FOLDER).create(path)?;
    close(path, OF_A_FOLDER)
}

/// Opens a file without changing its content, creates it if it is missing, and removes other
/// users' access to it. Does not follow a link, because another user may have put it there.
pub(super) fn file(path: &Path) -> io::Result<File> {
    let follows_no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(OF_A_FILE)
        .custom_flags(follows_no_link)
        .open(path)?;
    close(path, OF_A_FILE)?;
    Ok(file)
}

fn close(path: &Path, mode: u32) -> io::Result<()> {
    let open = std::fs::metadata(path)?.permissions().mode() & 0o077;
    if open == 0 {
        return Ok(());
    }
    tracing::warn!("closed {} to other users of this machine", path.display());
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}
