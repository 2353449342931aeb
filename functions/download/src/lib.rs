//! GET of a version's files: the nupkg, its symbols, the nuspec, and what the nuspec names.
//!
//! | answer | when |
//! |---|---|
//! | 302 | nupkg and snupkg, at a presigned address of the bucket |
//! | 200 | nuspec, readme, icon, license; nupkg and snupkg, where the feed streams them |
//! | 206, 416 | the part of a streamed file that was asked for; there is no such part |
//! | 401 | reading needs a key |
//! | 404 | there is no such version or file, or the key is not good for it |
//!
//! One AWS call, and one more for a file that the feed itself reads from the bucket. A GET of a
//! nupkg from its first byte is a download: the first of each day and version takes one call
//! more, to count it, and so does each of the first 128, and of the others a sample.

use std::str::FromStr;
use std::time::Duration;

use access::Scope;
use feed::{Context, Delivery, StoredFile, Verb};
use http::Method;
use http::header::RANGE;
use nupkg::{PackageId, Version};
use protocol::{
    Access, Body, Caller, ConfigError, Lifetime, PathParameters, Refusal, Reply, Request, Route,
    paths,
};
use store::{AttachedFile, ObjectError, Objects, Table, VersionRow, VersionState};
use ulid::Ulid;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Download {
    /// The table of versions.
    pub table: Table,
    /// The packages.
    pub objects: Objects,
    /// How packages reach the client.
    pub delivery: Delivery,
}

/// How long a download may wait to be counted.
const MOMENT: Duration = Duration::from_millis(500);

/// Whether a request asks for a file from its beginning: what follows is of the same download.
fn begins_at_first_byte(request: &Request) -> bool {
    let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
    range.is_none_or(|range| range.trim().starts_with("bytes=0-"))
}

/// A file of a version, by its name.
enum File {
    Nupkg,
    Snupkg,
    Nuspec,
    Readme,
    Icon,
    License,
}

impl Verb for Download {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[
        Route::read(paths::FILE, Access::Key(Scope::Read)),
        Route::read(paths::PAGE_FILE, Access::ReadOrSession),
    ];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self {
            table: context.table()?,
            objects: context.objects()?,
            delivery: context.hosting.delivery,
        })
    }

    async fn handle(&self, request: Request) -> Reply {
        self.give(&request).await.unwrap_or_else(Reply::from)
    }
}

impl Download {
    async fn give(&self, request: &Request) -> Result<Reply, Refusal> {
        let parameters = PathParameters::of(request);
        let id = parameters.id()?;
        let version = parameters.version()?;
        let file = File::of(parameters.get("file"), &id, &version)?;
        if !Caller::of(request).covers(&id) {
            return Err(Refusal::NoSuchPackage(id));
        }
        match file {
            File::Nuspec => return self.nuspec(id, version).await,
            File::Snupkg => return self.snupkg(request, id, version).await,
            _ => {}
        }
        let row = match self.table.version(&id, &version).await? {
            Some(row) if row.state == VersionState::Visible => row,
            Some(_) | None => return Err(Refusal::NoSuchVersion { id, version }),
        };
        let has = |file| row.files.contains(&file).then_some(file);
        let attached = match file {
            File::Nupkg | File::Snupkg | File::Nuspec => {
                let count = self.count(request, (&id, &version), &row);
                return tokio::join!(self.nupkg(request, &row), count).0;
            }
            File::Readme => has(AttachedFile::Readme),
            File::License => has(AttachedFile::License),
            File::Icon => row.icon(),
        };
        match attached {
            Some(file) => self.attached(&row, file).await,
            None => Err(Refusal::NoSuchFile { id, version }),
        }
    }

