//! Packages built to order, honest or not.

use std::cell::RefCell;
use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// 2020-01-01 00:00, in the format of zip.
const NEW_YEAR_2020: (u16, u16) = (0x5021, 0);

/// A zip archive under construction. What it declares may be a lie.
#[derive(Debug, Clone, Default)]
pub struct PackageBuilder {
    entries: Vec<Entry>,
    before: Vec<u8>,
    after: Vec<u8>,
    comment: Vec<u8>,
    declared_entries: Option<u16>,
}

/// An entry, as it stands in the archive.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name in the directory.
    pub name: Vec<u8>,
    /// Its name in the local header.
    pub local_name: Vec<u8>,
    /// The compression method.
    pub method: u16,
    /// Its bytes in the archive.
    pub packed: Vec<u8>,
    /// Its size in the archive, as the directory declares it.
    pub declared_packed: u32,
    /// The size that it declares to inflate to.
    pub declared_inflated: u32,
    /// The size that its local header declares it to inflate to.
    pub local_inflated: u32,
    /// The checksum that it declares.
    pub crc: u32,
    /// General purpose flags.
    pub flags: u16,
    /// Day and time in DOS form.
    pub date: (u16, u16),
    /// Unix mode and type.
    pub mode: u16,
    /// Whether the sizes come after its bytes instead of before them.
    pub streamed: bool,
    /// Its extra fields in the directory.
    pub extra: Vec<u8>,
    /// Its extra fields in the local header.
    pub local_extra: Vec<u8>,
    /// The offset of its local header, if the directory points to another place.
    pub offset: Option<u32>,
}

impl Entry {
    /// A deflated file.
    #[must_use]
    pub fn file(name: &str, content: &[u8]) -> Self {
        // Made once: its tables are far larger than most files of tests.
        thread_local! {
            static DEFLATE: RefCell<DeflateEncoder<Vec<u8>>> =
                RefCell::new(DeflateEncoder::new(Vec::new(), Compression::default()));
        }
        let packed = DEFLATE.with_borrow_mut(|deflate| {
            deflate.write_all(content).unwrap();
            deflate.reset(Vec::new()).unwrap()
        });
        Self::packed(name, 8, packed, content)
    }

    /// A file that is not compressed.
    #[must_use]
    pub fn stored(name: &str, content: &[u8]) -> Self {
        Self::packed(name, 0, content.to_vec(), content)
    }

    fn packed(name: &str, method: u16, packed: Vec<u8>, content: &[u8]) -> Self {
        let inflated = u32::try_from(content.len()).unwrap();
        Self {
            name: name.as_bytes().to_vec(),
            local_name: name.as_bytes().to_vec(),
            method,
            declared_packed: u32::try_from(packed.len()).unwrap(),
            packed,
            declared_inflated: inflated,
            local_inflated: inflated,
            crc: crc32fast::hash(content),
            flags: 1 << 11,
            date: NEW_YEAR_2020,
            mode: 0o100_644,
            streamed: false,
            extra: Vec::new(),
            local_extra: Vec::new(),
            offset: None,
        }
    }

    fn fields(&self, is_local: bool) -> Vec<u8> {
        let hidden = is_local && self.streamed;
        let value = |value: u32| if hidden { 0 } else { value };
        let flags = self.flags | if self.streamed { 1 << 3 } else { 0 };
        let inflated = if is_local { self.local_inflated } else { self.declared_inflated };
        let name = if is_local { &self.local_name } else { &self.name };
        let mut fields = Vec::new();
        fields.extend(20_u16.to_le_bytes());
        fields.extend(flags.to_le_bytes());
        fields.extend(self.method.to_le_bytes());
        fields.extend(self.date.1.to_le_bytes());
        fields.extend(self.date.0.to_le_bytes());
        fields.extend(value(self.crc).to_le_bytes());
        fields.extend(value(self.declared_packed).to_le_bytes());
        fields.extend(value(inflated).to_le_bytes());
        fields.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        let extra = if is_local { &self.local_extra } else { &self.extra };
        fields.extend(u16::try_from(extra.len()).unwrap().to_le_bytes());
        fields
    }
}

impl PackageBuilder {
    /// A package with a plain nuspec.
    #[must_use]
    pub fn new(id: &str, version: &str) -> Self {
        Self::default().nuspec(&nuspec(id, version, ""))
    }

    /// Adds the nuspec.
    #[must_use]
    pub fn nuspec(self, xml: &str) -> Self {
        self.file("package.nuspec", xml.as_bytes())
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(Entry::file(name, content))
    }

    /// Adds an entry.
    #[must_use]
    pub fn entry(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// Puts bytes before the archive.
    #[must_use]
    pub fn before(mut self, bytes: &[u8]) -> Self {
        self.before = bytes.to_vec();
        self
    }

    /// Puts bytes behind the archive.
    #[must_use]
    pub fn after(mut self, bytes: &[u8]) -> Self {
        self.after = bytes.to_vec();
        self
    }

    /// Sets the archive's comment.
    #[must_use]
    pub fn comment(mut self, comment: &[u8]) -> Self {
        self.comment = comment.to_vec();
        self
    }

    /// Declares this number of entries instead of the real one.
    #[must_use]
    pub fn declare_entries(mut self, entries: u16) -> Self {
        self.declared_entries = Some(entries);
        self
    }

    /// The package's bytes.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut bytes = self.before.clone();
        let mut directory = Vec::new();
        for entry in &self.entries {
            let at = u32::try_from(bytes.len()).unwrap();
            bytes.extend(b"PK\x03\x04");
            bytes.extend(entry.fields(true));
            bytes.extend(&entry.local_name);
            bytes.extend(&entry.local_extra);
            bytes.extend(&entry.packed);
            if entry.streamed {
                bytes.extend(b"PK\x07\x08");
                bytes.extend(entry.crc.to_le_bytes());
                bytes.extend(entry.declared_packed.to_le_bytes());
                bytes.extend(entry.local_inflated.to_le_bytes());
            }
            directory.extend(b"PK\x01\x02");
            // Made on Unix.
            directory.extend(0x0314_u16.to_le_bytes());
            directory.extend(entry.fields(false));
            // No comment, disk 0, no internal attributes.
            directory.extend([0; 6]);
            directory.extend((u32::from(entry.mode) << 16).to_le_bytes());
            directory.extend(entry.offset.unwrap_or(at).to_le_bytes());
            directory.extend(&entry.name);
            directory.extend(&entry.extra);
        }
        let entries = u16::try_from(self.entries.len()).unwrap();
        let entries = self.declared_entries.unwrap_or(entries);
        let start = u32::try_from(bytes.len()).unwrap();
        let size = u32::try_from(directory.len()).unwrap();
        bytes.extend(directory);
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0; 4]);
        bytes.extend(entries.to_le_bytes());
        bytes.extend(entries.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend(u16::try_from(self.comment.len()).unwrap().to_le_bytes());
        bytes.extend(&self.comment);
        bytes.extend(&self.after);
        bytes
    }
}

/// A nuspec with these elements besides id, version, authors and description.
#[must_use]
pub fn nuspec(id: &str, version: &str, more: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>
<package xmlns=\"http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd\">
  <metadata>
    <id>{id}</id>
    <version>{version}</version>
    <authors>Acme</authors>
    <description>For tests.</description>
    {more}
  </metadata>
</package>"
    )
}
