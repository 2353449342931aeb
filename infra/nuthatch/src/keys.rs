//! `nuthatch key`: API keys in a data folder or on AWS.

use std::io::{self, Write as _};
use std::str::FromStr;

use access::{ApiKey, IdGlob, KeyName, KeyRecord, QuotaName, Scope};
use protocol::with_causes;
use store::{Table, TableError, timestamp};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime};

use crate::columns::{columns, day, listed, minute};
use crate::command::{KeyAction, Rotation};
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
    /// The key was replaced already.
    #[error("the key '{0}' was replaced by '{1}' already; rotate that one")]
    HasSuccessor(KeyName, KeyName),
    /// The key has expired or was revoked.
    #[error("the key '{0}' has expired or was revoked; make a new one with 'nuthatch key create'")]
    NotValid(KeyName),
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

/// A time in the past: so long ago, or at the start of a day (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(Expiry);

impl Moment {
    /// The time, seen from `now`.
    pub(crate) fn before(self, now: OffsetDateTime) -> OffsetDateTime {
        match self.0 {
            Expiry::In(span) => now.checked_sub(span).unwrap_or(OffsetDateTime::UNIX_EPOCH),
            Expiry::At(time) => time,
        }
    }
}

/// The text is not a time in the past.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time; write it like 30d, 12h or 2026-12-31")]
pub struct MomentError(String);

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        text.parse().map(Self).map_err(|_: ExpiryError| MomentError(text.to_owned()))
    }
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
            let by = place.operator().await;
            let key = create(&table, name.clone(), scopes, ids, expires, &by).await?;
            writeln!(io::stderr(), "Created the key '{name}'. It is shown only now:")?;
            writeln!(io::stdout(), "{}", key.reveal())?;
        }
        KeyAction::List { stale, place } => {
            let now = OffsetDateTime::now_utc();
            let mut keys = place.existing_table().await?.keys().await?;
            if let Some(Age(age)) = stale {
                let since = now.checked_sub(age).unwrap_or(OffsetDateTime::UNIX_EPOCH);
                keys.retain(|key| key.is_valid_at(now) && is_unused_since(key, since.date()));
            }
            write!(io::stdout(), "{}", listing(&keys, now))?;
        }
        KeyAction::Rotate(rotation) => {
            let table = rotation.place.existing_table().await?;
            let rotated = rotate(&table, &rotation, OffsetDateTime::now_utc()).await?;
            let Rotated { successor, ends, .. } = &rotated;
            writeln!(
                io::stderr(),
                "Created the key '{successor}'; '{}' works until {ends} (UTC). The new key is \
                 shown only now:",
                rotation.name
            )?;
            writeln!(io::stdout(), "{}", rotated.key.reveal())?;
        }
        KeyAction::Revoke { name, place } => {
            let by = place.operator().await;
            if !place.existing_table().await?.revoke_key(&name, &by).await? {
                return Err(KeyError::NoSuchKey(name));
            }
            writeln!(io::stderr(), "Revoked the key '{name}'. It stops working within a minute.")?;
        }
    }
    Ok(())
}

/// Creates a key on behalf of `by`, and stores its record, which holds only the key's hash.
///
/// # Errors
/// Its name is taken, or the table does not answer.
pub async fn create(
    table: &Table,
    name: KeyName,
    scopes: Vec<Scope>,
    ids: Vec<IdGlob>,
    expires: Option<OffsetDateTime>,
    by: &str,
) -> Result<ApiKey, KeyError> {
    if name.is_reserved() {
        return Err(KeyError::NameReserved(name));
    }
    let key = generate()?;
    let record = KeyRecord {
        quotas: quotas(table, &scopes, &ids).await?,
        scopes,
        ids,
        expires: expires.map(OffsetDateTime::unix_timestamp),
        ..KeyRecord::new(key.hash(), name.clone(), timestamp())
    };
    if !table.create_key(&record, by).await? {
        return Err(KeyError::NameTaken(name));
    }
    // A quota that was set meanwhile did not find this key, or this key did not find it.
    for quota in quotas(table, &record.scopes, &record.ids).await? {
        table.tell_key(record.clone(), &quota, true).await?;
    }
    Ok(key)
}

/// The quotas that pushes with these scopes and ids may be counted in.
async fn quotas(
    table: &Table,
    scopes: &[Scope],
    ids: &[IdGlob],
) -> Result<Vec<QuotaName>, TableError> {
    if !scopes.iter().any(|scope| matches!(scope, Scope::Push | Scope::Admin)) {
        return Ok(Vec::new());
    }
    Ok(table.quota_index().await?.of(ids))
}

