//! template.yaml: routes have verbs, verbs have routes, refusals have words,
//! and no role can do more than its verb.

mod roles;

use std::collections::{BTreeMap, BTreeSet};

use clap::Parser;
use nuthatch::gateway::Template;
use nuthatch_tests::TemplateRoute;
use saphyr::{LoadableYamlNode, Yaml};

const TEMPLATE: &str = include_str!("../../../template.yaml");
const PUSH_HOST: &str = include_str!("../../../infra/push-host.yaml");

/// Every text anywhere under a node, tags left off.
fn texts(node: &Yaml<'_>) -> Vec<String> {
    match node {
        Yaml::Tagged(_, node) => texts(node),
        Yaml::Sequence(items) => items.iter().flat_map(texts).collect(),
        Yaml::Mapping(entries) => entries.values().flat_map(texts).collect(),
        node => node.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// The permissions of each function's role, but writing its log: the actions by the
/// folder of its code.
fn actions() -> BTreeMap<String, BTreeSet<String>> {
    let documents = Yaml::load_from_str(TEMPLATE).unwrap();
    let resources = documents[0].as_mapping_get("Resources").unwrap().as_mapping().unwrap();
    let properties = |name: &str| {
        let resource = resources.iter().find(|(key, _)| key.as_str() == Some(name));
        resource.unwrap().1.as_mapping_get("Properties").unwrap().clone()
    };
    let functions = resources.iter().filter(|(_, resource)| {
        resource.as_mapping_get("Type").unwrap().as_str() == Some("AWS::Serverless::Function")
    });
    functions
        .map(|(name, _)| {
            let name = name.as_str().unwrap();
            let folder =
                properties(name).as_mapping_get("CodeUri").unwrap().as_str().unwrap().to_owned();
            let role = properties(&name.replace("Function", "Role"));
            let allowed = texts(role.as_mapping_get("Policies").unwrap()).into_iter();
            let services = ["dynamodb:", "s3:", "logs:"];
            let actions = allowed
                .filter(|text| services.iter().any(|service| text.starts_with(service)))
                .filter(|text| !text.starts_with("logs:"));
            (folder.replace("functions/", ""), actions.collect())
        })
        .collect()
}

#[test]
fn every_route_of_the_protocol_is_in_the_template() {
    let routes: Vec<String> = TemplateRoute::all()
        .iter()
        .map(|route| {
            let door = match route.authorizer.as_deref() {
                None => " (open)",
                Some(TemplateRoute::BY_READ_ACCESS) => "",
                Some(_) => " (asked each time)",
            };
            let verb = route.function[..1].to_uppercase() + &route.function[1..];
            format!("{} {} -> {verb}{door}", route.method, route.path)
        })
        .collect();
    insta::assert_snapshot!(routes.join("\n"));
}

#[test]
fn a_role_can_do_what_its_verb_does_and_no_more() {
    insta::assert_debug_snapshot!(actions());
}

#[test]
fn no_role_of_a_request_can_list_scan_or_administer() {
    for (folder, actions) in actions() {
        for action in actions {
            let (_, name) = action.split_once(':').unwrap();
            assert!(!name.contains('*'), "{folder}: {action}");
            // No request waits for the meter: it answers a schedule.
            let may_scan = folder == "meter" && name == "Scan";
            assert!(may_scan || !["Scan", "ListBucket"].contains(&name), "{folder}: {action}");
        }
    }
}

#[test]
fn the_scan_of_the_meter_sees_no_more_than_counts_of_downloads() {
    let statement = TEMPLATE.split("- Sid: ").find(|it| it.contains("dynamodb:Scan")).unwrap();
    let words: String = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(
        "dynamodb:Attributes: [pk, sk, size, pushed_by, downloads, downloaded, downloads_before]"
    ));
    assert!(words.contains("StringEquals: dynamodb:Select: SPECIFIC_ATTRIBUTES"), "{words}");
}

#[test]
fn every_answer_of_the_gateway_says_in_one_line_what_to_do() {
    let template = Template::of_this_feed().unwrap();
    for occasion in [
        "UNAUTHORIZED",
        "ACCESS_DENIED",
        "MISSING_AUTHENTICATION_TOKEN",
        "REQUEST_TOO_LARGE",
        "RESOURCE_NOT_FOUND",
        "INVALID_SIGNATURE",
        "AUTHORIZER_CONFIGURATION_ERROR",
        "DEFAULT_4XX",
        "THROTTLED",
        "AUTHORIZER_FAILURE",
        "INTEGRATION_TIMEOUT",
        "INTEGRATION_FAILURE",
        "DEFAULT_5XX",
    ] {
        let response = &template.responses[occasion];
        let header = |name: &str| {
            let found = response.headers.iter().find(|(header, _)| header == name);
            found.map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.contains([';', ':']), "{occasion}: {detail}");
        assert!(!detail.contains(['\r', '\n']), "{occasion}: {detail}");
        // The client prints a warning even if it tries again, so a temporary refusal has none.
        let is_final_for_a_push = ["ACCESS_DENIED", "REQUEST_TOO_LARGE"].contains(&occasion);
        let warning = is_final_for_a_push.then(|| detail.to_owned());
        assert_eq!(header("x-nuget-warning"), warning, "{occasion}");
        assert_eq!(body["status"], response.status.as_u16(), "{occasion}");
        assert_eq!(header("content-type").unwrap(), "application/problem+json");
        let challenges = header("www-authenticate").is_some();
        assert_eq!(challenges, occasion == "UNAUTHORIZED", "{occasion}");
    }
}

#[test]
fn the_push_host_starts_as_the_command_can() {
    let documents = Yaml::load_from_str(PUSH_HOST).unwrap();
    let resources = documents[0].as_mapping_get("Resources").unwrap();
    let task = resources.as_mapping_get("Task").unwrap().as_mapping_get("Properties").unwrap();
    let container = &task.as_mapping_get("ContainerDefinitions").unwrap().as_vec().unwrap()[0];
    let arguments = container.as_mapping_get("Command").unwrap().as_vec().unwrap().iter();
    let arguments = arguments.map(|argument| match argument {
        Yaml::Tagged(_, name) => match name.as_str().unwrap() {
            "DeleteBehavior" => "unlist",
            "MaxPackageBytes" | "MaxPushes" => "100",
            url if url.starts_with("https://") => "https://push.example.org",
            _ => "nuthatch",
        },
        written => written.as_str().unwrap(),
    });
    let arguments = std::iter::once("nuthatch").chain(arguments);
    let command = nuthatch::command::Command::try_parse_from(arguments).unwrap();
    let nuthatch::command::Action::Serve(options) = command.action else { panic!("no server") };
    assert!(options.listen.ip().is_unspecified() && options.bucket.is_some());
}

#[test]
fn the_push_host_may_do_what_its_verbs_do() {
    let verbs = ["authorize", "push", "push-symbols", "unlist", "relist"];
    let all = actions();
    let mut of_verbs: BTreeSet<String> =
        verbs.iter().flat_map(|verb| all[*verb].iter().cloned()).collect();
    // Large packages go up in parts.
    of_verbs.insert("s3:AbortMultipartUpload".to_owned());
    let documents = Yaml::load_from_str(PUSH_HOST).unwrap();
    let role = documents[0].as_mapping_get("Resources").unwrap().as_mapping_get("TaskRole");
    let allowed = texts(role.unwrap().as_mapping_get("Properties").unwrap()).into_iter();
    let actions = |text: &String| text.starts_with("dynamodb:") || text.starts_with("s3:");
    let conditions = |text: &String| text.ends_with("LeadingKeys") || text.ends_with("Attributes");
    let allowed: BTreeSet<String> =
        allowed.filter(actions).filter(|text| !conditions(text)).collect();
    assert_eq!(allowed, of_verbs);
}

#[test]
fn a_changed_parameter_makes_new_versions_of_the_functions_that_read_it() {
    let documents = Yaml::load_from_str(TEMPLATE).unwrap();
    let section = |name: &str| documents[0].as_mapping_get(name).unwrap();
    let is_parameter = |name: &String| section("Parameters").as_mapping_get(name).is_some();
    for resource in section("Resources").as_mapping().unwrap().values() {
        let Some(properties) = resource.as_mapping_get("Properties") else { continue };
        let Some(folder) = properties.as_mapping_get("CodeUri").and_then(Yaml::as_str) else {
            continue;
        };
        let environment = properties.as_mapping_get("Environment").map(texts).unwrap_or_default();
        // A parameter in a condition counts, too.
        let asked =
            environment.iter().filter_map(|text| section("Conditions").as_mapping_get(text));
        let asked: Vec<String> = asked.flat_map(texts).collect();
        let read: BTreeSet<String> =
            environment.into_iter().chain(asked).filter(is_parameter).collect();
        let described = properties.as_mapping_get("VersionDescription").map(texts);
        let described = described.unwrap_or_default().join(" ");
        let described = described.split("${").skip(1).filter_map(|rest| rest.split('}').next());
        let described: BTreeSet<String> = described.map(str::to_owned).collect();
        assert_eq!(described, read, "{folder}");
    }
}

#[test]
fn no_alarm_rings_for_a_client_without_a_key() {
    let documents = Yaml::load_from_str(TEMPLATE).unwrap();
    let resources = documents[0].as_mapping_get("Resources").unwrap().as_mapping().unwrap();
    let of_type = |wanted: &str, resource: &Yaml<'_>| {
        resource.as_mapping_get("Type").unwrap().as_str() == Some(wanted)
    };
    let alarms = resources.iter().filter(|(_, of)| of_type("AWS::CloudWatch::Alarm", of));
    let mut watched = 0;
    for (name, alarm) in alarms {
        let said = texts(alarm.as_mapping_get("Properties").unwrap());
        watched += 1;
        let errors = said.iter().any(|text| text == "Errors");
        let of_authorizer = said.iter().any(|text| text == "AuthorizeFunction");
        assert!(!(errors && of_authorizer), "{name:?}");
    }
    assert!(watched > 15, "{watched}");
}
