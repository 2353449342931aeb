//! The parts that the end-to-end tests share: packages built to order, a feed in the
//! process, and a look at every call that reaches its engines.

mod authorizers;
mod client;
mod connection;
mod contents;
mod deployed;
mod dice;
mod engine_server;
mod faults;
mod feed;
mod host;
mod idle;
mod issuer;
mod lambda;
mod large;
mod listen;
mod loader;
mod nuget;
pub mod prices;
mod recorder;
mod sandboxes;
mod server;
mod sts;
mod template;
mod tls;
mod turns;

pub use client::{Answer, Client, framed, key_header};
pub use connection::Connection;
pub use contents::contents;
pub use deployed::Deployed;
pub use dice::Dice;
pub use engine_server::{Bill, EngineServer, Use};
pub use faults::{Fault, Faults};
pub use feed::{FeedOptions, TestFeed, functions_on, is_mark};
pub use host::{Host, Relay};
pub use idle::Idle;
pub use issuer::{GIVEN_ISSUER, Page, TestIssuer, github, given_trust};
pub use lambda::{ADDRESS, LambdaGateway, rest_event, verb};
pub use large::{noise, write_large_package};
pub use loader::{Loader, commit};
pub use nuget::INSTALL_OPTIONS;
pub use packages::{
    AssemblyBuilder, CorpusPackage, Entry, PackageBuilder, Pdb, SymbolsPair, corpus, nuspec,
    symbols, symbols_corpus,
};
pub use recorder::Recorder;
pub use sandboxes::{
    FunctionError, Sandbox, Sandboxes, bootstrap, environment_of, functions, variables_of,
};
pub use server::{Server, nuthatch, run, send_to, try_send_to};
pub use sts::{AwsIdentity, TestSts};
pub use template::TemplateRoute;
pub use turns::{Actor, Order, Turns};
