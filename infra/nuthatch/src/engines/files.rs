//! Objects in a folder: an index that says which objects there are, and a file for each
//! content that is not small.
//!
//! A file is written and synced under a name of its own, then the index names
//! it in one transaction; that is the commit, and decides races. A file that
//! the index does not name is a leftover of a crash, removed at the next start.
//! A small content is in the index itself, so that the disk is waited for once.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use time::OffsetDateTime;
use ulid::Ulid;

/// How long the bytes of a deleted object are kept, as the noncurrent versions
/// of the bucket on AWS are. Default 30 days, as in template.yaml.
#[derive(Debug, Clone, Copy)]
pub struct RecyclePeriod(pub Duration);

impl Default for RecyclePeriod {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self(Duration::from_secs(30 * DAY))
    }
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file could not be made, written or read.
    #[error("cannot use '{path}': {source}; check the disk")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The index could not be read or written.
    #[error("the index of packages failed: {0}")]
    Index(#[from] rusqlite::Error),
}

/// An object, as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, Base64.
    pub sha256: String,
    /// Its content type.
    pub content_type: Option<String>,
    /// When it was stored, in seconds since 1970.
    pub modified: i64,
    file: String,
}

/// The condition for replacing an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Whether it exists or not.
    None,
    /// Only if there is none.
    Absent,
}

/// The store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    folder: Arc<PathBuf>,
    /// The index, to be written.
    index: Arc<Mutex<Connection>>,
    /// The index, to be read: readers do not wait while others write.
    reader: Arc<Mutex<Connection>>,
    recycle: RecyclePeriod,
}

/// A file that is not an object yet; removed unless it becomes one.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    name: String,
    kept: bool,
}

/// The bytes of a new object.
#[derive(Debug)]
pub enum NewContent {
    /// In a file that is written; the commit syncs it.
    File {
        /// The name of the file.
        draft: Draft,
        /// The file.
        file: File,
    },
    /// In a file of another object.
    Linked(Draft),
    /// At most [`SMALL`] bytes.
    Small(Bytes),
}

/// The most bytes of a content that is kept in the index. `SQLite` stores and reads contents of
/// up to some 100 KB faster than files (<https://www.sqlite.org/intern-v-extern-blob.html>).
pub(super) const SMALL: u64 = 128 * 1024;

const COLUMNS: &str = "key, size, sha256, content_type, modified, file";

impl Store {
    /// Opens the store in `folder`, and creates it if it is missing. Removes leftovers of a
    /// crash, and objects that were deleted long ago.
    ///
    /// # Errors
    /// The folder or its index cannot be used.
    pub fn open(folder: &Path, recycle: RecyclePeriod) -> Result<Self, StoreError> {
        let store = Self::beside(folder, recycle)?;
        store.sweep()?;
        store.remove_leftovers()?;
        Ok(store)
    }

