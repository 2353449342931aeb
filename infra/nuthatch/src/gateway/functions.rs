//! The functions behind the gateway.

use authorize::Authorize;
use download::{Delivery, Download};
use feed::{
    Aws, BucketName, DeleteBehavior, Objects, PackageBytes, ReadAccess, Reply, Request, Spooling,
    Table, TableName,
};
use index::Index;
use push::Push;
use relist::Relist;
use unlist::Unlist;
use versions::Versions;

/// A function that answers requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// PUT of a package.
    Push,
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
}

impl Verb {
    /// The verb whose code stands in this folder of the repository.
    #[must_use]
    pub fn of_folder(folder: &str) -> Option<Self> {
        match folder {
            "functions/push" => Some(Self::Push),
            "functions/unlist" => Some(Self::Unlist),
            "functions/relist" => Some(Self::Relist),
            "functions/index" => Some(Self::Index),
            "functions/versions" => Some(Self::Versions),
            "functions/download" => Some(Self::Download),
            _ => None,
        }
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
    /// How packages are given out.
    pub delivery: Delivery,
}

/// All functions of the feed.
#[derive(Debug)]
pub struct Functions {
    /// The authorizer.
    pub authorize: Authorize,
    push: Push,
    unlist: Unlist,
    relist: Relist,
    index: Index,
    versions: Versions,
    download: Download,
}

impl Functions {
    /// The functions on top of `aws`.
    #[must_use]
    pub fn new(aws: &Aws, settings: &Settings) -> Self {
        let table = Table::new(aws.dynamodb.clone(), settings.table.clone());
        let objects = Objects::new(aws.s3.clone(), settings.bucket.clone());
        Self {
            authorize: Authorize::new(table.clone(), settings.read_access),
            push: Push {
                table: table.clone(),
                objects: objects.clone(),
                spooling: settings.spooling.clone(),
                package_bytes: settings.package_bytes,
                limits: nupkg::Limits::default(),
            },
            unlist: Unlist {
                table: table.clone(),
                objects: match settings.delete_behavior {
                    DeleteBehavior::Unlist => None,
                    DeleteBehavior::Delete => Some(objects.clone()),
                },
            },
            relist: Relist { table: table.clone() },
            index: Index,
            versions: Versions { table: table.clone() },
            download: Download { table, objects, delivery: settings.delivery },
        }
    }

    /// Lets `verb` answer.
    pub async fn call(&self, verb: Verb, request: Request) -> Reply {
        match verb {
            Verb::Push => self.push.handle(request).await,
            Verb::Unlist => self.unlist.handle(request).await,
            Verb::Relist => self.relist.handle(request).await,
            Verb::Index => self.index.handle(request).await,
            Verb::Versions => self.versions.handle(request).await,
            Verb::Download => self.download.handle(request).await,
        }
    }
}
