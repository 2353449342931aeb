//! STS, as far as it says whose signature a presigned request has. It checks signatures by
//! Amazon's description alone, and shares no code with those who sign.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::Page;
use crate::tls::{Certificate, serve_tls};

/// Somebody with credentials of AWS.
#[derive(Debug, Clone)]
pub struct AwsIdentity {
    /// The id of the access key.
    pub access_key: &'static str,
    /// Its secret.
    pub secret: &'static str,
    /// The token of its session.
    pub session_token: &'static str,
    /// The account.
    pub account: &'static str,
    /// The id of the user, or of the role with the name of its session.
    pub user_id: &'static str,
    /// The ARN.
    pub arn: &'static str,
}

/// The host that it answers at.
const HOST: &str = "sts.eu-west-1.amazonaws.com";

/// STS in the Region `eu-west-1`.
pub struct TestSts {
    /// The address at which it is.
    pub address: SocketAddr,
    certificate: Certificate,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    identities: Vec<AwsIdentity>,
    page: Option<Page>,
    asked: usize,
}

impl TestSts {
    /// An STS that knows these identities.
    pub async fn start(identities: &[AwsIdentity]) -> Self {
        let state = State { identities: identities.to_vec(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let state_here = Arc::clone(&state);
        let serving = serve_tls(HOST, move |request| answer(request, Arc::clone(&state_here)));
        let (address, certificate) = serving.await;
        Self { address, certificate, state }
    }

    /// The file with its certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.certificate.file()
    }

    /// Answers all requests like this, whatever they are.
    pub fn answer(&self, page: Page) {
        self.state.lock().unwrap().page = Some(page);
    }

    /// How often it was asked since the last time.
    #[must_use]
    pub fn asked(&self) -> usize {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

impl AwsIdentity {
    /// The address of a `GetCallerIdentity` that it signs for `feed` at `date`, like
    /// `20261231T235959Z`.
    #[must_use]
    pub fn presign(&self, feed: &str, date: &str) -> String {
        let day = date.split('T').next().unwrap();
        let query = format!(
            "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential={}%2F{day}%2Feu-west-1%2Fsts%2Faws4_request\
             &X-Amz-Date={date}&X-Amz-Expires=60&X-Amz-Security-Token={}\
             &X-Amz-SignedHeaders=host%3Bx-nuthatch-feed",
            self.access_key,
            encoded(self.session_token)
        );
        let signature = self.signature(&query, feed, date);
        format!("https://{HOST}/?{query}&X-Amz-Signature={signature}")
    }

    /// The signature of a request with this query, which is sorted and has none.
    fn signature(&self, query: &str, feed: &str, date: &str) -> String {
        let day = date.split('T').next().unwrap();
        let request = format!(
            "GET\n/\n{query}\nhost:{HOST}\nx-nuthatch-feed:{feed}\n\nhost;x-nuthatch-feed\n{}",
            access::hex(&Sha256::digest(b""))
        );
        let scope = format!("{day}/eu-west-1/sts/aws4_request");
        let hashed = access::hex(&Sha256::digest(request));
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
        let secret = format!("AWS4{}", self.secret).into_bytes();
        let key = [day, "eu-west-1", "sts", "aws4_request"]
            .into_iter()
            .fold(secret, |key, part| hmac(&key, part));
        access::hex(&hmac(&key, &to_sign))
    }
}

/// A text as Amazon's description has it encoded.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Response<Full<Bytes>> {
    let page = {
        let mut state = state.lock().unwrap();
        state.asked += 1;
        let identity = identity_of(&request, &state.identities);
        state.page.clone().unwrap_or_else(|| identity.map_or(Page::Status(403), document))
    };
    page.into_response().await
}

/// Whose signature the request has.
fn identity_of<'a>(
    request: &Request<Incoming>,
    identities: &'a [AwsIdentity],
) -> Option<&'a AwsIdentity> {
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    let (host, feed) = (header("host")?, header("x-nuthatch-feed")?);
    let query = request.uri().query()?;
    let parameter = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    };
    let signature = parameter("X-Amz-Signature")?;
    let mut signed: Vec<&str> =
        query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
    signed.sort_unstable();
    let credential = parameter("X-Amz-Credential")?;
    let access_key = credential.split('/').next()?;
    let identity = identities.iter().find(|identity| identity.access_key == access_key)?;
    if parameter("X-Amz-Security-Token")? != identity.session_token {
        return None;
    }
    let expected = identity.signature(&signed.join("&"), feed, &parameter("X-Amz-Date")?);
    let is_for_this = host == HOST && request.uri().path() == "/" && request.method() == "GET";
    (is_for_this && expected == signature).then_some(identity)
}

fn document(identity: &AwsIdentity) -> Page {
    let result =
        json!({"Account": identity.account, "Arn": identity.arn, "UserId": identity.user_id});
    let response = json!({
        "GetCallerIdentityResult": result,
        "ResponseMetadata": {"RequestId": "c6104cbe-af31-11e0-8154-cbc7ccf896c7"},
    });
    Page::Document(json!({ "GetCallerIdentityResponse": response }).to_string().into())
}
