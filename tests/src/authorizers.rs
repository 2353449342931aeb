//! The authorizers of the gateway, as template.yaml declares them, and the memory of their
//! answers.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html>

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;
use tokio::time::Instant;

use crate::sandboxes::TEMPLATE;

/// An authorizer of the template.
#[derive(Debug)]
pub(crate) struct Authorizer {
    pub(crate) name: String,
    /// The headers that make a request known. One that lacks any of them is refused.
    headers: Vec<String>,
    /// How long an answer is remembered; zero where it is not.
    lifetime: Duration,
}

impl Authorizer {
    /// The authorizer of this name.
    pub(crate) fn named(name: &str) -> &'static Self {
        static ALL: OnceLock<Vec<Authorizer>> = OnceLock::new();
        let all = ALL.get_or_init(|| {
            let template = &Yaml::load_from_str(TEMPLATE).unwrap()[0];
            let path = ["Resources", "Api", "Properties", "Auth", "Authorizers"];
            let authorizers = path.iter().fold(template, |node, key| at(node, key));
            let authorizers = authorizers.as_mapping().unwrap().iter();
            authorizers.map(|(name, of)| Self::of(name.as_str().unwrap(), of)).collect()
        });
        all.iter().find(|authorizer| authorizer.name == name).unwrap()
    }

    fn of(name: &str, declared: &Yaml<'_>) -> Self {
        let identity = at(declared, "Identity");
        let headers = identity.as_mapping_get("Headers").and_then(Yaml::as_sequence);
        let headers = headers.into_iter().flatten().map(|name| name.as_str().unwrap().to_owned());
        let seconds = at(identity, "ReauthorizeEvery").as_integer().unwrap();
        Self {
            name: name.to_owned(),
            headers: headers.collect(),
            lifetime: Duration::from_secs(seconds.try_into().unwrap()),
        }
    }

    /// The values of the headers that make a request known; `None` if one is missing.
    pub(crate) fn identity(&self, headers: &HeaderMap) -> Option<Vec<String>> {
        let value = |name: &String| Some(headers.get(name)?.to_str().unwrap().to_owned());
        let values: Option<Vec<String>> = self.headers.iter().map(value).collect();
        values.filter(|values| values.iter().all(|value| !value.is_empty()))
    }
}

fn at<'a, 'b>(node: &'a Yaml<'b>, key: &str) -> &'a Yaml<'b> {
    node.as_mapping_get(key).unwrap_or_else(|| panic!("no {key} in the template"))
}

/// A name and the values of the headers that make a request known to it.
type Known = (String, Vec<String>);

/// The policies that the gateway remembers.
#[derive(Debug, Default)]
pub(crate) struct Policies(Mutex<HashMap<Known, (Instant, Value)>>);

impl Policies {
    pub(crate) fn get(&self, authorizer: &Authorizer, identity: &[String]) -> Option<Value> {
        let known = (authorizer.name.clone(), identity.to_vec());
        let policies = self.0.lock().unwrap();
        let (since, policy) = policies.get(&known)?;
        (since.elapsed() < authorizer.lifetime).then(|| policy.clone())
    }

    pub(crate) fn remember(&self, authorizer: &Authorizer, identity: Vec<String>, policy: &Value) {
        let remembered = (Instant::now(), policy.clone());
        self.0.lock().unwrap().insert((authorizer.name.clone(), identity), remembered);
    }
}

/// Whether a policy allows the request that `method_arn` names.
pub(crate) fn allows(policy: &Value, method_arn: &str) -> bool {
    let statements = policy["policyDocument"]["Statement"].as_array().unwrap();
    let covering: Vec<&str> = statements
        .iter()
        .filter(|statement| {
            let resources = statement["Resource"].as_array().unwrap().iter();
            let mut patterns = resources.map(|resource| {
                let pattern = resource.as_str().unwrap().replace('[', "[[]");
                glob::Pattern::new(&pattern).unwrap()
            });
            patterns.any(|pattern| pattern.matches(method_arn))
        })
        .map(|statement| statement["Effect"].as_str().unwrap())
        .collect();
    covering.contains(&"Allow") && !covering.contains(&"Deny")
}
