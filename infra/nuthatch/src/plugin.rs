//! `nuget-plugin-nuthatch`: NuGet's credential plugin, protocol 2.0.0, on standard input and
//! output. It is this command under that name.
//! <https://learn.microsoft.com/nuget/reference/extensibility/nuget-cross-platform-plugins>
//!
//! NuGet asks for credentials when a feed answers 401. For a feed that the person signed in to,
//! the answer is a key; for any other source it is `Error`, and NuGet asks the next plugin.

mod message;

use std::collections::HashMap;
use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::sign_in::{self, Kept, Prompt, SignInError};

use message::{Kind, Message};

/// The name under which NuGet finds the command.
const NAME: &str = "nuget-plugin-nuthatch";
/// The longest silence while a person signs in. NuGet gives up after 30 seconds.
const SILENCE: Duration = Duration::from_secs(10);
/// The version of the protocol.
const VERSION: &str = "2.0.0";

/// Whether NuGet started this process: by the plugin's name, with its one argument.
#[must_use]
pub fn is_asked_for() -> bool {
    let mut arguments = env::args_os();
    let program = arguments.next().unwrap_or_default();
    let name = Path::new(&program).file_stem().and_then(OsStr::to_str);
    name.is_some_and(|name| name.eq_ignore_ascii_case(NAME))
        && arguments.next().is_some_and(|argument| argument.eq_ignore_ascii_case("-plugin"))
}

/// Answers NuGet until it ends.
///
/// # Errors
/// Standard input or output fails, or NuGet sends something that is not the protocol.
pub async fn run() -> io::Result<()> {
    let (replies, answered) = unbounded_channel();
    Plugin { input: lines(), replies, given: HashMap::new() }.run(answered).await
}

/// The lines of standard input, which a thread reads: it may wait for one as long as it likes.
fn lines() -> UnboundedReceiver<io::Result<String>> {
    let (lines, input) = unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    input
}

struct Plugin {
    input: UnboundedReceiver<io::Result<String>>,
    /// For the answers that take time, while NuGet goes on to send.
    replies: UnboundedSender<Reply>,
    /// The keys that this process gave, by feed.
    given: HashMap<String, Given>,
}

/// A key that was given to NuGet.
#[derive(Clone)]
struct Given {
    key: String,
    /// Whether the feed had just made it.
    is_new: bool,
}

/// The way back for the answers to one question for credentials.
#[derive(Clone)]
struct Answers {
    replies: UnboundedSender<Reply>,
    id: String,
}

/// A part of an answer to a question for credentials.
struct Reply {
    /// The id of the question.
    id: String,
    part: Part,
}

enum Part {
    /// Words for the person.
    Words(String),
    /// The look-up goes on.
    Waiting,
    /// The answer.
    Credentials(Value),
    /// A key is given for this feed.
    Given(String, Given),
}

/// A question for credentials.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    uri: String,
    #[serde(default)]
    is_retry: bool,
    #[serde(default)]
    is_non_interactive: bool,
}

impl Plugin {
    async fn run(mut self, mut answered: UnboundedReceiver<Reply>) -> io::Result<()> {
        let versions = json!({"ProtocolVersion": VERSION, "MinimumProtocolVersion": VERSION});
        send(&Message::request("Handshake", versions))?;
        loop {
            tokio::select! {
                line = self.input.recv() => {
                    let Some(line) = line else { return Ok(()) };
                    let message: Message = serde_json::from_str(&line?).map_err(|_| {
                        io::Error::other("standard input is not NuGet's plugin protocol")
                    })?;
                    if message.kind == Kind::Request && !self.answer(message)? {
                        return Ok(());
                    }
                }
                Some(reply) = answered.recv() => self.pass_on(reply)?,
            }
        }
    }

    /// Answers a request; `false` if it is the last one.
    fn answer(&self, request: Message) -> io::Result<bool> {
        let success = json!({"ResponseCode": "Success"});
        let payload = match request.method.as_str() {
            "Handshake" => json!({"ResponseCode": "Success", "ProtocolVersion": VERSION}),
            // Its end closes standard input, which ends this process, too.
            "MonitorNuGetProcessExit" | "Initialize" | "SetLogLevel" | "SetCredentials" => success,
            "GetOperationClaims" => json!({"Claims": claims(&request.payload)}),
            "GetAuthenticationCredentials" => {
                self.look_up(&request);
                return Ok(true);
            }
            "Close" => return Ok(false),
            _ => json!({"ResponseCode": "NotFound"}),
        };
        send(&request.response(payload))?;
        Ok(true)
    }

