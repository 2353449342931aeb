//! POST to a version: lists it again.
//!
//! | answer | when |
//! |---|---|
//! | 200 | it is listed, now or already |
//! | 401, 403 | there is no key, or it is not good for the id |
//! | 404 | there is no such version |
//!
//! One AWS call.

use feed::{
    Aws, Caller, ConfigError, Environment, Listing, PathParameters, Refusal, Reply, Request, Scope,
    Table, TableName, package_version,
};
use http::StatusCode;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Relist {
    /// Where versions stand.
    pub table: Table,
}

impl Relist {
    /// The verb as a function's environment configures it.
    ///
    /// # Errors
    /// A setting is missing or wrong.
    pub fn from_environment(environment: &Environment<'_>, aws: Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb, environment.required(TableName::SETTING)?);
        Ok(Self { table })
    }

    /// Answers a POST.
    pub async fn handle(&self, request: Request) -> Reply {
        match self.relist(&request).await {
            Ok(()) => feed::status(StatusCode::OK),
            Err(refusal) => refusal.into(),
        }
    }

    async fn relist(&self, request: &Request) -> Result<(), Refusal> {
        let (id, version) = package_version(PathParameters::of(request).get("proxy"))?;
        let caller = Caller::of(request);
        let key = caller.key_for(&id, Scope::Unlist)?;
        match self.table.set_listed(&id, &version, true, key).await? {
            Listing::Changed | Listing::Unchanged => Ok(()),
            Listing::NoSuchVersion => Err(Refusal::NoSuchVersion { id, version }),
        }
    }
}
