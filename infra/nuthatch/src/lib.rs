//! The `nuthatch` command: the whole feed on one machine, its keys, and pushes of
//! any size to a feed anywhere.
//!
//! `serve` plays API Gateway's part: it calls the verbs that the functions are made of, at
//! the routes that they declare.

mod columns;
mod place;
mod query;
mod remote;
mod run;

pub mod check;
pub mod client;
pub mod command;
pub mod engines;
pub mod gateway;
pub mod identity;
pub mod keys;
pub mod log;
pub mod metrics;
pub mod packages;
pub mod plugin;
pub mod push;
pub mod quotas;
pub mod relay;
pub mod serve;
pub mod sign_in;
pub mod socket;
pub mod sources;
pub mod stack;
pub mod trusts;
pub mod usages;

pub use place::PlaceError;
pub use remote::RemoteError;
pub use run::run;