    /// Looks for credentials while NuGet goes on to send: a sign-in takes minutes.
    fn look_up(&self, request: &Message) {
        let answers = Answers { replies: self.replies.clone(), id: request.request_id.clone() };
        let asked = Asked::deserialize(&request.payload);
        let given = self.given.clone();
        tokio::spawn(async move {
            let looking = async {
                match asked {
                    Ok(asked) => asked.credentials(&given, &answers).await,
                    Err(error) => refused("Error", &error.to_string()),
                }
            };
            tokio::pin!(looking);
            let credentials = loop {
                tokio::select! {
                    credentials = &mut looking => break credentials,
                    () = tokio::time::sleep(SILENCE) => answers.give(Part::Waiting),
                }
            };
            answers.give(Part::Credentials(credentials));
        });
    }

    fn pass_on(&mut self, reply: Reply) -> io::Result<()> {
        let method = "GetAuthenticationCredentials";
        let message = match reply.part {
            Part::Given(feed, given) => {
                self.given.insert(feed, given);
                return Ok(());
            }
            Part::Words(words) => {
                Message::request("Log", json!({"LogLevel": "Minimal", "Message": words}))
            }
            Part::Waiting => {
                Message::new(reply.id, Kind::Progress, method, json!({"Percentage": null}))
            }
            Part::Credentials(payload) => Message::new(reply.id, Kind::Response, method, payload),
        };
        send(&message)
    }
}

fn send(message: &Message) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(message)?)?;
    stdout.flush()
}

impl Answers {
    fn give(&self, part: Part) {
        // Where nobody listens any more, NuGet has ended.
        let _ = self.replies.send(Reply { id: self.id.clone(), part });
    }
}

impl Asked {
    async fn credentials(&self, given: &HashMap<String, Given>, answers: &Answers) -> Value {
        let Ok(feed) = sign_in::feed_of(&self.uri, true) else {
            return refused("Error", "not the address of a feed");
        };
        let refused_key = given.get(&feed).filter(|_| self.is_retry);
        if refused_key.is_some_and(|given| given.is_new) {
            return refused("NotFound", &format!("{feed} refuses the key that it has just given"));
        }
        let refused_key = refused_key.map(|given| given.key.as_str());
        match self.key(&feed, refused_key, answers).await {
            Ok((kept, is_new)) => {
                let key = kept.key.clone();
                answers.give(Part::Given(feed, Given { key, is_new }));
                json!({
                    "ResponseCode": "Success",
                    "Username": "nuthatch",
                    "Password": kept.key,
                    "Message": null,
                    "AuthenticationTypes": ["Basic"],
                })
            }
            // Of another server's feed, another plugin may know.
            Err(SignInError::NotSignedIn(_)) if sign_in::offer(&feed).await.is_err() => {
                refused("Error", "not a feed that people sign in to")
            }
            Err(error) => {
                let words = error.to_string();
                // The message of the answer itself is not shown.
                answers.give(Part::Words(words.clone()));
                refused("NotFound", &words)
            }
        }
    }

    /// A key for the feed, and whether it is a new one.
    async fn key(
        &self,
        feed: &str,
        refused: Option<&str>,
        answers: &Answers,
    ) -> Result<(Kept, bool), SignInError> {
        let prompt = if self.is_non_interactive {
            Prompt::Nobody
        } else {
            let answers = answers.clone();
            Prompt::Plugin(Box::new(move |words| {
                answers.give(Part::Words(words));
                answers.give(Part::Waiting);
            }))
        };
        sign_in::key(feed, refused, &prompt).await
    }
}

/// The operations that the plugin takes over: it answers for no source before it is asked for
/// credentials.
fn claims(payload: &Value) -> Vec<&'static str> {
    let is_of_a_source = payload.get("PackageSourceRepository").is_some_and(|of| !of.is_null());
    if is_of_a_source { Vec::new() } else { vec!["Authentication"] }
}

fn refused(code: &str, message: &str) -> Value {
    json!({
        "ResponseCode": code,
        "Username": null,
        "Password": null,
        "Message": message,
        "AuthenticationTypes": null,
    })
}
