//! Functions as AWS runs them: each binary in processes of its own, in the environment
//! that the template gives it, behind Lambda's runtime API.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::listen::serve;

/// The functions of the template, in as many processes as concurrent requests need.
#[derive(Debug)]
pub struct Sandboxes {
    /// How the SDK finds AWS.
    aws: HashMap<&'static str, String>,
    /// Settings besides those of the template.
    settings: HashMap<&'static str, String>,
    /// The endpoints of functions that have one of their own.
    endpoints: HashMap<String, String>,
    /// The file that their logs go to.
    log: Option<PathBuf>,
    idle: Mutex<HashMap<String, Vec<Sandbox>>>,
}

/// The error that a failed function reported to the runtime.
#[derive(Debug)]
pub struct FunctionError(pub Value);

impl Sandboxes {
    /// The functions, which find AWS by these variables.
    #[must_use]
    pub fn new(aws: HashMap<&'static str, String>) -> Self {
        let (settings, endpoints) = (HashMap::new(), HashMap::new());
        Self { aws, settings, endpoints, log: None, idle: Mutex::default() }
    }

    /// The same, where one function has an endpoint of its own.
    #[must_use]
    pub fn reaching(mut self, function: &str, url: &str) -> Self {
        self.endpoints.insert(function.to_owned(), url.to_owned());
        self
    }

    /// The same with another value of a setting.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.insert(name, value.to_owned());
        self
    }

    /// The value of a setting, unless the template's own stands.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        self.settings.get(name).cloned()
    }

    /// The same, with all logs in this file.
    #[must_use]
    pub fn logging_to(self, log: PathBuf) -> Self {
        Self { log: Some(log), ..self }
    }

    /// Lets the function in this folder handle an event, in a process that is idle or in
    /// a new one.
    ///
    /// # Errors
    /// It reported an error, or ended.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, FunctionError> {
        let idle = self.idle.lock().unwrap().get_mut(function).and_then(Vec::pop);
        let sandbox = match idle {
            Some(sandbox) => sandbox,
            None => self.start(function).await,
        };
        let answer = sandbox.invoke(event).await;
        // A process that reported an error goes on; one that ended does not.
        if sandbox.is_alive() {
            self.idle.lock().unwrap().entry(function.to_owned()).or_default().push(sandbox);
        }
        answer
    }

    /// A new process of the function in this folder, which has asked for its first
    /// event.
    pub async fn start(&self, function: &str) -> Sandbox {
        let mut environment = environment_of(function);
        let more = self.aws.iter().chain(&self.settings);
        environment.extend(more.map(|(name, value)| ((*name).to_owned(), value.clone())));
        if let Some(url) = self.endpoints.get(function) {
            environment.insert("AWS_ENDPOINT_URL".to_owned(), url.clone());
        }
        let log = self.log.as_ref().map_or_else(Stdio::null, |log| {
            File::options().create(true).append(true).open(log).unwrap().into()
        });
        Sandbox::start(function, &environment, log).await
    }
}

/// A process of a function, killed when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    process: Mutex<Child>,
    events: mpsc::UnboundedSender<(Bytes, oneshot::Sender<Result<Bytes, Bytes>>)>,
    serving: JoinHandle<()>,
    /// From its start until it asked for the first event.
    pub ready_after: Duration,
}

