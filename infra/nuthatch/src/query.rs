//! Requests of AWS's query protocol: for the few calls to services whose clients in the SDK take
//! a minute each to build.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::ProvideCredentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use http::header::CONTENT_TYPE;
use protocol::BoxError;
use roxmltree::Document;
use trust::FEED_HEADER;

use crate::client::{http_client, small_answer};

const FORM: &str = "application/x-www-form-urlencoded";
/// The version of the API of STS.
const STS_VERSION: &str = "2011-06-15";

/// Asks `service`, such as `sts`, with the parameters of an action; returns its answer, in XML.
///
/// # Errors
/// There is no Region or no credentials, or the service does not answer, or refuses.
pub(crate) async fn ask(
    config: &SdkConfig,
    service: &str,
    parameters: &[(&str, &str)],
) -> Result<String, BoxError> {
    let region = region(config)?;
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let endpoint = match config.endpoint_url() {
        Some(url) => url.to_owned(),
        None => format!("https://{service}.{region}.{suffix}/"),
    };
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let mut request = http::Request::post(endpoint).header(CONTENT_TYPE, FORM).body(form)?;
    sign_with(config, service, SigningSettings::default(), &mut request).await?;
    let client = http_client()?;
    let request = reqwest::RequestBuilder::from_parts(client, request.try_into()?);
    let (status, body) = small_answer(request).await?;
    let text = String::from_utf8(body)?;
    if status.is_success() { Ok(text) } else { Err(refusal(status, &text).into()) }
}

/// The identity that the credentials are for: its ARN, or the id of the access key where STS does
/// not answer.
pub(crate) async fn caller(config: &SdkConfig) -> String {
    if let Ok(arn) = caller_arn(config).await {
        return arn;
    }
    let Some(provider) = config.credentials_provider() else { return "unknown".to_owned() };
    let credentials = provider.provide_credentials().await;
    credentials.map_or_else(|_| "unknown".to_owned(), |of| of.access_key_id().to_owned())
}

async fn caller_arn(config: &SdkConfig) -> Result<String, BoxError> {
    let action = [("Action", "GetCallerIdentity"), ("Version", STS_VERSION)];
    let answer = ask(config, "sts", &action).await?;
    let document = Document::parse(&answer)?;
    let arn = document.descendants().find(|node| node.tag_name().name() == "Arn");
    let arn = arn.and_then(|node| node.text()).ok_or("STS names no identity")?;
    Ok(arn.to_owned())
}

/// The address of a presigned `GetCallerIdentity` that is good for `feed` alone, for a minute.
///
/// # Errors
/// There is no Region, or there are no credentials.
pub(crate) async fn presigned_identity(config: &SdkConfig, feed: &str) -> Result<String, BoxError> {
    let region = region(config)?;
    let address = format!(
        "https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version={STS_VERSION}"
    );
    let mut request = http::Request::get(address).header(FEED_HEADER, feed).body(String::new())?;
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_mins(1));
    sign_with(config, "sts", settings, &mut request).await?;
    Ok(request.uri().to_string())
}

fn region(config: &SdkConfig) -> Result<&str, BoxError> {
    Ok(config.region().ok_or("no Region is set; set AWS_REGION")?.as_ref())
}

async fn sign_with(
    config: &SdkConfig,
    service: &str,
    settings: SigningSettings,
    request: &mut http::Request<String>,
) -> Result<(), BoxError> {
    let credentials = config.credentials_provider().ok_or("there are no credentials")?;
    let identity = credentials.provide_credentials().await?.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region(config)?)
        .name(service)
        .time(SystemTime::now())
        .settings(settings)
        .build()?
        .into();
    let headers = request.headers().iter();
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.uri().to_string(),
        headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))),
        SignableBody::Bytes(request.body().as_bytes()),
    )?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// The words of an answer that is a refusal: `<Error><Message>…`.
fn refusal(status: http::StatusCode, answer: &str) -> String {
    let document = Document::parse(answer).ok();
    let message = document.as_ref().and_then(|document| {
        document.descendants().find(|node| node.tag_name().name() == "Message")?.text()
    });
    message.map_or_else(|| format!("it answered {status}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_shown_in_its_own_words() {
        let answer =
            "<ErrorResponse><Error><Message>no such stack</Message></Error></ErrorResponse>";
        assert_eq!(refusal(http::StatusCode::BAD_REQUEST, answer), "no such stack");
        assert_eq!(refusal(http::StatusCode::BAD_GATEWAY, "down"), "it answered 502 Bad Gateway");
    }
}
