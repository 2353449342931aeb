//! The command line.

mod trust;
mod usage;

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use ::trust::TrustName;
use access::{IdGlob, KeyName, Scope};
use clap::{Args, Parser, Subcommand};
use feed::{DeleteBehavior, PackageBytes, ReadAccess, SymbolAccess};
use nupkg::{PackageId, Version};
use protocol::BaseUrl;
use store::{BucketName, LogKind, TableName};

use crate::keys::{Age, Expiry, Moment};

pub use trust::{
    AwsIamOptions, AwsOptions, BuildkiteOptions, CircleciOptions, EntraOptions, GithubOptions,
    GitlabOptions, IssuerOptions, NewTrust, OidcOptions, PeopleOptions, TrustAction, TrustOptions,
};

pub use usage::{PackageAction, QuotaAction, QuotaOptions, Remote, UsageOptions};

/// A private NuGet feed without a server.
#[derive(Debug, Parser)]
#[command(name = "nuthatch", version, about)]
pub struct Command {
    /// The action.
    #[command(subcommand)]
    pub action: Action,
}

/// The actions of the command.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run the whole feed on this machine
    Serve(ServeOptions),
    /// Push packages of any size to a feed
    Push(PushOptions),
    /// Accept pushes of any size from stock clients on this machine, and pass them to a feed
    Relay(RelayOptions),
    /// Check that the table and the bucket agree; clean up, or rebuild a lost table
    Check(CheckOptions),
    /// Create, list, replace and revoke API keys
    #[command(subcommand)]
    Key(KeyAction),
    /// Trust workloads, which get short-lived keys for their identity tokens
    #[command(subcommand)]
    Trust(TrustAction),
    /// In a CI job: exchange its identity token for a short-lived key, and print that
    Token(TokenOptions),
    /// Show the changes of packages, and the acts on keys, trusts and quotas
    Log(LogOptions),
    /// Show what a month took: pushes, stored bytes, downloads, and their price
    Usage(UsageOptions),
    /// Limit how much may be pushed
    #[command(subcommand)]
    Quota(QuotaAction),
    /// Show packages
    #[command(subcommand)]
    Package(PackageAction),
    /// Sign in to a feed at your company's issuer: NuGet's plugin then has a key for you
    Login(LoginOptions),
    /// Forget your key for a feed
    Logout(LogoutOptions),
}

/// How the feed is served.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    pub listen: SocketAddr,
    /// The address that clients use, if it is not the listening address.
    #[arg(
        long,
        help = "The address that clients use, such as https://packages.example.org; \
                needed if it is not the listening address"
    )]
    pub url: Option<BaseUrl>,
    /// Access to packages: keys or anonymous
    #[arg(long, value_name = "WHO", default_value_t)]
    pub read_access: ReadAccess,
    /// Access to PDBs without a key: keys (nobody) or checksum (whoever has the assembly)
    #[arg(long, value_name = "WHO", default_value_t)]
    pub symbol_access: SymbolAccess,
    /// A file of certificates in PEM that issuers of identity tokens may have, besides those
    /// that the system trusts
    #[arg(long, value_name = "FILE")]
    pub issuer_authorities: Option<PathBuf>,
    /// Effect of DELETE on a version: unlist or delete
    #[arg(long, value_name = "WHAT", default_value_t)]
    pub delete_behavior: DeleteBehavior,
    /// The maximum size of a package in bytes [default: 1 GiB]
    #[arg(long, value_name = "BYTES")]
    pub max_package_bytes: Option<PackageBytes>,
    /// How many packages of more than 1 MiB may arrive at once, and sixteen times as many smaller
    /// ones; each takes up its size on the disk
    #[arg(long, value_name = "N", default_value = "32")]
    pub max_pushes: NonZeroUsize,
    /// How many packages may arrive at once with the same key
    #[arg(long, value_name = "N", default_value = "16")]
    pub max_pushes_per_key: NonZeroUsize,
    /// How many packages one key may push per minute; further pushes wait for their turn
    #[arg(long, value_name = "N", default_value = "6000")]
    pub max_pushes_per_minute: NonZeroU32,
    /// How many connections may be open at once
    #[arg(long, value_name = "N", default_value = "2048")]
    pub max_connections: NonZeroUsize,
    /// How many connections may be open at once from the same address
    #[arg(long, value_name = "N", default_value = "512")]
    pub max_connections_per_address: NonZeroUsize,
    /// A proxy that forwards requests of many clients, and names them in X-Forwarded-For
    /// (repeat for more)
    #[arg(long = "trusted-proxy", value_name = "ADDRESS")]
    pub trusted_proxies: Vec<IpAddr>,
    /// An extra address for monitoring, such as 127.0.0.1:9090: it serves the number of
    /// requests and their durations under /metrics, without asking for a key
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// Where the feed is.
    #[command(flatten)]
    pub place: Place,
    /// The S3 bucket that holds the packages on AWS
    #[arg(long, requires = "table")]
    pub bucket: Option<BucketName>,
}

