//! AWS identities without a token: the caller presigns a `GetCallerIdentity`, and AWS names
//! the signer. For accounts that issue no web identity tokens.
//!
//! The request that is sent is built here from its checked parts, and the name of the feed that
//! it is for is among the signed headers: a request that was signed for somebody else does not
//! hold. <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};
use time::macros::format_description;
use time::{Date, PrimitiveDateTime};

use crate::{Claims, Denial, TokenId, json};

/// The start of the text that carries a presigned request in place of a token.
const PREFIX: &str = "nuthatch-aws-v1.";
/// The signed header that names the feed.
pub const FEED_HEADER: &str = "x-nuthatch-feed";
/// The characters that AWS writes as they are.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The Regions whose endpoints of STS are asked. A name from outside is never one to connect to.
const REGIONS: [&str; 36] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The text is not a presigned request that the feed passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PresignedError {
    /// It is longer than any such request.
    #[error("it has more than 4 KiB")]
    TooLong,
    /// It is not encoded as it must be.
    #[error("it is not Base64url without padding")]
    NotBase64,
    /// It does not go to STS in a Region that is known here.
    #[error("it is not to https://sts.REGION.amazonaws.com/ of a Region that the feed knows")]
    Host,
    /// A parameter is unknown, occurs twice, or cannot be read.
    #[error("it has parameters other than those of a presigned GetCallerIdentity, each once")]
    Parameters,
    /// A parameter is missing, or has a value that it may not have.
    #[error("its parameter {0} is missing or wrong")]
    Parameter(&'static str),
}

/// A presigned request, checked part by part. Nothing in it is proven before AWS has answered.
pub struct PresignedIdentity {
    region: &'static str,
    /// The parameters but the signature, in the order in which they are signed.
    parameters: Vec<(&'static str, String)>,
    signature: String,
    /// When it was signed, in seconds since 1970.
    signed: i64,
}

impl PresignedIdentity {
    /// The longest request in bytes.
    const MOST: usize = 4 * 1024;
    /// For how long it is taken after it was signed, and before, in seconds. AWS itself takes
    /// it for 15 minutes.
    const FRESH: i64 = 60;

    /// The text that carries the request at `url`.
    #[must_use]
    pub fn text(url: &str) -> String {
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(url))
    }

    /// The request in `text`; `None` if the text is something else, such as a token.
    ///
    /// # Errors
    /// It is not such a request as the feed passes on.
    pub fn read(text: &str) -> Option<Result<Self, PresignedError>> {
        text.strip_prefix(PREFIX).map(Self::decode)
    }

    fn decode(encoded: &str) -> Result<Self, PresignedError> {
        if encoded.len() > Self::MOST * 4 / 3 {
            return Err(PresignedError::TooLong);
        }
        let url = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| PresignedError::NotBase64)?;
        let url = String::from_utf8(url).map_err(|_| PresignedError::Host)?;
        let (host, query) = url
            .strip_prefix("https://")
            .and_then(|rest| rest.split_once("/?"))
            .ok_or(PresignedError::Host)?;
        let region = REGIONS.into_iter().find(|region| host == sts(region));
        Self::of(region.ok_or(PresignedError::Host)?, query)
    }

    fn of(region: &'static str, query: &str) -> Result<Self, PresignedError> {
        let mut given = Parameters::of(query)?;
        let day = given.credential(region)?;
        let signed = given.check("X-Amz-Date", |date| parsed(date).is_some())?;
        let signed = parsed(&signed).filter(|(of_day, _)| *of_day == day);
        let (_, signed) = signed.ok_or(PresignedError::Parameter("X-Amz-Date"))?;
        given.check("Action", |action| action == "GetCallerIdentity")?;
        given.check("Version", |version| version == "2011-06-15")?;
        given.check("X-Amz-Algorithm", |algorithm| algorithm == "AWS4-HMAC-SHA256")?;
        given.check("X-Amz-Expires", |seconds| {
            seconds.parse().is_ok_and(|seconds: u16| (1..=900).contains(&seconds))
        })?;
        given.check("X-Amz-SignedHeaders", |names| names == format!("host;{FEED_HEADER}"))?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let signature = given.check("X-Amz-Signature", |signature| {
            signature.len() == 64 && signature.bytes().all(is_hex)
        })?;
        given.0.retain(|(name, _)| *name != "X-Amz-Signature");
        Ok(Self { region, parameters: given.0, signature, signed })
    }

    /// The address to ask, with a GET that names the feed in [`FEED_HEADER`].
    #[must_use]
    pub fn address(&self) -> String {
        let mut query = String::new();
        for (name, value) in &self.parameters {
            query.push_str(name);
            query.push('=');
            query.extend(utf8_percent_encode(value, ENCODED));
            query.push('&');
        }
        let host = sts(self.region);
        format!("https://{host}/?{query}X-Amz-Signature={}", self.signature)
    }

    /// The id that it has once for all: its signature.
    #[must_use]
    pub fn id(&self) -> TokenId {
        TokenId::of(&format!("{PREFIX}{}", self.signature))
    }

    /// How long it is to be remembered after it was exchanged: until this time, in seconds
    /// since 1970, and an hour more, in case a clock is turned back.
    #[must_use]
    pub fn remembered_until(&self) -> i64 {
        self.signed.saturating_add(Self::FRESH + 60 * 60)
    }

    /// Checks that it was signed about `now`, in seconds since 1970.
    ///
    /// # Errors
    /// It was signed earlier or later.
    pub fn check_time(&self, now: i64) -> Result<(), Denial> {
        if self.signed < now.saturating_sub(Self::FRESH) {
            return Err(Denial::Expired);
        }
        if self.signed > now.saturating_add(Self::FRESH) {
            return Err(Denial::NotYetValid);
        }
        Ok(())
    }

    /// The identity in an answer of STS, as claims: `account`, `principal_id` and `arn`.
    /// `None` if it is not such an answer.
    #[must_use]
    pub fn claims(answer: &[u8]) -> Option<Claims> {
        let document = json::object(answer).ok()?;
        let result = document.get("GetCallerIdentityResponse")?.get("GetCallerIdentityResult")?;
        let member = |name: &str| result.get(name).and_then(Value::as_str);
        // The callers of a role choose the name after the colon.
        let user_id = member("UserId")?;
        let principal_id = user_id.split_once(':').map_or(user_id, |(principal, _)| principal);
        let claims = [
            ("account", member("Account")?),
            ("principal_id", principal_id),
            ("arn", member("Arn")?),
        ];
        let claims = claims.map(|(name, value)| (name.to_owned(), Value::from(value)));
        Some(Claims(Map::from_iter(claims)))
    }
}

