//! The routes of template.yaml, as API Gateway has them once it is deployed.

use std::sync::OnceLock;

use http::Method;
use protocol::PathParameters;
use saphyr::{LoadableYamlNode, Yaml};

use crate::sandboxes::TEMPLATE;

/// A route that the template gives a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateRoute {
    /// The folder of the function.
    pub function: String,
    /// The path, its variable parts in braces.
    pub path: String,
    /// The method.
    pub method: String,
    /// The authorizer that is asked first, if any.
    pub authorizer: Option<String>,
}

impl TemplateRoute {
    /// Stands for the authorizer that has the name of the parameter `ReadAccess`.
    pub const BY_READ_ACCESS: &'static str = "!Ref ReadAccess";

    /// The route of a request, and the variable parts of its path.
    #[must_use]
    pub fn find(method: &Method, path: &str) -> Option<(&'static Self, PathParameters)> {
        let routes = Self::all().iter().filter(|route| route.method == method.as_str());
        routes
            .filter_map(|route| Some((route, PathParameters::in_path(&route.path, path)?)))
            .min_by_key(|(_, parameters)| parameters.0.len())
    }

    /// All routes.
    #[must_use]
    pub fn all() -> &'static [Self] {
        static ROUTES: OnceLock<Vec<TemplateRoute>> = OnceLock::new();
        ROUTES.get_or_init(|| {
            let documents = Yaml::load_from_str(TEMPLATE).unwrap();
            let resources = documents[0].as_mapping_get("Resources").unwrap();
            resources.as_mapping().unwrap().values().flat_map(of_resource).collect()
        })
    }
}

fn of_resource(resource: &Yaml<'_>) -> Vec<TemplateRoute> {
    let at = |node: &Yaml<'_>, path: &[&str]| -> Option<String> {
        let found = path.iter().try_fold(node, |node, key| node.as_mapping_get(key))?;
        found.as_str().map(str::to_owned)
    };
    let Some(folder) = at(resource, &["Properties", "CodeUri"]) else { return Vec::new() };
    let properties = resource.as_mapping_get("Properties").unwrap();
    let events = properties.as_mapping_get("Events").and_then(Yaml::as_mapping);
    let routes = events.into_iter().flat_map(|events| events.values());
    let routes = routes.filter(|event| at(event, &["Type"]).as_deref() == Some("Api"));
    routes
        .map(|event| TemplateRoute {
            function: folder.trim_start_matches("functions/").to_owned(),
            path: at(event, &["Properties", "Path"]).unwrap(),
            method: at(event, &["Properties", "Method"]).unwrap(),
            authorizer: match at(event, &["Properties", "Auth", "Authorizer"]).as_deref() {
                Some("NONE") => None,
                Some(name) => Some(name.to_owned()),
                None => Some(TemplateRoute::BY_READ_ACCESS.to_owned()),
            },
        })
        .collect()
}