/// A feed to push to.
#[derive(Debug, Args)]
pub struct Target {
    /// The feed: its address, or its name in nuget.config [default: the only one there, or
    /// defaultPushSource]
    #[arg(long, short)]
    pub source: Option<String>,
    /// Allow connections without TLS to a feed on another machine
    #[arg(long)]
    pub allow_insecure_connections: bool,
}

/// The options of a push.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are the command's flags")]
pub struct PushOptions {
    /// The packages: files, or patterns like 'out/**/*.nupkg'. The .snupkg beside a .nupkg is
    /// pushed, too
    #[arg(required = true, value_name = "PACKAGE")]
    pub packages: Vec<String>,
    /// The feed.
    #[command(flatten)]
    pub target: Target,
    /// The API key [default: the source's password in nuget.config]
    #[arg(long, short = 'k', env = "NUGET_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// In a CI job: the trust that exchanges the job's identity token for a key
    #[arg(long, value_name = "NAME")]
    pub trust: Option<TrustName>,
    /// Prove the AWS identity of the environment by a signature, for a trust of the kind aws-iam
    #[arg(long, requires = "trust")]
    pub aws_iam: bool,
    /// Skip versions that the feed already has
    #[arg(long)]
    pub skip_duplicate: bool,
    /// Do not push the .snupkg beside each .nupkg
    #[arg(long)]
    pub no_symbols: bool,
    /// How many packages are pushed at once
    #[arg(long, value_name = "N", default_value = "4")]
    pub parallel: NonZeroUsize,
    /// Print a line of JSON for each package
    #[arg(long)]
    pub json: bool,
}

/// The options of an exchange.
#[derive(Debug, Args)]
pub struct TokenOptions {
    /// The name of the trust
    pub name: TrustName,
    /// Prove the AWS identity of the environment by a signature, for a trust of the kind aws-iam
    #[arg(long)]
    pub aws_iam: bool,
    /// The feed.
    #[command(flatten)]
    pub target: Target,
    /// The audience to request the token for [default: the feed's address]
    #[arg(long)]
    pub audience: Option<String>,
}

/// The entries of the log to show.
#[derive(Debug, Args)]
pub struct LogOptions {
    /// Only changes of this package
    #[arg(long, value_name = "ID", value_parser = PackageId::parse)]
    pub package: Option<PackageId>,
    /// Only changes of this version
    #[arg(long)]
    pub version: Option<Version>,
    /// Only changes by the key of this name
    #[arg(long, value_name = "NAME")]
    pub key: Option<KeyName>,
    /// Only entries of this kind, such as pushed or key-revoked
    #[arg(long)]
    pub kind: Option<LogKind>,
    /// Where to begin: so long ago (30d, 12h), or at a day like 2026-12-31
    #[arg(long, value_name = "TIME", default_value = "30d")]
    pub since: Moment,
    /// Where to end [default: now]
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub until: Option<Moment>,
    /// Print a line of JSON for each entry
    #[arg(long)]
    pub json: bool,
    /// Go on to print new entries as they come
    #[arg(long)]
    pub follow: bool,
    /// Where the feed is.
    #[command(flatten)]
    pub place: Place,
    /// Where the feed is, for holders of a key.
    #[command(flatten)]
    pub remote: Remote,
}

