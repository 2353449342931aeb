//! Row 40: the plugin, as NuGet talks to it. The talks that were recorded with the .NET SDK are
//! replayed line by line: `<` is sent by NuGet, `>` by a plugin.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use http::StatusCode;
use nuthatch_tests::nuthatch;
use serde_json::{Value, json};

use super::sign_in::Company;

/// The plugin, started by NuGet.
struct Plugin {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// The command under the name that NuGet looks for.
fn installed(folder: &Path) -> PathBuf {
    let path = folder.join("nuget-plugin-nuthatch");
    if !path.exists() {
        std::os::unix::fs::symlink(nuthatch().get_program(), &path).unwrap();
    }
    path
}

impl Plugin {
    fn start(company: &Company) -> Self {
        let program = Command::new(installed(company.scene.data.path()));
        let mut command = company.person(program);
        let command = command.arg("-Plugin").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.stderr(Stdio::null()).spawn().unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, input, output }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input.as_ref().unwrap(), "{message}").unwrap();
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no message: '{line}'"))
    }

    /// The last answer to a question, and the words that were shown before it.
    fn ask(&mut self, uri: &str, is_retry: bool, interactive: bool) -> (Value, Vec<String>) {
        self.send(&json!({
            "RequestId": "90aea37e-2cb8-49c6-9896-5dd35c060160", "Type": "Request",
            "Method": "GetAuthenticationCredentials",
            "Payload": {
                "Uri": uri, "IsRetry": is_retry, "IsNonInteractive": !interactive,
                "CanShowDialog": true,
            },
        }));
        let mut shown = Vec::new();
        loop {
            let message = self.next();
            match (message["Type"].as_str().unwrap(), message["Method"].as_str().unwrap()) {
                ("Request", "Log") => {
                    shown.push(message["Payload"]["Message"].as_str().unwrap().to_owned());
                }
                ("Progress", _) => {}
                ("Response", "GetAuthenticationCredentials") => {
                    return (message["Payload"].clone(), shown);
                }
                _ => panic!("{message}"),
            }
        }
    }

    /// Ends it as NuGet does, and asserts that it ends well.
    fn end(mut self) {
        drop(self.input.take());
        assert!(self.process.wait().unwrap().success());
        let mut rest = String::new();
        self.output.read_line(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

/// Replays a recorded talk with a feed at `uri`.
fn replay(name: &str, company: &Company, uri: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/plugin/");
    let talk = std::fs::read_to_string(format!("{folder}{name}.txt")).unwrap();
    let mut plugin = Plugin::start(company);
    // The ids that the recorded plugin gave its own requests, and ours.
    let mut ids: HashMap<String, Value> = HashMap::new();
    for line in talk.lines() {
        let Some((side, message)) = line.split_once(' ') else { continue };
        let Ok(mut message) = serde_json::from_str::<Value>(message) else { continue };
        if let Some(known) = ids.get(message["RequestId"].as_str().unwrap()) {
            message["RequestId"] = known.clone();
        }
        if message["Payload"]["Uri"].is_string() {
            message["Payload"]["Uri"] = json!(uri);
            message["Payload"]["IsNonInteractive"] = json!(name != "log");
        }
        if side == "<" {
            plugin.send(&message);
            continue;
        }
        let answer = plugin.next();
        assert_eq!(answer["Type"], message["Type"], "{name}: {answer}");
        assert_eq!(answer["Method"], message["Method"], "{name}: {answer}");
        if message["Type"] == "Request" {
            let recorded = message["RequestId"].as_str().unwrap().to_owned();
            ids.insert(recorded, answer["RequestId"].clone());
        } else {
            assert_eq!(answer["RequestId"], message["RequestId"], "{name}: {answer}");
        }
        let members = |of: &Value| -> Vec<String> {
            let names = of["Payload"].as_object().unwrap().keys().cloned();
            names.filter(|name| name != "Message").collect()
        };
        assert_eq!(members(&answer), members(&message), "{name}: {answer}");
        let code = |of: &Value| of["Payload"]["ResponseCode"].clone();
        assert_eq!(code(&answer), code(&message), "{name}: {answer}");
    }
    plugin.end();
}

impl Company {
    fn uri(&self) -> String {
        format!("{}/v3/index.json", self.feed)
    }

    /// A company whose person has signed in.
    async fn signed_in(refresh: Option<&str>) -> Self {
        let company = Self::new().await;
        company.trust_developers();
        company.enter_code_as(&["developers"], refresh);
        assert!(company.login(&["--yes"], "").status.success());
        company
    }

    /// Replaces the kept key, and its time to expire.
    fn spoil(&self, key: &str, expires: i64) {
        let path = self.scene.data.path().join("person/keys.json");
        let mut keys: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        keys[&self.feed]["key"] = json!(key);
        keys[&self.feed]["expires"] = json!(expires);
        std::fs::write(path, keys.to_string()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_corpus), ignore = "the recorded talks are not beside this checkout")]
async fn row_40_recorded_talks_go_on_as_they_did() {
    let company = Company::signed_in(None).await;
    replay("good", &company, &company.uri());
    replay("error", &company, "https://127.0.0.1:1/v3/index.json");
    // The key has expired, and nobody may be asked.
    company.spoil("old", 0);
    let log = company.scene.forge.asked();
    assert!(!log.is_empty());
    company.enter_code_as(&["developers"], None);
    replay("log", &company, &company.uri());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_40_a_key_is_renewed_before_it_expires_without_asking() {
    let company = Company::signed_in(Some("refresh-secret")).await;
    let first = company.key();
    let mut plugin = Plugin::start(&company);
    assert_eq!(plugin.next()["Method"], "Handshake");
    let (kept, shown) = plugin.ask(&company.uri(), false, false);
    assert_eq!((&kept["Password"], shown.len()), (&json!(first), 0));
    company.enter_code_as(&["developers"], None);
    let soon = time::OffsetDateTime::now_utc().unix_timestamp() + 30;
    company.spoil(&first, soon);
    let (new, shown) = plugin.ask(&company.uri(), false, false);
    assert_eq!(shown, [""; 0]);
    let new = new["Password"].as_str().unwrap();
    assert_ne!(new, first);
    assert_eq!(company.may_read(new).await, StatusCode::OK);
    assert!(company.settings("keys.json").contains("refresh-secret"), "it goes on to hold");
    plugin.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_40_a_refused_key_is_replaced_once() {
    let company = Company::signed_in(Some("refresh-secret")).await;
    company.enter_code_as(&["developers"], None);
    company.spoil("nuthatch_wrong", i64::MAX);
    let mut plugin = Plugin::start(&company);
    plugin.next();
    let (kept, _) = plugin.ask(&company.uri(), false, false);
    assert_eq!(kept["Password"], "nuthatch_wrong");
    let (new, _) = plugin.ask(&company.uri(), true, false);
    assert_eq!(company.may_read(new["Password"].as_str().unwrap()).await, StatusCode::OK);
    let (again, _) = plugin.ask(&company.uri(), true, false);
    assert_eq!(again["ResponseCode"], "NotFound", "{again}");
    assert!(again["Message"].as_str().unwrap().ends_with("refuses the key that it has just given"));
    plugin.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_40_a_person_is_asked_only_where_nuget_may_ask() {
    let company = Company::signed_in(None).await;
    company.spoil("old", 0);
    company.enter_code_as(&["developers"], None);
    let mut plugin = Plugin::start(&company);
    plugin.next();
    let (none, shown) = plugin.ask(&company.uri(), false, false);
    assert_eq!(none["ResponseCode"], "NotFound");
    let ended = format!(
        "the sign-in to {0} has ended; run 'nuthatch login {0}', or restore with --interactive",
        company.feed
    );
    assert_eq!(shown, [ended]);
    let (key, shown) = plugin.ask(&company.uri(), false, true);
    assert!(shown[0].contains("/activate and enter ABCD-EFGH"), "{shown:?}");
    assert_eq!(company.may_read(key["Password"].as_str().unwrap()).await, StatusCode::OK);
    plugin.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_40_a_feed_is_not_followed_before_the_person_has_confirmed_it() {
    let company = Company::new().await;
    let mut plugin = Plugin::start(&company);
    plugin.next();
    let (other, shown) = plugin.ask(&company.uri(), false, true);
    assert_eq!((&other["ResponseCode"], shown.len()), (&json!("Error"), 0), "no sign-in");
    company.trust_developers();
    company.enter_code_as(&["developers"], None);
    let (none, shown) = plugin.ask(&company.uri(), false, true);
    assert_eq!(none["ResponseCode"], "NotFound");
    assert_eq!(
        shown,
        [format!(
            "no sign-in to {0} is confirmed; run 'nuthatch login {0}' if it is your company's feed",
            company.feed
        )]
    );
    assert!(!company.scene.forge.asked().contains(&"/device".to_owned()));
    for foreign in ["http://127.0.0.1:1/v3/index.json", "file:///tmp", "", "C:\\feed"] {
        let (other, shown) = plugin.ask(foreign, false, true);
        assert_eq!((&other["ResponseCode"], shown.len()), (&json!("Error"), 0), "{foreign}");
    }
    plugin.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_40_garbage_and_the_last_message_end_it() {
    let company = Company::new().await;
    let mut plugin = Plugin::start(&company);
    plugin.next();
    plugin
        .send(&json!({"RequestId": "1", "Type": "Request", "Method": "Unheard", "Payload": null}));
    assert_eq!(plugin.next()["Payload"]["ResponseCode"], "NotFound");
    plugin.send(&json!({"RequestId": "2", "Type": "Request", "Method": "Close"}));
    assert!(plugin.process.wait().unwrap().success());
    let mut plugin = Plugin::start(&company);
    plugin.next();
    plugin.send(&json!("garbage"));
    assert!(!plugin.process.wait().unwrap().success());
}