    /// Opens the store in `folder`, where a server may be using it: nothing is removed.
    ///
    /// # Errors
    /// The folder or its index cannot be used.
    pub fn beside(folder: &Path, recycle: RecyclePeriod) -> Result<Self, StoreError> {
        super::private::folder(folder).map_err(|source| file_error(folder, source))?;
        let database = folder.join("index.db");
        super::private::file(&database).map_err(|source| file_error(&database, source))?;
        let index = Connection::open(&database)?;
        index.pragma_update(None, "journal_mode", "WAL")?;
        index.pragma_update(None, "synchronous", "FULL")?;
        index.execute_batch(
            "CREATE TABLE IF NOT EXISTS objects (
                file TEXT PRIMARY KEY,
                key TEXT NOT NULL,
                size INTEGER NOT NULL,
                sha256 TEXT NOT NULL,
                content_type TEXT,
                modified INTEGER NOT NULL,
                deleted INTEGER
            ) STRICT;
            CREATE UNIQUE INDEX IF NOT EXISTS current ON objects (key) WHERE deleted IS NULL;
            CREATE TABLE IF NOT EXISTS contents (
                file TEXT PRIMARY KEY,
                bytes BLOB NOT NULL
            ) STRICT;
            CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON objects
                BEGIN DELETE FROM contents WHERE file = OLD.file; END;",
        )?;
        Ok(Self {
            folder: Arc::new(folder.to_owned()),
            index: Arc::new(Mutex::new(index)),
            reader: Arc::new(Mutex::new(Connection::open(database)?)),
            recycle,
        })
    }

    /// A file to write a new object's content to.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn draft(&self) -> Result<(Draft, File), StoreError> {
        let name = Ulid::new().to_string();
        let path = self.path(&name);
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            super::private::folder(folder).map_err(|source| file_error(folder, source))?;
            sync(&self.folder)?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|source| file_error(&path, source))?;
        Ok((Draft { path, name, kept: false }, file))
    }

    /// The content of `object` for a copy of it: a hard link, or its bytes if it is small.
    ///
    /// # Errors
    /// The file cannot be linked, or the index cannot be read.
    pub fn copied(&self, object: &Object) -> Result<NewContent, StoreError> {
        if let Some(bytes) = self.small(object, &(0..object.size))? {
            return Ok(NewContent::Small(bytes.into()));
        }
        let (draft, file) = self.draft()?;
        drop(file);
        let linked = std::fs::remove_file(&draft.path)
            .and_then(|()| std::fs::hard_link(self.path(&object.file), &draft.path));
        linked.map_err(|source| file_error(&draft.path, source))?;
        Ok(NewContent::Linked(draft))
    }

    /// Stores `content` as `object`. Returns `false` if the condition does not hold.
    ///
    /// # Errors
    /// The file cannot be synced, or the index cannot be written.
    pub fn commit(
        &self,
        content: NewContent,
        object: &NewObject,
        condition: Condition,
    ) -> Result<bool, StoreError> {
        let mut draft = match content {
            NewContent::File { draft, file } => {
                file.sync_all().map_err(|source| draft.error(source))?;
                draft
            }
            NewContent::Linked(draft) => draft,
            NewContent::Small(bytes) => {
                return self.name(&Ulid::new().to_string(), &bytes, object, condition);
            }
        };
        sync(draft.path.parent().unwrap_or(&self.folder))?;
        // From here on, the index may name the file even if an error is returned.
        draft.kept = true;
        let named = self.name(&draft.name, &[], object, condition);
        draft.kept = !matches!(named, Ok(false));
        named
    }

    /// Names a file, or these bytes in place of one, as an object.
    fn name(
        &self,
        file: &str,
        bytes: &[u8],
        object: &NewObject,
        condition: Condition,
    ) -> Result<bool, StoreError> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let replaced = transaction
            .prepare_cached("UPDATE objects SET deleted = ?2 WHERE key = ?1 AND deleted IS NULL")?
            .execute(params![object.key, now])?;
        if replaced > 0 && condition == Condition::Absent {
            return Ok(false);
        }
        transaction
            .prepare_cached(
                "INSERT INTO objects (file, key, size, sha256, content_type, modified)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                file,
                object.key,
                i64::try_from(object.size).unwrap_or(i64::MAX),
                object.sha256,
                object.content_type,
                now
            ])?;
        if !bytes.is_empty() {
            transaction
                .prepare_cached("INSERT INTO contents (file, bytes) VALUES (?1, ?2)")?
                .execute(params![file, bytes])?;
        }
        transaction.commit()?;
        Ok(true)
    }

    /// The object at `key`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn find(&self, key: &str) -> Result<Option<Object>, StoreError> {
        let index = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let select = format!("SELECT {COLUMNS} FROM objects WHERE key = ?1 AND deleted IS NULL");
        Ok(index.prepare_cached(&select)?.query_row([key], object).optional()?)
    }

    /// The file of an object that is not small.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn content(&self, object: &Object) -> Result<File, StoreError> {
        let path = self.path(&object.file);
        File::open(&path).map_err(|source| file_error(&path, source))
    }

    /// A part of the object's content, whole in memory.
    ///
    /// # Errors
    /// It cannot be read, or ends before the part does.
    pub fn part(&self, object: &Object, part: Range<u64>) -> Result<Vec<u8>, StoreError> {
        if let Some(bytes) = self.small(object, &part)? {
            return Ok(bytes);
        }
        let mut bytes = vec![0; usize::try_from(part.end - part.start).unwrap_or_default()];
        let read = self.content(object)?.read_exact_at(&mut bytes, part.start);
        read.map_err(|source| file_error(&self.path(&object.file), source))?;
        Ok(bytes)
    }

    /// A part of the object's content, if that is in the index.
    ///
    /// # Errors
    /// The index cannot be read, or the content ends before the part does.
    pub fn small(&self, object: &Object, part: &Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        if part.is_empty() {
            return Ok(Some(Vec::new()));
        }
        // Objects of older versions are in files, even if they are small.
        if object.size > SMALL {
            return Ok(None);
        }
        let length = part.end - part.start;
        let index = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let mut select =
            index.prepare_cached("SELECT substr(bytes, ?2, ?3) FROM contents WHERE file = ?1")?;
        // SQLite counts from one.
        let asked = params![object.file, part.start + 1, length];
        let bytes: Option<Vec<u8>> = select.query_row(asked, |row| row.get(0)).optional()?;
        if bytes.as_ref().is_some_and(|bytes| bytes.len() as u64 != length) {
            let ended = io::ErrorKind::UnexpectedEof.into();
            return Err(file_error(&self.folder.join("index.db"), ended));
        }
        Ok(bytes)
    }

    /// Up to `most` objects after the key `after` whose keys begin with
    /// `prefix`, in the order of their keys' bytes.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn list(&self, prefix: &str, after: &str, most: u32) -> Result<Vec<Object>, StoreError> {
        let index = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let select = format!(
            "SELECT {COLUMNS} FROM objects
             WHERE deleted IS NULL AND key > ?2 AND substr(key, 1, length(?1)) = ?1
             ORDER BY key LIMIT ?3"
        );
        let mut select = index.prepare_cached(&select)?;
        let objects = select.query_map(params![prefix, after, most], object)?;
        Ok(objects.collect::<Result<_, _>>()?)
    }

    /// Deletes the object at `key`, if there is one; its bytes stay for the
    /// recycle period.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn delete(&self, key: &str) -> Result<(), StoreError> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.execute(
            "UPDATE objects SET deleted = ?2 WHERE key = ?1 AND deleted IS NULL",
            params![key, OffsetDateTime::now_utc().unix_timestamp()],
        )?;
        Ok(())
    }

    /// Removes the bytes of objects that were deleted longer ago than the recycle period. Also
    /// removes uploads that were deleted, or not committed within a day. The bucket on AWS does
    /// the same.
    ///
    /// # Errors
    /// The index cannot be written, or a file cannot be removed.
    pub fn sweep(&self) -> Result<(), StoreError> {
        const UPLOADS: time::Duration = time::Duration::DAY;
        let now = OffsetDateTime::now_utc();
        let before = [now - self.recycle.0, now - UPLOADS].map(OffsetDateTime::unix_timestamp);
        let files: Vec<String> = {
            let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
            let mut swept = index.prepare(
                "DELETE FROM objects
                 WHERE deleted <= ?1
                    OR (key GLOB 'uploads/*' AND (deleted IS NOT NULL OR modified <= ?2))
                 RETURNING file",
            )?;
            let files = swept.query_map(before, |row| row.get(0))?;
            files.collect::<Result<_, _>>()?
        };
        files.iter().try_for_each(|file| remove(&self.path(file)))
    }

    /// Removes files that the index does not name. Only while no draft is open.
    fn remove_leftovers(&self) -> Result<(), StoreError> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut named = index.prepare("SELECT 1 FROM objects WHERE file = ?1")?;
        for folder in read_folder(&self.folder)?.into_iter().filter(|path| path.is_dir()) {
            for path in read_folder(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if !named.exists([name])? {
                    remove(&path)?;
                }
            }
        }
        Ok(())
    }

    /// The path of a file. The random end of its name chooses the folder.
    fn path(&self, file: &str) -> PathBuf {
        let spread = file.get(file.len().saturating_sub(2)..).unwrap_or_default();
        self.folder.join(spread).join(file)
    }
}

/// An object to be stored.
#[derive(Debug, Clone)]
pub struct NewObject {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, Base64.
    pub sha256: String,
    /// Its content type.
    pub content_type: Option<String>,
}

impl Draft {
    /// Where its content is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An error about its file.
    pub(super) fn error(&self, source: io::Error) -> StoreError {
        file_error(&self.path, source)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // A file that cannot be removed now is left to the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn object(row: &Row<'_>) -> rusqlite::Result<Object> {
    Ok(Object {
        key: row.get(0)?,
        size: row.get::<_, i64>(1)?.unsigned_abs(),
        sha256: row.get(2)?,
        content_type: row.get(3)?,
        modified: row.get(4)?,
        file: row.get(5)?,
    })
}

fn read_folder(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let paths = || -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    paths().map_err(|source| file_error(folder, source))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(path, error)),
        _ => Ok(()),
    }
}

/// Makes the names in a folder last through a power cut.
fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| file_error(folder, source))
}

fn file_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::File { path: path.to_owned(), source }
}