/// The options of a sign-in.
#[derive(Debug, Args)]
pub struct LoginOptions {
    /// The feed's address
    pub feed: String,
    /// Do not ask whether the issuer is the right one
    #[arg(long)]
    pub yes: bool,
    /// Sign in with the AWS credentials of the environment, by a trust of the kind aws-iam
    #[arg(long, requires = "trust")]
    pub aws_iam: bool,
    /// The trust
    #[arg(long, value_name = "NAME", requires = "aws_iam")]
    pub trust: Option<TrustName>,
    /// Allow connections without TLS to a feed on another machine
    #[arg(long)]
    pub allow_insecure_connections: bool,
}

/// The options of a sign-out.
#[derive(Debug, Args)]
pub struct LogoutOptions {
    /// The feed's address
    pub feed: String,
}

/// How pushes are relayed.
#[derive(Debug, Args)]
pub struct RelayOptions {
    /// The address to listen on; it must be a loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The feed.
    #[command(flatten)]
    pub target: Target,
}

/// The options of a check.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are the command's flags")]
pub struct CheckOptions {
    /// Read and hash every package, instead of asking the bucket for its hash
    #[arg(long)]
    pub read: bool,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// Remove objects that nothing points to
    #[arg(long)]
    pub repair: bool,
    /// The minimum age of removed objects, such as 48h or 7d: longer than any push can take
    #[arg(long, value_name = "AGE", default_value = "48h", requires = "repair")]
    pub older_than: Age,
    /// Fill an empty table with the versions whose packages are in the bucket
    #[arg(long)]
    pub rebuild: bool,
    /// Where the feed is.
    #[command(flatten)]
    pub place: Place,
    /// The S3 bucket that holds the packages on AWS
    #[arg(long, requires = "table")]
    pub bucket: Option<BucketName>,
}

/// Where the feed is kept: in a folder of this machine, or on AWS.
#[derive(Debug, Args)]
pub struct Place {
    /// The folder that holds the feed
    #[arg(long, value_name = "DIR", default_value = "nuthatch-data", conflicts_with = "aws")]
    pub data: PathBuf,
    /// The stack on AWS that holds the feed's table and bucket
    #[arg(long, value_name = "NAME", group = "aws")]
    pub stack: Option<String>,
    /// The table that holds the feed on AWS.
    #[arg(long, group = "aws", help = "The DynamoDB table that holds the feed on AWS")]
    pub table: Option<TableName>,
    /// An endpoint other than AWS's own
    #[arg(long, value_name = "URL", requires = "aws")]
    pub endpoint_url: Option<String>,
}

/// The actions on keys.
#[derive(Debug, Subcommand)]
pub enum KeyAction {
    /// Create a key and print it; it is shown only this once
    Create {
        /// The name that the key goes by
        name: KeyName,
        /// Scope of the key: push, unlist, read or admin (repeat for more)
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
        /// The package ids that the key is valid for; '*' matches any text (repeat for more)
        #[arg(long = "id", value_name = "GLOB", default_value = "*")]
        ids: Vec<IdGlob>,
        /// When it expires: 90d, 12h or a day like 2030-12-31 [default: never]
        #[arg(long)]
        expires: Option<Expiry>,
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
    /// List the keys
    List {
        /// Only valid keys that were not used for this long, such as 90d
        #[arg(long, value_name = "AGE")]
        stale: Option<Age>,
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
    /// Replace a key: print a successor that may do the same; both work for a while
    Rotate(Rotation),
    /// Revoke a key; servers and functions notice within a minute
    Revoke {
        /// The key's name
        name: KeyName,
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
}

/// The replacement of a key.
#[derive(Debug, Args)]
pub struct Rotation {
    /// The key's name
    pub name: KeyName,
    /// How long the old key goes on working
    #[arg(long, value_name = "AGE", default_value = "7d")]
    pub overlap: Age,
    /// The successor's name [default: the name with the next number, such as ci-2]
    #[arg(long = "as", value_name = "NAME")]
    pub successor: Option<KeyName>,
    /// When the successor expires: 90d, 12h or a day like 2030-12-31 [default: after as long a
    /// life as the old key's]
    #[arg(long)]
    pub expires: Option<Expiry>,
    /// Where the feed is.
    #[command(flatten)]
    pub place: Place,
}