    async fn nupkg(&self, request: &Request, row: &VersionRow) -> Result<Reply, Refusal> {
        let file = StoredFile {
            object: &row.object,
            name: &row.object.file_name(),
            size: row.size,
            tag: row.object.ulid(),
        };
        match self.delivery.deliver(&self.objects, request, file).await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.without(row, error).await?),
        }
    }

    /// Counts a download. It takes its time beside the answer, and no more than a moment: a
    /// download is not worth less if it was not counted.
    async fn count(&self, request: &Request, name: (&PackageId, &Version), row: &VersionRow) {
        if request.method() != Method::GET || !begins_at_first_byte(request) {
            return;
        }
        let counting = self.table.count_download(name, row, Ulid::new().random());
        match tokio::time::timeout(MOMENT, counting).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = protocol::with_causes(&error), "a download was not counted");
            }
            Err(_) => tracing::warn!("a download was not counted: the table took too long"),
        }
    }

    async fn snupkg(
        &self,
        request: &Request,
        id: PackageId,
        version: Version,
    ) -> Result<Reply, Refusal> {
        let Some(row) = self.table.symbols(&id, &version).await? else {
            return Err(Refusal::NoSuchFile { id, version });
        };
        let (object, tag) = (row.object(&id, &version), row.push.to_string());
        let file =
            StoredFile { object: &object, name: &object.file_name(), size: row.size, tag: &tag };
        match self.delivery.deliver(&self.objects, request, file).await {
            // They may have been replaced or deleted since the row was read.
            Err(ObjectError::Missing(_))
                if self.table.symbols(&id, &version).await?.as_ref() != Some(&row) =>
            {
                Err(Refusal::NoSuchFile { id, version })
            }
            delivered => Ok(delivered?),
        }
    }

    async fn attached(&self, row: &VersionRow, file: AttachedFile) -> Result<Reply, Refusal> {
        let body = match self.objects.get(&row.object.attached(file), None).await {
            Ok(body) => body,
            Err(error) => return Err(self.without(row, error).await?),
        };
        let reply = protocol::contained(protocol::stream(body, file.content_type()));
        Ok(protocol::tagged(reply, &row.object.ulid(), Lifetime::Unchanging))
    }

    /// The refusal where an object of the version that was read as `row` cannot be given
    /// out: it may have been deleted since then.
    async fn without(&self, row: &VersionRow, error: ObjectError) -> Result<Refusal, Refusal> {
        let (Ok(id), Ok(version)) = (PackageId::parse(&row.id), row.version.parse()) else {
            return Ok(error.into());
        };
        let ObjectError::Missing(_) = error else { return Ok(error.into()) };
        match self.table.version(&id, &version).await? {
            Some(now) if now.state == VersionState::Visible && now.object == row.object => {
                Ok(error.into())
            }
            _ => Ok(Refusal::NoSuchVersion { id, version }),
        }
    }

    async fn nuspec(&self, id: PackageId, version: Version) -> Result<Reply, Refusal> {
        match self.table.nuspec(&id, &version).await? {
            // A version never has two contents.
            Some(xml) => {
                let reply = protocol::contained(protocol::stream(Body::from(xml), "text/xml"));
                Ok(protocol::tagged(reply, &version.key(), Lifetime::Unchanging))
            }
            None => Err(Refusal::NoSuchVersion { id, version }),
        }
    }
}

impl File {
    /// The file called `name`: `<id>.<version>.nupkg` or `.snupkg`, the version in any
    /// spelling; `<id>.nuspec`; `readme`, `icon` or `license`.
    fn of(name: &str, id: &PackageId, version: &Version) -> Result<Self, Refusal> {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "readme" => return Ok(Self::Readme),
            "icon" => return Ok(Self::Icon),
            "license" => return Ok(Self::License),
            _ => {}
        }
        let rest = name.strip_prefix(&id.key()).ok_or(Refusal::NoSuchAddress)?;
        if rest == ".nuspec" {
            return Ok(Self::Nuspec);
        }
        let rest = rest.strip_prefix('.').ok_or(Refusal::NoSuchAddress)?;
        let (written, file) = match (rest.strip_suffix(".nupkg"), rest.strip_suffix(".snupkg")) {
            (Some(written), _) => (written, Self::Nupkg),
            (None, Some(written)) => (written, Self::Snupkg),
            (None, None) => return Err(Refusal::NoSuchAddress),
        };
        match Version::from_str(written) {
            Ok(written) if written == *version => Ok(file),
            _ => Err(Refusal::NoSuchAddress),
        }
    }
}