impl fmt::Debug for PresignedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresignedIdentity(…)")
    }
}

/// The host of STS in a Region.
fn sts(region: &str) -> String {
    format!("sts.{region}.amazonaws.com")
}

/// The parameters of a presigned request, by the names that AWS gives them, sorted.
struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    const NAMES: [&str; 9] = [
        "Action",
        "Version",
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
    ];

    fn of(query: &str) -> Result<Self, PresignedError> {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').ok_or(PresignedError::Parameters)?;
            let name = Self::NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
            let name = name.ok_or(PresignedError::Parameters)?;
            if found.iter().any(|(known, _)| *known == name) {
                return Err(PresignedError::Parameters);
            }
            let value = decoded(value).ok_or(PresignedError::Parameters)?;
            found.push((name, value));
        }
        found.sort_unstable();
        Ok(Self(found))
    }

    /// The value of the parameter `name`, if it is as it must be.
    fn check(
        &self,
        name: &'static str,
        is_right: impl Fn(&str) -> bool,
    ) -> Result<String, PresignedError> {
        let found = self.0.iter().find(|(known, value)| *known == name && is_right(value));
        found.map(|(_, value)| value.clone()).ok_or(PresignedError::Parameter(name))
    }

    /// The day that the credential is for, which must be one of STS in this Region.
    fn credential(&self, region: &str) -> Result<Date, PresignedError> {
        let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let day = |credential: &str| {
            let mut parts = credential.split('/');
            let (key, day) = (parts.next()?, parts.next()?);
            let is_key = (16..=128).contains(&key.len()) && key.bytes().all(is_upper);
            let scope = [region, "sts", "aws4_request"];
            (is_key && parts.eq(scope)).then_some(())?;
            Date::parse(day, format_description!("[year][month][day]")).ok()
        };
        let name = "X-Amz-Credential";
        let credential = self.check(name, |credential| day(credential).is_some())?;
        day(&credential).ok_or(PresignedError::Parameter(name))
    }
}

