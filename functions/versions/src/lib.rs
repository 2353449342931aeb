//! GET of a package's version list: what a restore asks first.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `{"versions": […]}`: listed and unlisted, normalized and lower-cased, ascending |
//! | 401 | reading needs a key |
//! | 404 | the feed has no such package, or not for this key |
//!
//! One AWS call per MB of versions.

use feed::{
    Aws, Caller, ConfigError, Environment, PathParameters, Refusal, Reply, Request, Table,
    TableName,
};
use nupkg::{PackageId, Version};
use serde_json::json;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Versions {
    /// Where versions stand.
    pub table: Table,
}

impl Versions {
    /// The verb as a function's environment configures it.
    ///
    /// # Errors
    /// A setting is missing or wrong.
    pub fn from_environment(environment: &Environment<'_>, aws: Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb, environment.required(TableName::SETTING)?);
        Ok(Self { table })
    }

    /// Answers a GET.
    pub async fn handle(&self, request: Request) -> Reply {
        match self.list(&request).await {
            Ok(versions) => {
                let versions: Vec<String> = versions.iter().map(Version::key).collect();
                feed::json(&json!({ "versions": versions }))
            }
            Err(refusal) => refusal.into(),
        }
    }

    async fn list(&self, request: &Request) -> Result<Vec<Version>, Refusal> {
        let id = PackageId::parse(PathParameters::of(request).get("id"))
            .map_err(|_| Refusal::NoSuchAddress)?;
        if !Caller::of(request).covers(&id) {
            return Err(Refusal::NoSuchPackage(id));
        }
        let versions = self.table.versions(&id).await?;
        if versions.is_empty() {
            return Err(Refusal::NoSuchPackage(id));
        }
        Ok(versions)
    }
}
