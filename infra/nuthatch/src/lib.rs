//! The `nuthatch` command: the whole feed on one machine, its keys, and pushes of
//! any size to a feed anywhere.
//!
//! `serve` plays API Gateway's part: it takes routes, authorizer and gateway
//! responses from template.yaml and calls the same handlers that the functions
//! have. A route that is not in the template does not exist here either.

pub mod check;
pub mod client;
pub mod command;
pub mod engines;
pub mod gateway;
pub mod keys;
pub mod metrics;
pub mod push;
pub mod relay;
pub mod serve;
pub mod socket;
pub mod sources;
pub mod stack;
