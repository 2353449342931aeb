//! A deployed stack, which knows the names of its own table and bucket.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::header::CONTENT_TYPE;
use protocol::BoxError;
use roxmltree::Document;
use store::{BucketName, TableName};

use crate::command::Place;

/// The version of `CloudFormation`'s API, and the content type of a query.
const API_VERSION: &str = "2010-05-15";
const FORM: &str = "application/x-www-form-urlencoded";

/// The names of a stack's table and bucket cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// `CloudFormation` does not describe the stack.
    #[error(
        "cannot ask for the stack '{stack}': {reason}; check its name, the Region and the credentials"
    )]
    Unreachable {
        /// The stack.
        stack: String,
        /// Why not.
        reason: String,
    },
    /// It is another kind of stack, or not ready.
    #[error("the stack '{stack}' has no output '{output}'; is it a feed, and deployed?")]
    NoOutput {
        /// The stack.
        stack: String,
        /// The output that it lacks.
        output: &'static str,
    },
}

/// The table and bucket of a feed on AWS, as far as the options name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnAws {
    /// Its table.
    pub(crate) table: TableName,
    /// Its bucket. A stack names it; with a table, it is a separate option.
    pub(crate) bucket: Option<BucketName>,
}

impl OnAws {
    /// The feed that `place` names, or `None` if it is in a data folder. Makes one call if
    /// `place` names a stack.
    ///
    /// # Errors
    /// `CloudFormation` does not answer, or the stack is not a feed.
    pub(crate) async fn at(place: &Place) -> Result<Option<Self>, StackError> {
        let Some(name) = &place.stack else {
            return Ok(place.table.clone().map(|table| Self { table, bucket: None }));
        };
        let config = crate::place::aws_config(place.endpoint_url.as_deref()).await;
        let described = describe(&config, name).await.map_err(|reason| {
            StackError::Unreachable { stack: name.clone(), reason: reason.to_string() }
        })?;
        Self::read(name, &described).map(Some)
    }

    /// The stack of this name, as an answer of `CloudFormation` describes it.
    fn read(name: &str, described: &str) -> Result<Self, StackError> {
        let document = Document::parse(described).map_err(|error| StackError::Unreachable {
            stack: name.to_owned(),
            reason: format!("the answer is not XML ({error})"),
        })?;
        Ok(Self {
            table: output(name, &document, "Table")?,
            bucket: Some(output(name, &document, "Bucket")?),
        })
    }
}

/// The description of a stack: a signed request, because the SDK's client for this one call
/// takes a minute to build.
async fn describe(config: &SdkConfig, stack: &str) -> Result<String, BoxError> {
    let region = config.region().ok_or("no Region is set; set AWS_REGION")?.as_ref();
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let endpoint = match config.endpoint_url() {
        Some(url) => url.to_owned(),
        None => format!("https://cloudformation.{region}.{suffix}/"),
    };
    let credentials = config.credentials_provider().ok_or("there are no credentials")?;
    let identity = credentials.provide_credentials().await?.into();
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("Action", "DescribeStacks"), ("Version", API_VERSION)])
        .append_pair("StackName", stack)
        .finish();
    let mut request = http::Request::post(endpoint).header(CONTENT_TYPE, FORM).body(form)?;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("cloudformation")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.uri().to_string(),
        std::iter::once((CONTENT_TYPE.as_str(), FORM)),
        SignableBody::Bytes(request.body().as_bytes()),
    )?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    let answer = reqwest::Client::new().execute(request.try_into()?).await?;
    let (status, text) = (answer.status(), answer.text().await?);
    if status.is_success() { Ok(text) } else { Err(refusal(status, &text).into()) }
}

/// The words of an answer that is a refusal: `<Error><Message>…`.
fn refusal(status: http::StatusCode, answer: &str) -> String {
    let document = Document::parse(answer).ok();
    let message = document.as_ref().and_then(|document| {
        document.descendants().find(|node| node.tag_name().name() == "Message")?.text()
    });
    message.map_or_else(|| format!("it answered {status}"), str::to_owned)
}

fn output<T: std::str::FromStr>(
    stack: &str,
    described: &Document<'_>,
    output: &'static str,
) -> Result<T, StackError> {
    let is_output = |node: &roxmltree::Node<'_, '_>| {
        node.tag_name().name() == "OutputKey" && node.text() == Some(output)
    };
    let member = described.descendants().find(is_output).and_then(|key| key.parent());
    let value = member.and_then(|member| {
        member.children().find(|node| node.tag_name().name() == "OutputValue")?.text()
    });
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| StackError::NoOutput { stack: stack.to_owned(), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(outputs: &[(&str, &str)]) -> String {
        let member = |(key, value): &(&str, &str)| {
            format!(
                "<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
            )
        };
        let members = outputs.iter().map(member).collect::<Vec<_>>().concat();
        format!(
            "<DescribeStacksResponse xmlns='http://cloudformation.amazonaws.com/doc/2010-05-15/'>\
             <DescribeStacksResult><Stacks><member><Outputs>{members}</Outputs></member></Stacks>\
             </DescribeStacksResult></DescribeStacksResponse>"
        )
    }

    #[test]
    fn a_stack_that_is_no_feed_is_said_so() {
        let (table, bucket) = (("Table", "feed-Table"), ("Bucket", "feed-bucket"));
        let stack = OnAws::read("feed", &described(&[bucket, table])).unwrap();
        assert_eq!(stack.table.as_str(), "feed-Table");
        assert_eq!(stack.bucket.unwrap().as_str(), "feed-bucket");
        let error = OnAws::read("feed", &described(&[table])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the stack 'feed' has no output 'Bucket'; is it a feed, and deployed?"
        );
    }

    #[test]
    fn a_refusal_is_shown_in_its_own_words() {
        let answer =
            "<ErrorResponse><Error><Message>no such stack</Message></Error></ErrorResponse>";
        assert_eq!(refusal(http::StatusCode::BAD_REQUEST, answer), "no such stack");
        assert_eq!(refusal(http::StatusCode::BAD_GATEWAY, "down"), "it answered 502 Bad Gateway");
    }
}
