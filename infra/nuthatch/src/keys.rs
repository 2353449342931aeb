//! `nuthatch key`: API keys in a data folder or on AWS.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;

use access::{ApiKey, IdGlob, KeyName, KeyRecord, Scope};
use aws_config::SdkConfig;
use store::{Aws, Table, TableError, TableName, timestamp};
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime};

use crate::command::{KeyAction, Place};
use crate::engines::{DataFolder, EngineError, dynamodb_client};
use crate::stack::{OnAws, StackError};

/// A key command failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The table and bucket of the stack cannot be looked up.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The data folder does not exist.
    #[error("there is no feed in '{}'; name its folder with --data", .0.display())]
    NoFeed(PathBuf),
    /// The table does not answer.
    #[error("{}", with_causes(.0))]
    Table(#[from] TableError),
    /// The name is taken.
    #[error("there is a key '{0}' already; choose another name (a revoked key keeps its name)")]
    NameTaken(KeyName),
    /// There is no such key.
    #[error("there is no key '{0}'; see 'nuthatch key list'")]
    NoSuchKey(KeyName),
    /// The name is reserved, because it has a meaning in the log and in the table.
    #[error("'{0}' is not a name for a key, as it means something else in the log; choose another")]
    NameReserved(KeyName),
    /// There are no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// When a key expires: after a number of days or hours, or at the start of a day (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// After this much time.
    In(Duration),
    /// At that time.
    At(OffsetDateTime),
}

/// A time span like `48h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(pub Duration);

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        match text.parse() {
            Ok(Expiry::In(age)) => Ok(Self(age)),
            _ => Err(AgeError(text.to_owned())),
        }
    }
}

/// The text is not a time span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time span; write it like 48h or 7d")]
pub struct AgeError(String);

/// The text is not an expiry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time to expire; write it like 90d, 12h or 2030-12-31")]
pub struct ExpiryError(String);

impl FromStr for Expiry {
    type Err = ExpiryError;

    fn from_str(text: &str) -> Result<Self, ExpiryError> {
        let error = || ExpiryError(text.to_owned());
        let number = |text: &str| text.parse::<u32>().map_err(|_| error());
        if let Some(days) = text.strip_suffix('d') {
            return Ok(Self::In(Duration::days(number(days)?.into())));
        }
        if let Some(hours) = text.strip_suffix('h') {
            return Ok(Self::In(Duration::hours(number(hours)?.into())));
        }
        let day = Date::parse(text, format_description!("[year]-[month]-[day]"));
        Ok(Self::At(day.map_err(|_| error())?.midnight().assume_utc()))
    }
}

impl Expiry {
    fn at(self) -> OffsetDateTime {
        match self {
            Self::In(duration) => {
                let now = OffsetDateTime::now_utc();
                now.checked_add(duration).unwrap_or(now)
            }
            Self::At(time) => time,
        }
    }
}

/// Runs a key command.
///
/// # Errors
/// The command failed.
pub async fn run(action: KeyAction) -> Result<(), KeyError> {
    match action {
        KeyAction::Create { name, scopes, ids, expires, place } => {
            let table = table(&place).await?;
            let expires = expires.map(Expiry::at);
            let key = create(&table, name.clone(), scopes, ids, expires).await?;
            writeln!(io::stderr(), "Created the key '{name}'. It is shown only now:")?;
            writeln!(io::stdout(), "{}", key.reveal())?;
        }
        KeyAction::List { place } => {
            let keys = existing_table(&place).await?.keys().await?;
            write!(io::stdout(), "{}", listing(&keys, OffsetDateTime::now_utc()))?;
        }
        KeyAction::Revoke { name, place } => {
            if !existing_table(&place).await?.revoke_key(&name).await? {
                return Err(KeyError::NoSuchKey(name));
            }
            writeln!(io::stderr(), "Revoked the key '{name}'. It stops working within a minute.")?;
        }
    }
    Ok(())
}

/// Creates a key, and stores its record, which holds only the key's hash.
///
/// # Errors
/// Its name is taken, or the table does not answer.
pub async fn create(
    table: &Table,
    name: KeyName,
    scopes: Vec<Scope>,
    ids: Vec<IdGlob>,
    expires: Option<OffsetDateTime>,
) -> Result<ApiKey, KeyError> {
    if name.is_reserved() {
        return Err(KeyError::NameReserved(name));
    }
    let key = ApiKey::generate().map_err(|error| KeyError::Random(error.to_string()))?;
    let record = KeyRecord {
        hash: key.hash(),
        name: name.clone(),
        scopes,
        ids,
        created: timestamp(),
        expires: expires.map(OffsetDateTime::unix_timestamp),
        revoked: None,
    };
    if table.create_key(&record).await? { Ok(key) } else { Err(KeyError::NameTaken(name)) }
}

/// The table of an existing feed: if the folder is mistyped, it is not created.
async fn existing_table(place: &Place) -> Result<Table, KeyError> {
    if place.table.is_none() && place.stack.is_none() && !place.data.exists() {
        return Err(KeyError::NoFeed(place.data.clone()));
    }
    table(place).await
}

/// The feed's table, in the place that the options name.
async fn table(place: &Place) -> Result<Table, KeyError> {
    if let Some(names) = OnAws::at(place).await? {
        let aws = aws(place.endpoint_url.as_deref()).await;
        return Ok(Table::new(aws.dynamodb, names.table));
    }
    let engine = DataFolder::open(&place.data)?.dynamodb().await?;
    Ok(Table::new(dynamodb_client(engine), TableName::default()))
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

/// The keys as a table to read.
fn listing(keys: &[KeyRecord], now: OffsetDateTime) -> String {
    let joined = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(",");
    let mut rows =
        vec![["NAME", "SCOPES", "IDS", "CREATED", "EXPIRES", "STATE"].map(str::to_owned)];
    rows.extend(keys.iter().map(|key| {
        let state = match &key.revoked {
            Some(_) => "revoked",
            None if key.is_valid_at(now) => "valid",
            None => "expired",
        };
        [
            key.name.to_string(),
            joined(&mut key.scopes.iter().map(ToString::to_string)),
            joined(&mut key.ids.iter().map(ToString::to_string)),
            key.created.chars().take("yyyy-mm-dd".len()).collect(),
            key.expires.map_or_else(|| "never".to_owned(), day),
            state.to_owned(),
        ]
    }));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    rows.iter().fold(String::new(), |mut text, row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

fn day(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "?".to_owned(), |time| time.date().to_string())
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_duration_or_a_day() {
        assert_eq!("90d".parse(), Ok(Expiry::In(Duration::days(90))));
        assert_eq!("12h".parse(), Ok(Expiry::In(Duration::hours(12))));
        let day = time::macros::datetime!(2030-12-31 0:00 UTC);
        assert_eq!("2030-12-31".parse(), Ok(Expiry::At(day)));
        for text in ["", "d", "-1d", "1.5d", "tomorrow", "2030-13-01"] {
            assert!(text.parse::<Expiry>().is_err(), "{text}");
        }
    }
}
