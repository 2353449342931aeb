//! Every way in which an archive is refused.

use super::PackageError;

/// The rule that an archive breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// There is no zip in the bytes, or a broken one.
    #[error(
        "the package is not a readable zip archive ({0}); pack it again and push the .nupkg file"
    )]
    NotAnArchive(String),
    /// There are bytes before the first entry.
    #[error("the package has {bytes} bytes before its first entry; pack it again")]
    DataBefore {
        /// How many.
        bytes: u64,
    },
    /// There are bytes after the end of the archive.
    #[error("the package has {bytes} bytes after the end of its archive; pack it again")]
    DataAfter {
        /// How many.
        bytes: u64,
    },
    /// There are bytes between the entries, or between them and the directory.
    #[error("the package has {bytes} hidden bytes after its entry '{after}'; pack it again")]
    HiddenData {
        /// How many.
        bytes: u64,
        /// The entry before them.
        after: String,
    },
    /// The archive has more entries than the limit.
    #[error("the package has {entries} entries; pack at most {limit}")]
    TooManyEntries {
        /// How many it declares.
        entries: u64,
        /// The limit.
        limit: u64,
    },
    /// The archive's directory is larger than the limit.
    #[error(
        "the package's directory has {bytes} bytes; pack fewer or shorter file names ({limit} bytes at most)"
    )]
    DirectoryTooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The end of the archive disagrees with its directory.
    #[error("the package's end of archive disagrees with its directory; pack it again")]
    EndDisagrees,
    /// The archive does not hold the number of entries that it declares.
    #[error("the package declares {declared} entries and holds {found}; pack it again")]
    EntryCount {
        /// The count in the archive's end.
        declared: u64,
        /// The count of its directory.
        found: u64,
    },
    /// An entry is encrypted.
    #[error("the package's entry '{0}' is encrypted; pack it without a password")]
    Encrypted(String),
    /// An entry is compressed in a way that NuGet cannot read.
    #[error(
        "the package's entry '{name}' uses the compression method {method}; use deflate, deflate64 or none"
    )]
    CompressionMethod {
        /// The entry.
        name: String,
        /// The method's number.
        method: u16,
    },
    /// An entry is a symbolic link.
    #[error("the package's entry '{0}' is a symbolic link; pack the file itself")]
    SymbolicLink(String),
    /// An entry is a device, a pipe or a socket.
    #[error("the package's entry '{0}' is neither a file nor a folder; leave it out")]
    SpecialFile(String),
    /// An entry's date is ahead of the clock.
    #[error("the package's entry '{0}' has a date in the future; correct the clock and pack again")]
    FromTheFuture(String),
    /// An entry's name is longer than the limit.
    #[error(
        "the package has an entry whose name is {bytes} bytes long; shorten it to at most {limit}"
    )]
    NameTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// An entry's name is flagged as UTF-8, but is not valid UTF-8.
    #[error(
        "the package's entry '{0}' says that its name is UTF-8, which it is not; pack it again"
    )]
    NameNotUtf8(String),
    /// An entry's name has two backslashes in a row.
    #[error("the package's entry '{0}' has a double backslash in its name; rename it")]
    DoubleBackslash(String),
    /// An entry's name has control characters.
    #[error("the package's entry '{0}' has a control character in its name; rename it")]
    ControlCharacter(String),
    /// An entry's name leads out of the folder it is extracted to.
    #[error("the package's entry '{0}' is unsafe to extract; use a path inside the package")]
    UnsafePath(String),
    /// An entry is a file, and other entries use its name as a folder.
    #[error("the package's entry '{file}' is a file and the folder of '{inside}'; rename one")]
    FileAndFolder {
        /// The file.
        file: String,
        /// The entry that would be inside it.
        inside: String,
    },
    /// Two entries are the same file if case, the form of accents and separators do not
    /// count.
    #[error("the package's entries '{first}' and '{second}' are the same file; remove one")]
    DuplicateEntry {
        /// The name that came first.
        first: String,
        /// The name that folds to the same.
        second: String,
    },
    /// A local header disagrees with the directory.
    #[error("the package's entry '{name}' has two different {field}s; pack it again")]
    HeadersDisagree {
        /// The entry.
        name: String,
        /// The field that differs.
        field: &'static str,
    },
    /// Two entries share bytes.
    #[error("the package's entries '{first}' and '{second}' overlap; pack it again")]
    Overlap {
        /// The entry that begins first.
        first: String,
        /// The entry that begins inside it.
        second: String,
    },
    /// An entry runs into the directory.
    #[error("the package's entry '{0}' runs past the end of the archive's data; pack it again")]
    PastTheEnd(String),
    /// An entry's declared sizes cannot both be true.
    #[error("the package's entry '{0}' does not have the size it declares; pack it again")]
    DishonestSize(String),
    /// An entry's content does not have its checksum, or does not inflate.
    #[error("the package's entry '{0}' is corrupt; pack it again")]
    Corrupt(String),
    /// The entries inflate to more than the limit.
    #[error("the package inflates to {bytes} bytes; pack at most {limit}")]
    InflatesTooFar {
        /// The size that its entries declare.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The entries inflate to a suspicious multiple of the package's size.
    #[error("the package inflates to {ratio} times its size, at most {limit} is allowed; split it")]
    InflationRatio {
        /// Inflated by packed bytes, rounded down.
        ratio: u64,
        /// The limit.
        limit: u64,
    },
    /// An entry that is read here inflates to more than its limit.
    #[error("the package's entry '{name}' inflates to more than {limit} bytes; shorten it")]
    EntryTooLarge {
        /// The entry.
        name: String,
        /// The limit.
        limit: u64,
    },
    /// There is no nuspec in the root.
    #[error("the package has no .nuspec file in its root; push a .nupkg made by 'dotnet pack'")]
    NoNuspec,
    /// There is more than one nuspec in the package.
    #[error(
        "the package has more than one .nuspec file ('{0}' and '{1}'); keep the one in the root"
    )]
    MultipleNuspecs(String, String),
    /// The nuspec names a file that is not there.
    #[error(
        "the nuspec's <{element}> names the file '{path}', which the package lacks; pack it too"
    )]
    MissingFile {
        /// The element.
        element: &'static str,
        /// The path it names.
        path: String,
    },
}

/// A failure to read is kept as one; any other error is the archive's fault.
pub(super) fn from_rawzip(error: rawzip::Error) -> PackageError {
    use rawzip::ErrorKind;
    match error.kind() {
        ErrorKind::IO(io) if io.kind() != std::io::ErrorKind::UnexpectedEof => {
            PackageError::Unreadable(std::io::Error::new(io.kind(), error))
        }
        ErrorKind::IO(_) | ErrorKind::Eof => {
            ArchiveError::NotAnArchive("it ends too early".to_owned()).into()
        }
        _ => ArchiveError::NotAnArchive(error.to_string()).into(),
    }
}
