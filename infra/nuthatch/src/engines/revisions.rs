//! The revisions of the embedded table: `SQLite` numbers the states of a database file.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::BoxError;
use rusqlite::{Connection, OpenFlags};
use store::{Revision, Revisions};

/// The revisions of the database in the file at `path`.
///
/// The number is from a connection that only asks for it: it changes with every commit of any
/// other connection, in this process or another
/// (<https://www.sqlite.org/pragma.html#pragma_data_version>). It is kept in shared memory,
/// so that asking takes some microseconds.
///
/// # Errors
/// The file cannot be opened.
pub(super) fn of(path: &Path) -> Result<Revisions, BoxError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Where the file is locked, readers read instead of waiting.
    connection.busy_timeout(Duration::ZERO)?;
    let connection = Mutex::new(connection);
    Ok(Revisions::new(move || {
        let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut asked = connection.prepare_cached("PRAGMA data_version").ok()?;
        let number: i64 = asked.query_row([], |row| row.get(0)).ok()?;
        Some(Revision(number.cast_unsigned()))
    }))
}
