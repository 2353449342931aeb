//! Where a feed is kept: in a data folder, or in a table on AWS.

use std::env;
use std::path::PathBuf;

use aws_config::SdkConfig;
use store::{Aws, BucketName, Ledger, Objects, Table, TableName};

use crate::command::Place;
use crate::engines::{DataFolder, EngineError, dynamodb_client};
use crate::query;
use crate::stack::{OnAws, StackError};

/// There is no feed in the place that was named.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The table and bucket of the stack cannot be looked up.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The data folder does not exist.
    #[error("there is no feed in '{}'; name its folder with --data", .0.display())]
    NoFeed(PathBuf),
    /// A table without a bucket.
    #[error("--table needs --bucket; name the bucket that holds the packages")]
    NoBucket,
}

impl Place {
    /// The table of an existing feed: if the folder is mistyped, it is not created.
    pub(crate) async fn existing_table(&self) -> Result<Table, PlaceError> {
        if self.table.is_none() && self.stack.is_none() && !self.data.exists() {
            return Err(PlaceError::NoFeed(self.data.clone()));
        }
        self.table().await
    }

    /// The person who runs the command, for the log: on AWS an ARN, or the id of the access key
    /// where STS does not answer; in front of a data folder the name of the system's user, as the
    /// environment has it.
    pub(crate) async fn operator(&self) -> String {
        if self.table.is_some() || self.stack.is_some() {
            let config = aws_config(self.endpoint_url.as_deref()).await;
            return query::caller(&config).await;
        }
        let names = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"].into_iter();
        let name = names.filter_map(|name| env::var(name).ok()).find(|name| !name.is_empty());
        name.map_or_else(|| "unknown".to_owned(), |name| trust::printable(&name))
    }

    /// The ledger of an existing feed, whose bucket on AWS is `bucket` if no stack names it.
    pub(crate) async fn ledger(&self, bucket: Option<&BucketName>) -> Result<Ledger, PlaceError> {
        if let Some(names) = OnAws::at(self).await? {
            let bucket = names.bucket.or_else(|| bucket.cloned()).ok_or(PlaceError::NoBucket)?;
            let aws = aws(self.endpoint_url.as_deref()).await;
            let table = Table::new(aws.dynamodb, names.table);
            return Ok(Ledger { table, objects: Objects::new(aws.s3, bucket) });
        }
        let table = self.existing_table().await?;
        let objects = DataFolder::open(&self.data)?.objects()?;
        Ok(Ledger { table, objects })
    }

    /// The feed's table.
    pub(crate) async fn table(&self) -> Result<Table, PlaceError> {
        if let Some(names) = OnAws::at(self).await? {
            let aws = aws(self.endpoint_url.as_deref()).await;
            return Ok(Table::new(aws.dynamodb, names.table));
        }
        let engine = DataFolder::open(&self.data)?.dynamodb().await?;
        Ok(Table::new(dynamodb_client(engine), TableName::default()))
    }
}

/// Clients for the account that the environment names, at another endpoint
/// where one is given.
pub(crate) async fn aws(endpoint_url: Option<&str>) -> Aws {
    Aws::new(&aws_config(endpoint_url).await)
}

/// The account's configuration in the environment, with another endpoint where one is given.
pub(crate) async fn aws_config(endpoint_url: Option<&str>) -> SdkConfig {
    let mut config = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12());
    if let Some(url) = endpoint_url {
        config = config.endpoint_url(url);
    }
    config.load().await
}