impl Sandbox {
    async fn start(function: &str, environment: &HashMap<String, String>, log: Stdio) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (events, taken) = mpsc::unbounded_channel();
        let (ready, is_ready) = oneshot::channel();
        let runtime = Arc::new(Runtime {
            events: tokio::sync::Mutex::new(taken),
            answers: Mutex::default(),
            ready: Mutex::new(Some(ready)),
        });
        let serving = tokio::spawn(serve(listener, move |request| {
            let runtime = Arc::clone(&runtime);
            async move { runtime.answer(request).await }
        }));
        let started = Instant::now();
        let mut process = program(function)
            .env_clear()
            .envs(environment)
            .env("AWS_LAMBDA_RUNTIME_API", &address)
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "group")
            .env("_HANDLER", "bootstrap")
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("the function starts");
        let ended = async {
            while process.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            ready = is_ready => ready.expect("the function asks for an event"),
            () = ended => panic!("the function {function} ends as it starts"),
        }
        let ready_after = started.elapsed();
        Self { process: Mutex::new(process), events, serving, ready_after }
    }

    /// Lets it handle an event.
    ///
    /// # Errors
    /// It reported an error, or ended.
    pub async fn invoke(&self, event: &Value) -> Result<Value, FunctionError> {
        let (answer, answered) = oneshot::channel();
        self.events.send((event.to_string().into(), answer)).expect("a running function");
        let ended = || FunctionError(Value::from("the function ended"));
        let parse = |bytes: Bytes| serde_json::from_slice(&bytes).expect("JSON");
        match answered.await {
            Ok(Ok(answer)) => Ok(parse(answer)),
            Ok(Err(error)) => Err(FunctionError(parse(error))),
            Err(_) => Err(ended()),
        }
    }

    fn is_alive(&self) -> bool {
        self.process.lock().unwrap().try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.lock().unwrap().id()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.serving.abort();
        // It may have ended already.
        let mut process = self.process.lock().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// Lambda's runtime API, for one process.
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
struct Runtime {
    events: tokio::sync::Mutex<Events>,
    answers: Mutex<HashMap<String, oneshot::Sender<Result<Bytes, Bytes>>>>,
    ready: Mutex<Option<oneshot::Sender<()>>>,
}

type Events = mpsc::UnboundedReceiver<(Bytes, oneshot::Sender<Result<Bytes, Bytes>>)>;

impl Runtime {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().trim_start_matches("/2018-06-01/runtime/").to_owned();
        if parts.method == Method::GET && path == "invocation/next" {
            return self.next().await;
        }
        let body = body.collect().await.unwrap().to_bytes();
        let segments: Vec<&str> = path.split('/').collect();
        let ["invocation", id, outcome] = segments[..] else {
            panic!("the function calls {} {path}: {body:?}", parts.method);
        };
        let answer = self.answers.lock().unwrap().remove(id).expect("an open invocation");
        // If nobody waits for the answer, the test is over.
        let _ = answer.send(if outcome == "response" { Ok(body) } else { Err(body) });
        let accepted = Response::builder().status(StatusCode::ACCEPTED);
        accepted.body(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}"))).unwrap()
    }

    /// The next event, as soon as there is one.
    async fn next(&self) -> Response<Full<Bytes>> {
        if let Some(ready) = self.ready.lock().unwrap().take() {
            let _ = ready.send(());
        }
        let Some((event, answer)) = self.events.lock().await.recv().await else {
            return std::future::pending().await;
        };
        let id = ulid::Ulid::new().to_string();
        self.answers.lock().unwrap().insert(id.clone(), answer);
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() + 28_000;
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:nuthatch:live";
        Response::builder()
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header("lambda-runtime-invoked-function-arn", arn)
            .header("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
            .header("content-type", "application/json")
            .body(Full::new(event))
            .unwrap()
    }
}

/// The binary of the function in this folder that cargo-lambda built, in the folder of the
/// checkout that `NUTHATCH_BOOTSTRAPS` names; none where the variable is not set.
#[must_use]
pub fn bootstrap(function: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("NUTHATCH_BOOTSTRAPS")?;
    let checkout = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    Some(PathBuf::from(checkout).join(folder).join(function).join("bootstrap"))
}

/// The function in this folder: its own binary, or the one that cargo built for the tests.
fn program(function: &str) -> Command {
    if let Some(binary) = bootstrap(function) {
        return Command::new(binary);
    }
    let mut command = Command::new(crate::server::tested("function"));
    command.arg(function);
    command
}

/// The template that functions are deployed with.
pub(crate) const TEMPLATE: &str = include_str!("../../template.yaml");

/// The template's resources and parameters.
fn section(name: &str) -> Yaml<'static> {
    let documents = Yaml::load_from_str(TEMPLATE).unwrap();
    documents[0].as_mapping_get(name).unwrap().clone()
}

/// The folders of all functions.
#[must_use]
pub fn functions() -> Vec<String> {
    let resources = section("Resources");
    let resources = resources.as_mapping().unwrap().values();
    let properties = resources.filter_map(|resource| resource.as_mapping_get("Properties"));
    let folders =
        properties.filter_map(|properties| properties.as_mapping_get("CodeUri")?.as_str());
    folders.map(|folder| folder.trim_start_matches("functions/").to_owned()).collect()
}

/// The variables that the template gives the function in this folder, as written.
fn variables(function: &str) -> Vec<(String, Yaml<'static>)> {
    let resources = section("Resources");
    let folder = format!("functions/{function}");
    let properties = resources.as_mapping().unwrap().values().find_map(|resource| {
        let properties = resource.as_mapping_get("Properties")?;
        (properties.as_mapping_get("CodeUri")?.as_str()? == folder).then_some(properties)
    });
    let variables = properties
        .unwrap()
        .as_mapping_get("Environment")
        .and_then(|environment| environment.as_mapping_get("Variables")?.as_mapping());
    let variables = variables.into_iter().flatten();
    variables.map(|(name, value)| (name.as_str().unwrap().to_owned(), value.clone())).collect()
}

/// The names of the settings that the template gives the function in this folder.
#[must_use]
pub fn variables_of(function: &str) -> BTreeSet<String> {
    variables(function).into_iter().map(|(name, _)| name).collect()
}

/// The settings that the template gives the function in this folder, parameters at their
/// defaults.
#[must_use]
pub fn environment_of(function: &str) -> HashMap<String, String> {
    let parameters = section("Parameters");
    let value = |value: &Yaml<'_>| match value {
        Yaml::Tagged(tag, name) if tag.suffix == "Ref" => match name.as_str()? {
            "Table" | "Bucket" => Some("nuthatch".to_owned()),
            parameter => {
                let default = parameters.as_mapping_get(parameter)?.as_mapping_get("Default")?;
                default.as_str().map(str::to_owned).or(default.as_integer().map(|n| n.to_string()))
            }
        },
        // No condition holds by default.
        Yaml::Tagged(..) => None,
        written => written.as_str().map(str::to_owned),
    };
    let variables = variables(function).into_iter();
    variables.filter_map(|(name, of)| Some((name, value(&of)?))).collect()
}
