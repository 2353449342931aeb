//! The context that verbs are made from.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::{ConfigError, Environment};
use store::{Aws, BucketName, Objects, Parts, Releases, Table, TableName};

use crate::{Hosting, KeyCache};

/// Settings, the host, the AWS clients, and the parts that the verbs of one process share.
#[derive(Debug)]
pub struct Context {
    /// The settings; each verb reads those that it needs.
    pub environment: Environment,
    /// The host.
    pub hosting: Hosting,
    /// The clients; `None` for a verb that keeps nothing.
    aws: Option<Aws>,
    shared: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Context {
    /// A context in which nothing is shared yet.
    #[must_use]
    pub fn new(environment: Environment, hosting: Hosting, aws: Aws) -> Self {
        Self { environment, hosting, aws: Some(aws), shared: Mutex::default() }
    }

    /// The context of a verb that keeps nothing: no table, no bucket.
    #[must_use]
    pub fn without_stores(environment: Environment, hosting: Hosting) -> Self {
        Self { environment, hosting, aws: None, shared: Mutex::default() }
    }

    /// The feed's table.
    ///
    /// # Errors
    /// The setting that names it is missing.
    pub fn table(&self) -> Result<Table, ConfigError> {
        let name = self.environment.required(TableName::SETTING)?;
        let table = Table::new(self.aws()?.dynamodb.clone(), name);
        let Hosting { visibility, revisions, clock, .. } = &self.hosting;
        Ok(table.with(*visibility).counted_by(revisions.clone()).by_clock(clock.clone()))
    }

    /// The feed's bucket. It stores large packages in parts as the host says, or else in
    /// `parts`.
    ///
    /// # Errors
    /// The setting that names it is missing.
    pub fn objects_in(&self, parts: Parts) -> Result<Objects, ConfigError> {
        let objects = Objects::new(self.aws()?.s3.clone(), self.bucket()?);
        Ok(objects.in_parts(self.hosting.parts.unwrap_or(parts)))
    }

    /// The feed's bucket.
    ///
    /// # Errors
    /// The setting that names it is missing.
    pub fn objects(&self) -> Result<Objects, ConfigError> {
        self.objects_in(Parts::default())
    }

    /// The feed's bucket as clients reach it.
    ///
    /// # Errors
    /// The setting that names it is missing.
    pub fn public_objects(&self) -> Result<Objects, ConfigError> {
        match &self.hosting.public_bucket {
            Some(public) => {
                let objects = Objects::new(public.client.clone(), self.bucket()?);
                Ok(objects.mounted_at(&public.mount))
            }
            None => self.objects(),
        }
    }

    /// The cache of keys.
    ///
    /// # Errors
    /// The setting that names the table is missing.
    pub fn keys(&self) -> Result<KeyCache, ConfigError> {
        self.shared(|| Ok(KeyCache::new(self.table()?)))
    }

    /// The cache of keys for a second check before a commit, if the host wants one.
    ///
    /// # Errors
    /// The setting that names the table is missing.
    pub fn keys_to_ask_again(&self) -> Result<Option<KeyCache>, ConfigError> {
        self.hosting.asks_again.then(|| self.keys()).transpose()
    }

    /// The memory of packages.
    ///
    /// # Errors
    /// The setting that names the table is missing.
    pub fn releases(&self) -> Result<Releases, ConfigError> {
        self.shared(|| Ok(Releases::new(self.table()?)))
    }

    /// The single `T` of this process, made on first use: search and pages share one index,
    /// and all verbs share one memory of keys.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn shared<T>(&self, make: impl FnOnce() -> Result<T, ConfigError>) -> Result<T, ConfigError>
    where
        T: Clone + Send + Sync + 'static,
    {
        let known = |made: &HashMap<TypeId, Arc<dyn Any + Send + Sync>>| {
            made.get(&TypeId::of::<T>()).and_then(|one| one.downcast_ref::<T>()).cloned()
        };
        if let Some(one) = known(&self.shared.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(one);
        }
        let one = make()?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.insert(TypeId::of::<T>(), Arc::new(one.clone()));
        Ok(one)
    }

    fn aws(&self) -> Result<&Aws, ConfigError> {
        self.aws.as_ref().ok_or(ConfigError::WithoutStores)
    }

    fn bucket(&self) -> Result<BucketName, ConfigError> {
        self.environment.required(BucketName::SETTING)
    }
}