/// A value that is encoded as AWS does it: only unreserved characters stand for themselves.
fn decoded(value: &str) -> Option<String> {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%');
    if !value.bytes().all(is_plain) {
        return None;
    }
    let decoded = percent_decode_str(value).decode_utf8().ok()?;
    // A percent sign that encodes nothing would come back as another text.
    let again: String = utf8_percent_encode(&decoded, ENCODED).collect();
    again.eq_ignore_ascii_case(value).then(|| decoded.into_owned())
}

/// The day and the second of a date like `20261231T235959Z`.
fn parsed(date: &str) -> Option<(Date, i64)> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = PrimitiveDateTime::parse(date, format).ok()?;
    Some((time.date(), time.assume_utc().unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600;
    const QUERY: &str = "Action=GetCallerIdentity&Version=2011-06-15\
        &X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=ASIAIOSFODNN7EXAMPLE%2F20260101%2Feu-west-1%2Fsts%2Faws4_request\
        &X-Amz-Date=20260101T000000Z&X-Amz-Expires=60\
        &X-Amz-Security-Token=IQoJb3Jp%2FZ2lu%3D%3D\
        &X-Amz-SignedHeaders=host%3Bx-nuthatch-feed";
    const SIGNATURE: &str = "ab0123456789ab0123456789ab0123456789ab0123456789ab0123456789ab01";

    fn url() -> String {
        format!("https://sts.eu-west-1.amazonaws.com/?{QUERY}&X-Amz-Signature={SIGNATURE}")
    }

    fn read(url: &str) -> Result<PresignedIdentity, PresignedError> {
        PresignedIdentity::read(&PresignedIdentity::text(url)).unwrap()
    }

    #[test]
    fn a_presigned_request_is_asked_as_it_was_signed() {
        assert_eq!(read(&url()).unwrap().address(), url());
        assert!(PresignedIdentity::read("eyJhbGciOiJub25lIn0.e30.").is_none());
    }

    #[test]
    fn parameters_may_come_in_any_order_and_case() {
        let url = url().replace("X-Amz-", "x-amz-").replace("Action=", "action=");
        let (start, query) = url.split_once('?').unwrap();
        let reversed: Vec<&str> = query.split('&').rev().collect();
        let read = read(&format!("{start}?{}", reversed.join("&"))).unwrap();
        assert_eq!(read.address(), super::tests::url());
    }

    /// Row 32.
    #[test]
    fn nothing_else_is_asked() {
        let url = url();
        for (from, to) in [
            ("sts.eu-west-1.amazonaws.com", "sts.amazonaws.com.evil.example"),
            ("sts.eu-west-1.amazonaws.com", "sts.amazonaws.com"),
            ("sts.eu-west-1.amazonaws.com", "sts.zz-west-1.amazonaws.com"),
            ("https://", "https://evil@"),
            ("https://", "http://"),
            ("https://", "HTTPS://"),
            ("amazonaws.com/", "amazonaws.com:8443/"),
            ("amazonaws.com/", "amazonaws.com/x"),
            ("amazonaws.com/?", "amazonaws.com?"),
            ("=GetCallerIdentity", "=AssumeRole"),
            ("=GetCallerIdentity", "=GetCallerIdentity&action=GetCallerIdentity"),
            ("=GetCallerIdentity", "=GetCallerIdentity&RoleArn=x"),
            ("=GetCallerIdentity", "=GetCaller+Identity"),
            ("=2011-06-15", "=2010-05-08"),
            ("&Version=2011-06-15", ""),
            ("%3Bx-nuthatch-feed", ""),
            ("x-nuthatch-feed", "x-nuthatch-feed%3Bx-other"),
            ("eu-west-1%2F", "us-east-1%2F"),
            ("%2Fsts%2F", "%2Fs3%2F"),
            ("%2F20260101%2F", "%2F20260102%2F"),
            ("20260101T000000Z", "20260101T000000"),
            ("Expires=60", "Expires=901"),
            ("Expires=60", "Expires=0"),
            ("HMAC-SHA256", "HMAC-SHA1"),
            ("ASIAIOSFODNN7EXAMPLE", "ASIA"),
            ("=ab01", "=AB01"),
            ("=ab01", "=b01"),
            ("%3D%3D", "%3D%"),
            ("%3D%3D", "%3D#"),
        ] {
            assert!(url.contains(from), "{from}");
            assert!(read(&url.replacen(from, to, 1)).is_err(), "{from} → {to}");
        }
        let long = url.replace("Z2lu", &"a".repeat(4_000));
        assert_eq!(read(&long).unwrap_err(), PresignedError::TooLong);
        let padded = format!("{}=", PresignedIdentity::text(&url));
        let padded = PresignedIdentity::read(&padded).unwrap();
        assert_eq!(padded.unwrap_err(), PresignedError::NotBase64);
    }

    /// Row 32.
    #[test]
    fn a_request_is_taken_for_a_minute() {
        let read = read(&url()).unwrap();
        for seconds in [-60, 0, 60] {
            assert_eq!(read.check_time(NOW + seconds), Ok(()));
        }
        assert_eq!(read.check_time(NOW + 61), Err(Denial::Expired));
        assert_eq!(read.check_time(NOW - 61), Err(Denial::NotYetValid));
        assert_eq!(read.remembered_until(), NOW + 60 + 3_600);
    }

    #[test]
    fn a_request_has_the_id_of_its_signature() {
        let other = url().replace("=ab01", "=ab02");
        assert_ne!(read(&url()).unwrap().id(), read(&other).unwrap().id());
        let same = url().replace("X-Amz-Date", "x-amz-date");
        assert_eq!(read(&url()).unwrap().id(), read(&same).unwrap().id());
    }

    /// Row 33.
    #[test]
    fn an_answer_is_read_in_one_way_only() {
        let answer = |user_id: &str| {
            format!(
                r#"{{"GetCallerIdentityResponse":{{"GetCallerIdentityResult":{{
                "Account":"123456789012","Arn":"arn:aws:sts::123456789012:assumed-role/ci/run",
                "UserId":"{user_id}"}},"ResponseMetadata":{{"RequestId":"x"}}}}}}"#
            )
        };
        let claims = PresignedIdentity::claims(answer("AROAEXAMPLE:run").as_bytes()).unwrap();
        assert!(claims.is("principal_id", "AROAEXAMPLE") && claims.is("account", "123456789012"));
        let user = PresignedIdentity::claims(answer("AIDAEXAMPLE").as_bytes()).unwrap();
        assert!(user.is("principal_id", "AIDAEXAMPLE"));
        for wrong in [
            answer("A").replace("Account", "Acount"),
            answer("A").replace("\"Arn\"", "\"UserId\""),
            answer("A").replace("\"x\"", "\"x\",\"RequestId\":\"y\""),
            "<GetCallerIdentityResponse/>".to_owned(),
            String::new(),
        ] {
            assert!(PresignedIdentity::claims(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
