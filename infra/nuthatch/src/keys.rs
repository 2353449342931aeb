//! `nuthatch key`: API keys in a data folder or on AWS.

use std::io::{self, Write as _};
use std::str::FromStr;

use access::{ApiKey, IdGlob, KeyName, KeyRecord, Scope};
use protocol::with_causes;
use store::{Table, TableError, timestamp};
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime};

use crate::columns::{columns, day, listed};
use crate::command::KeyAction;
use crate::place::PlaceError;

/// A key command failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no feed in the place that was named.
    #[error(transparent)]
    Place(#[from] PlaceError),
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
            let table = place.table().await?;
            let expires = expires.map(Expiry::at);
            let key = create(&table, name.clone(), scopes, ids, expires).await?;
            writeln!(io::stderr(), "Created the key '{name}'. It is shown only now:")?;
            writeln!(io::stdout(), "{}", key.reveal())?;
        }
        KeyAction::List { place } => {
            let keys = place.existing_table().await?.keys().await?;
            write!(io::stdout(), "{}", listing(&keys, OffsetDateTime::now_utc()))?;
        }
        KeyAction::Revoke { name, place } => {
            if !place.existing_table().await?.revoke_key(&name).await? {
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

/// The keys as a table to read.
fn listing(keys: &[KeyRecord], now: OffsetDateTime) -> String {
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
            listed(&key.scopes),
            listed(&key.ids),
            key.created.chars().take("yyyy-mm-dd".len()).collect(),
            key.expires.map_or_else(|| "never".to_owned(), day),
            state.to_owned(),
        ]
    }));
    columns(&rows)
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
