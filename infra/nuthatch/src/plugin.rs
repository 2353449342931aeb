//! `nuget-plugin-nuthatch`: NuGet's credential plugin, protocol 2.0.0, on standard input and
//! output. It is this command under that name.
//! <https://learn.microsoft.com/nuget/reference/extensibility/nuget-cross-platform-plugins>
//!
//! NuGet asks for credentials when a feed answers 401. For a feed that the person signed in to,
//! the answer is a key; for any other source it is `Error`, and NuGet asks the next plugin.

mod message;

use std::collections::HashSet;
use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::thread;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::sign_in::{self, Kept, Prompt, Said, SignInError};

use message::{Kind, Message};

/// The name under which NuGet finds the command.
const NAME: &str = "nuget-plugin-nuthatch";
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
    Plugin { input: lines(), replies, renewed: HashSet::new() }.run(answered).await
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
    /// The feeds that this process got new keys for.
    renewed: HashSet<String>,
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
    /// A message of the sign-in that goes on.
    Said(Said),
    /// The answer.
    Credentials(Value),
    /// A new key was got for this feed.
    Renewed(String),
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
        let renewed = self.renewed.clone();
        tokio::spawn(async move {
            let credentials = match asked {
                Ok(asked) => asked.credentials(&renewed, &answers).await,
                Err(error) => refused("Error", &error.to_string()),
            };
            answers.give(Part::Credentials(credentials));
        });
    }

    fn pass_on(&mut self, reply: Reply) -> io::Result<()> {
        let method = "GetAuthenticationCredentials";
        let message = match reply.part {
            Part::Renewed(feed) => {
                self.renewed.insert(feed);
                return Ok(());
            }
            Part::Said(Said::Words(words)) => {
                Message::request("Log", json!({"LogLevel": "Minimal", "Message": words}))
            }
            // NuGet gives up on a question after 30 seconds of silence.
            Part::Said(Said::Waiting) => {
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
    async fn credentials(&self, renewed: &HashSet<String>, answers: &Answers) -> Value {
        let Ok(feed) = sign_in::feed_of(&self.uri, true) else {
            return refused("Error", "not the address of a feed");
        };
        if self.is_retry && renewed.contains(&feed) {
            return refused("NotFound", &format!("{feed} refuses the key that it has just given"));
        }
        match self.key(&feed, answers).await {
            Ok((kept, is_new)) => {
                if is_new {
                    answers.give(Part::Renewed(feed));
                }
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
                answers.give(Part::Said(Said::Words(words.clone())));
                refused("NotFound", &words)
            }
        }
    }

    /// A key for the feed, and whether it is a new one.
    async fn key(&self, feed: &str, answers: &Answers) -> Result<(Kept, bool), SignInError> {
        if !sign_in::is_pinned(feed)? {
            return Err(SignInError::NotSignedIn(feed.to_owned()));
        }
        let prompt = if self.is_non_interactive {
            Prompt::Nobody
        } else {
            let answers = answers.clone();
            Prompt::Plugin(Box::new(move |said| answers.give(Part::Said(said))))
        };
        sign_in::key(feed, self.is_retry, &prompt).await
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
