//! template.yaml as the gateway needs it: its own answers.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use http::{HeaderName, HeaderValue, StatusCode};
use protocol::{Body, Reply};
use saphyr::{LoadableYamlNode, Yaml};

/// The template that this binary was built with.
const TEMPLATE: &str = include_str!("../../../../template.yaml");

/// The gateway as the template describes it.
#[derive(Debug)]
pub struct Template {
    /// The gateway's own answers, by API Gateway's name for the occasion.
    pub responses: HashMap<String, GatewayResponse>,
}

/// An answer of the gateway itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: String,
}

/// The template is not one that the gateway can follow.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is not YAML.
    #[error("template.yaml cannot be parsed: {0}")]
    Unparsable(#[from] saphyr::ScanError),
    /// A part of it is missing or unknown here.
    #[error("template.yaml has no usable {0}")]
    Unusable(String),
}

impl Template {
    /// The template of this feed.
    ///
    /// # Errors
    /// It cannot be followed: a fault of the build.
    pub fn of_this_feed() -> Result<Arc<Self>, TemplateError> {
        static PARSED: OnceLock<Arc<Template>> = OnceLock::new();
        if let Some(parsed) = PARSED.get() {
            return Ok(Arc::clone(parsed));
        }
        let parsed = Arc::new(Self::parse(TEMPLATE)?);
        Ok(Arc::clone(PARSED.get_or_init(|| parsed)))
    }

    /// Parses the template in `text`.
    ///
    /// # Errors
    /// It is not YAML, or a part of it is missing or unknown here.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let documents = Yaml::load_from_str(text)?;
        let resources = documents
            .first()
            .and_then(|document| get(document, &["Resources"]))
            .ok_or_else(|| unusable("Resources"))?;
        let mut responses = HashMap::new();
        for (_, resource) in entries(resources) {
            if text_at(resource, &["Type"]) == Some("AWS::Serverless::Api") {
                responses.extend(gateway_responses(resource)?);
            }
        }
        Ok(Self { responses })
    }

    /// The gateway's answer on the named occasion.
    #[must_use]
    pub fn respond(&self, occasion: &str) -> Reply {
        let Some(response) = self.responses.get(occasion) else {
            return protocol::status(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let mut reply = Reply::new(Body::from(response.body.clone()));
        *reply.status_mut() = response.status;
        reply.headers_mut().extend(response.headers.iter().cloned());
        reply
    }
}

fn gateway_responses(api: &Yaml<'_>) -> Result<Vec<(String, GatewayResponse)>, TemplateError> {
    let responses = get(api, &["Properties", "GatewayResponses"]);
    responses
        .map_or_else(Vec::new, |responses| entries(responses).collect())
        .into_iter()
        .map(|(name, response)| {
            let status = text_at(response, &["StatusCode"])
                .and_then(|status| status.parse().ok())
                .ok_or_else(|| unusable(&format!("status of {name}")))?;
            let headers = get(response, &["ResponseParameters", "Headers"]);
            let headers = headers
                .map_or_else(Vec::new, |headers| entries(headers).collect())
                .into_iter()
                .map(|(header, value)| header_of(header, value))
                .collect::<Option<_>>()
                .ok_or_else(|| unusable(&format!("headers of {name}")))?;
            let body = text_at(response, &["ResponseTemplates", "application/json"]);
            let body = body.unwrap_or_default().to_owned();
            Ok((name.to_owned(), GatewayResponse { status, headers, body }))
        })
        .collect()
}

/// A header whose value is a constant, which stands in single quotes.
fn header_of(name: &str, value: &Yaml<'_>) -> Option<(HeaderName, HeaderValue)> {
    let value = value.as_str()?.strip_prefix('\'')?.strip_suffix('\'')?;
    Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?))
}

fn unusable(part: &str) -> TemplateError {
    TemplateError::Unusable(part.to_owned())
}

/// The node at a path of keys.
fn get<'a, 'i>(node: &'a Yaml<'i>, path: &[&str]) -> Option<&'a Yaml<'i>> {
    path.iter().try_fold(node, |node, key| node.as_mapping_get(key))
}

fn text_at<'a>(node: &'a Yaml<'_>, path: &[&str]) -> Option<&'a str> {
    get(node, path)?.as_str()
}

/// The entries of a mapping whose keys are strings.
fn entries<'a, 'i>(node: &'a Yaml<'i>) -> impl Iterator<Item = (&'a str, &'a Yaml<'i>)> {
    node.as_mapping().into_iter().flatten().filter_map(|(key, value)| Some((key.as_str()?, value)))
}
