//! The functions behind the gateway.

use authorize::Authorize;
use commit::Commit;
use compact::Compact;
use download::{Delivery, Download};
use feed::{
    Aws, BucketName, DeleteBehavior, Door, Objects, PackageBytes, Parts, ReadAccess, Releases,
    Reply, Request, Spooling, Table, TableName, UploadLifetime,
};
use finder::Finder;
use index::Index;
use ingest::Ingest;
use push::{Permits, Push};
use registration::Registration;
use relist::Relist;
use search::Search;
use unlist::Unlist;
use upload::Upload;
use versions::Versions;
use web::Web;

/// A function that answers requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// PUT of a package.
    Push,
    /// POST of an upload's declaration.
    Upload,
    /// POST to an upload, to commit it.
    Commit,
    /// DELETE of a version.
    Unlist,
    /// POST to a version.
    Relist,
    /// The service index.
    Index,
    /// A package's versions.
    Versions,
    /// A version's files.
    Download,
    /// What there is to know of a package's versions.
    Registration,
    /// Search and autocomplete.
    Search,
    /// The pages for people.
    Web,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 11] = [
        Self::Push,
        Self::Upload,
        Self::Commit,
        Self::Unlist,
        Self::Relist,
        Self::Index,
        Self::Versions,
        Self::Download,
        Self::Registration,
        Self::Search,
        Self::Web,
    ];

    /// The name of its folder under functions/.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Upload => "upload",
            Self::Commit => "commit",
            Self::Unlist => "unlist",
            Self::Relist => "relist",
            Self::Index => "index",
            Self::Versions => "versions",
            Self::Download => "download",
            Self::Registration => "registration",
            Self::Search => "search",
            Self::Web => "web",
        }
    }

    /// The verb whose code stands in this folder of the repository.
    #[must_use]
    pub fn of_folder(folder: &str) -> Option<Self> {
        let name = folder.strip_prefix("functions/")?;
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }
}

/// What all functions share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The feed's table.
    pub table: TableName,
    /// The feed's bucket.
    pub bucket: BucketName,
    /// Who may read.
    pub read_access: ReadAccess,
    /// What DELETE does.
    pub delete_behavior: DeleteBehavior,
    /// The largest package taken.
    pub package_bytes: PackageBytes,
    /// Where packages are kept while they arrive.
    pub spooling: Spooling,
    /// How many may arrive at once.
    pub permits: Permits,
    /// Which packages are stored in parts.
    pub parts: Parts,
    /// How packages are given out.
    pub delivery: Delivery,
    /// The bucket as clients reach it, where that is not as functions do: a client
    /// that signs for it, and the path that it is mounted at.
    pub public_bucket: Option<(aws_sdk_s3::Client, String)>,
}

/// All functions of the feed.
#[derive(Debug)]
pub struct Functions {
    /// The authorizer.
    pub authorize: Authorize,
    /// What AWS runs on a schedule.
    pub compact: Compact,
    push: Push,
    upload: Upload,
    commit: Commit,
    unlist: Unlist,
    relist: Relist,
    index: Index,
    versions: Versions,
    download: Download,
    registration: Registration,
    search: Search,
    web: Web,
}

impl Functions {
    /// The functions on top of `aws`.
    #[must_use]
    pub fn new(aws: &Aws, settings: &Settings) -> Self {
        let table = Table::new(aws.dynamodb.clone(), settings.table.clone());
        let objects =
            Objects::new(aws.s3.clone(), settings.bucket.clone()).in_parts(settings.parts);
        let (public, mount) =
            settings.public_bucket.clone().unwrap_or((aws.s3.clone(), String::new()));
        let public = Objects::new(public, settings.bucket.clone()).mounted_at(&mount);
        let limits = nupkg::Limits::default();
        let ingest = Ingest { table: table.clone(), objects: objects.clone(), limits };
        // In one process, one index does for all.
        let finder = Finder::new(table.clone(), objects.clone());
        let read_access = settings.read_access;
        let (door, releases) = (Door::new(table.clone()), Releases::new(table.clone()));
        Self {
            authorize: Authorize { door: door.clone(), read_access },
            compact: Compact { finder: finder.clone() },
            push: Push {
                ingest: ingest.clone(),
                spooling: settings.spooling.clone(),
                package_bytes: settings.package_bytes,
                permits: settings.permits.clone(),
                door: Some(door.clone()),
            },
            upload: Upload {
                table: table.clone(),
                objects: public,
                package_bytes: settings.package_bytes,
                lifetime: UploadLifetime::default(),
            },
            commit: Commit { ingest, door: Some(door.clone()) },
            unlist: Unlist {
                table: table.clone(),
                objects: match settings.delete_behavior {
                    DeleteBehavior::Unlist => None,
                    DeleteBehavior::Delete => Some(objects.clone()),
                },
            },
            relist: Relist { table: table.clone() },
            index: Index::default(),
            versions: Versions::new(table.clone()),
            registration: Registration::new(releases.clone()),
            search: Search { finder: finder.clone() },
            web: Web { releases, objects: objects.clone(), finder, door, read_access },
            download: Download { table, objects, delivery: settings.delivery },
        }
    }

    /// Lets `verb` answer.
    pub async fn call(&self, verb: Verb, request: Request) -> Reply {
        match verb {
            Verb::Push => self.push.handle(request).await,
            Verb::Upload => self.upload.handle(request).await,
            Verb::Commit => self.commit.handle(request).await,
            Verb::Unlist => self.unlist.handle(request).await,
            Verb::Relist => self.relist.handle(request).await,
            Verb::Index => self.index.handle(request).await,
            Verb::Versions => self.versions.handle(request).await,
            Verb::Download => self.download.handle(request).await,
            Verb::Registration => self.registration.handle(request).await,
            Verb::Search => self.search.handle(request).await,
            Verb::Web => self.web.handle(request).await,
        }
    }
}
