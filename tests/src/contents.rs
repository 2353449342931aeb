//! The contents that a data folder holds.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// The contents of objects in a folder `packages`, also of objects that were deleted: files, and
/// small contents in the index.
///
/// # Panics
/// The folder or its index cannot be read.
#[must_use]
pub fn contents(packages: &Path) -> usize {
    let folders = std::fs::read_dir(packages).unwrap().map(|entry| entry.unwrap().path());
    let folders = folders.filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap()).count();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let index = Connection::open_with_flags(packages.join("index.db"), flags).unwrap();
    let small: usize =
        index.query_row("SELECT count(*) FROM contents", [], |row| row.get(0)).unwrap();
    files + small
}