fn generate() -> Result<ApiKey, KeyError> {
    ApiKey::generate().map_err(|error| KeyError::Random(error.to_string()))
}

/// The outcome of a rotation.
struct Rotated {
    /// The successor's secret.
    key: ApiKey,
    /// The successor's name.
    successor: KeyName,
    /// When the replaced key expires, to the minute.
    ends: String,
}

/// Creates a successor of a key that may do the same, and has the key expire after the
/// overlap, unless it expires sooner. If the key has a limited life, so has its successor.
async fn rotate(
    table: &Table,
    rotation: &Rotation,
    now: OffsetDateTime,
) -> Result<Rotated, KeyError> {
    let name = &rotation.name;
    let old = table.key_called(name).await?;
    let old = old.ok_or_else(|| KeyError::NoSuchKey(name.clone()))?;
    check_rotation(&old, now)?;
    let successor = rotation.successor.clone().unwrap_or_else(|| name.next());
    if successor.is_reserved() {
        return Err(KeyError::NameReserved(successor));
    }
    let created = OffsetDateTime::parse(&old.created, &Rfc3339).unwrap_or(now);
    let life = old.expires.map(|expires| expires - created.unix_timestamp());
    let expires = match rotation.expires {
        Some(expiry) => Some(expiry.at().unix_timestamp()),
        None => life.map(|life| now.unix_timestamp() + life),
    };
    let overlap = now.unix_timestamp().saturating_add(rotation.overlap.0.whole_seconds());
    let ends = old.expires.unwrap_or(overlap).min(overlap);
    let key = generate()?;
    let record = KeyRecord {
        scopes: old.scopes.clone(),
        ids: old.ids.clone(),
        quotas: old.quotas.clone(),
        expires,
        ..KeyRecord::new(key.hash(), successor.clone(), timestamp())
    };
    if table.rotate_key(&old, ends, &record, &rotation.place.operator().await).await? {
        return Ok(Rotated { key, successor, ends: minute(ends) });
    }
    // Another rotation or a revocation was faster, or the name is taken.
    check_rotation(&table.key_called(name).await?.unwrap_or(old), now)?;
    Err(KeyError::NameTaken(successor))
}

/// Whether a key can have a successor.
fn check_rotation(key: &KeyRecord, now: OffsetDateTime) -> Result<(), KeyError> {
    if let Some(successor) = &key.successor {
        return Err(KeyError::HasSuccessor(key.name.clone(), successor.clone()));
    }
    if !key.is_valid_at(now) {
        return Err(KeyError::NotValid(key.name.clone()));
    }
    Ok(())
}

/// Whether the key was neither used nor made on `day` or later.
fn is_unused_since(key: &KeyRecord, day: Date) -> bool {
    let last = key.used.as_deref().unwrap_or(key.created.as_str());
    // Days as text sort by time.
    last < day.to_string().as_str()
}

/// The keys as a table to read.
fn listing(keys: &[KeyRecord], now: OffsetDateTime) -> String {
    let head = ["NAME", "SCOPES", "IDS", "CREATED", "LAST USED", "EXPIRES", "STATE"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(keys.iter().map(|key| {
        let state = match (&key.revoked, &key.successor) {
            (Some(_), _) => "revoked".to_owned(),
            (None, _) if !key.is_valid_at(now) => "expired".to_owned(),
            (None, Some(successor)) => format!("valid, replaced by {successor}"),
            (None, None) => "valid".to_owned(),
        };
        [
            key.name.to_string(),
            listed(&key.scopes),
            listed(&key.ids),
            key.created.chars().take("yyyy-mm-dd".len()).collect(),
            key.used.clone().unwrap_or_else(|| "never".to_owned()),
            key.expires.map_or_else(|| "never".to_owned(), day),
            state,
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
    #[test]
    fn a_key_is_stale_by_its_last_use_or_else_by_its_making() {
        let hash = ApiKey::generate().unwrap().hash();
        let key = KeyRecord::new(hash, KeyName::owner(), "2026-08-29T12:00:00Z".to_owned());
        let day = time::macros::date!(2026 - 08 - 29);
        let next = time::macros::date!(2026 - 08 - 30);
        assert!(!is_unused_since(&key, day) && is_unused_since(&key, next));
        let used = KeyRecord { used: Some("2026-09-10".to_owned()), ..key };
        assert!(!is_unused_since(&used, time::macros::date!(2026 - 09 - 10)));
        assert!(is_unused_since(&used, time::macros::date!(2026 - 09 - 11)));
    }
}
