//! The command line of usage, quotas and packages.

use std::path::PathBuf;

use access::{IdGlob, KeyName, QuotaName};
use clap::{Args, Subcommand};
use nupkg::PackageId;
use store::BucketName;
use usage::{ByteSize, Grouping, Month};

use super::Place;

/// A feed that is asked by its address, in place of one that is opened.
#[derive(Debug, Args)]
pub struct Remote {
    /// Ask a feed by its address, or by its name in nuget.config: you see the packages of your key
    #[arg(long, short, conflicts_with_all = ["data", "aws"])]
    pub source: Option<String>,
    /// The API key for --source [default: the source's password in nuget.config]
    #[arg(long, short = 'k', env = "NUGET_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Allow connections without TLS to a feed on another machine
    #[arg(long, requires = "source")]
    pub allow_insecure_connections: bool,
}

/// The options of a report of usage.
#[derive(Debug, Args)]
pub struct UsageOptions {
    /// The month, such as 2026-11 [default: the present one]
    #[arg(long)]
    pub month: Option<Month>,
    /// The rows: key, id-prefix (the part of ids before the first dot), id, day or verb
    #[arg(long, value_name = "GROUPING", default_value_t)]
    pub by: Grouping,
    /// A file of prices in TOML, for the amounts that the figures come to
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Where the feed is.
    #[command(flatten)]
    pub place: Place,
    /// The S3 bucket that holds the packages on AWS
    #[arg(long, requires = "table")]
    pub bucket: Option<BucketName>,
    /// Where the feed is, for holders of a key.
    #[command(flatten)]
    pub remote: Remote,
}

/// The actions on quotas.
#[derive(Debug, Subcommand)]
pub enum QuotaAction {
    /// Limit how much is pushed with a key, or to packages; or change the limits
    Set(QuotaOptions),
    /// List the quotas, and how much of them is taken
    List {
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
    /// Remove a quota; keys notice within a minute
    Remove {
        /// Its name
        name: QuotaName,
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
}

/// A quota.
#[derive(Debug, Args)]
#[group(id = "subject", args = ["key", "id"], required = true, multiple = false)]
#[group(id = "limit", args = ["bytes", "pushes_per_day", "package_bytes"], required = true, multiple = true)]
pub struct QuotaOptions {
    /// Its name
    pub name: QuotaName,
    /// The key that it is for, with its successors
    #[arg(long, value_name = "NAME")]
    pub key: Option<KeyName>,
    /// The packages that it is for; '*' matches any text
    #[arg(long, value_name = "GLOB")]
    pub id: Option<IdGlob>,
    /// The bytes that may be stored, such as 50GB
    #[arg(long, value_name = "BYTES")]
    pub bytes: Option<ByteSize>,
    /// The packages that may be pushed on a day (UTC)
    #[arg(long, value_name = "N")]
    pub pushes_per_day: Option<u32>,
    /// The bytes of the largest package, such as 200MB
    #[arg(long, value_name = "BYTES")]
    pub package_bytes: Option<ByteSize>,
    /// Where the feed is.
    #[command(flatten)]
    pub place: Place,
    /// The S3 bucket that holds the packages on AWS
    #[arg(long, requires = "table")]
    pub bucket: Option<BucketName>,
}

/// The actions on packages.
#[derive(Debug, Subcommand)]
pub enum PackageAction {
    /// Show a package's versions: when they were pushed and by which key, and their downloads
    Show {
        /// The package
        #[arg(value_parser = PackageId::parse)]
        id: PackageId,
        /// Print a line of JSON for each version
        #[arg(long)]
        json: bool,
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
}
