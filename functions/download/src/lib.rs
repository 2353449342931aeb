//! GET of a version's files: the nupkg, the nuspec, and what the nuspec names.
//!
//! | answer | when |
//! |---|---|
//! | 302 | the nupkg, at a presigned address of the bucket |
//! | 200 | nuspec, readme, icon, license; the nupkg, where the feed streams it itself |
//! | 206, 416 | the part of a streamed nupkg that was asked for; there is no such part |
//! | 401 | reading needs a key |
//! | 404 | there is no such version or file, or the key is not good for it |
//!
//! One AWS call, and one more for a file that the feed itself reads from the bucket.

use std::ops::Range;
use std::str::FromStr;

use access::Scope;
use feed::{Context, Delivery, Verb};
use nupkg::{PackageId, Version};
use protocol::{
    Access, AskedRange, Body, Caller, ConfigError, Lifetime, PathParameters, Refusal, Reply,
    Request, Route, paths,
};
use store::{AttachedFile, ObjectError, ObjectKey, Objects, Table, VersionRow, VersionState};

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

/// A file of a version, by its name.
enum File {
    Nupkg,
    Nuspec,
    Readme,
    Icon,
    License,
}

impl Verb for Download {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[Route::read(paths::FILE, Access::Key(Scope::Read))];

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
        if let File::Nuspec = file {
            return self.nuspec(id, version).await;
        }
        let row = match self.table.version(&id, &version).await? {
            Some(row) if row.state == VersionState::Visible => row,
            Some(_) | None => return Err(Refusal::NoSuchVersion { id, version }),
        };
        let has = |file| row.files.contains(&file).then_some(file);
        let attached = match file {
            File::Nupkg | File::Nuspec => return self.nupkg(request, &row).await,
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
        let name = row.object.file_name();
        let lifetime = match self.delivery {
            Delivery::Redirect(lifetime) => lifetime,
            Delivery::Stream => return self.streamed(request, row, &name).await,
        };
        Ok(protocol::redirect(&self.objects.address(&row.object, &name, lifetime).await?))
    }

    async fn streamed(
        &self,
        request: &Request,
        row: &VersionRow,
        name: &str,
    ) -> Result<Reply, Refusal> {
        // A strong tag: these bytes never change, whoever asks.
        let tag = format!("\"{}\"", row.object.ulid());
        let part = match AskedRange::of(request, row.size, &tag) {
            AskedRange::Whole => None,
            AskedRange::Part(part) => Some(part),
            AskedRange::Nowhere => return Ok(protocol::nowhere(row.size)),
        };
        let body = self.open(row, &row.object, part.clone()).await?;
        let reply = protocol::stream(body, "application/octet-stream");
        let mut reply = protocol::tagged(reply, &tag, Lifetime::Unchanging);
        protocol::describe(&mut reply, (name, &tag), part, row.size)
            .map_err(|error| Refusal::Broken(error.into()))?;
        Ok(reply)
    }

    async fn attached(&self, row: &VersionRow, file: AttachedFile) -> Result<Reply, Refusal> {
        let body = self.open(row, &row.object.attached(file), None).await?;
        let reply = protocol::contained(protocol::stream(body, file.content_type()));
        Ok(protocol::tagged(reply, &row.object.ulid(), Lifetime::Unchanging))
    }

    /// An object of the version that was read as `row`.
    async fn open(
        &self,
        row: &VersionRow,
        object: &ObjectKey,
        part: Option<Range<u64>>,
    ) -> Result<Body, Refusal> {
        let missing = match self.objects.get(object, part).await {
            Err(missing @ ObjectError::Missing(_)) => missing,
            got => return Ok(got?),
        };
        // The object may have been deleted since its row was read.
        let (Ok(id), Ok(version)) = (PackageId::parse(&row.id), row.version.parse()) else {
            return Err(missing.into());
        };
        match self.table.version(&id, &version).await? {
            Some(now) if now.state == VersionState::Visible && now.object == row.object => {
                Err(missing.into())
            }
            _ => Err(Refusal::NoSuchVersion { id, version }),
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
    /// The file called `name`: `<id>.<version>.nupkg` or `<id>.nuspec`, the
    /// version in any spelling; `readme`, `icon` or `license`.
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
        let written = rest
            .strip_prefix('.')
            .and_then(|rest| rest.strip_suffix(".nupkg"))
            .ok_or(Refusal::NoSuchAddress)?;
        match Version::from_str(written) {
            Ok(written) if written == *version => Ok(Self::Nupkg),
            _ => Err(Refusal::NoSuchAddress),
        }
    }
}
