//! The record of a request once it is answered: a line in the log, and the numbers for the
//! metrics. Never a secret: no header, no query, no body.

use std::fmt;
use std::time::Instant;

use http::StatusCode;
use nupkg::{PackageId, Version};

use crate::reply::Behind;
use crate::{Caller, PathParameters, Peer, Reply, Request};

/// The package that a request is about, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    id: Option<PackageId>,
    version: Option<Version>,
}

impl Subject {
    /// A version of a package.
    #[must_use]
    pub fn new(id: &PackageId, version: &Version) -> Self {
        Self { id: Some(id.clone()), version: Some(version.clone()) }
    }

    /// `reply`, marked with this package, for a request whose path does not name it.
    #[must_use]
    pub fn of_reply(self, mut reply: Reply) -> Reply {
        reply.extensions_mut().insert(self);
        reply
    }

    /// The package that the path names.
    fn of_path(parameters: &PathParameters) -> Self {
        if let Ok((id, version)) = parameters.id_and_version() {
            return Self::new(&id, &version);
        }
        Self { id: parameters.id().ok(), version: parameters.version().ok() }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Observation {
    verb: &'static str,
    key: String,
    client: Option<Peer>,
    subject: Subject,
    started: Instant,
}

/// A request that was answered. Displayed, it is a line that makes sense on its own.
#[derive(Debug)]
pub struct Observed {
    /// The verb.
    pub verb: &'static str,
    /// The status.
    pub status: StatusCode,
    /// Milliseconds that it took.
    pub milliseconds: f64,
    /// Whether it was a search that did not wait for the newest changes.
    pub is_behind: bool,
    key: String,
    client: Option<Peer>,
    subject: Subject,
}

impl Observation {
    /// Starts to observe `request`, which `verb` answers.
    #[must_use]
    pub fn begin(verb: &'static str, request: &Request) -> Self {
        let subject = Subject::of_path(&PathParameters::of(request));
        let key = Caller::of(request).name().to_owned();
        Self { verb, key, client: Peer::of(request), subject, started: Instant::now() }
    }

    /// Ends the observation with `reply`.
    #[must_use]
    pub fn end(self, reply: &Reply) -> Observed {
        let milliseconds = self.started.elapsed().as_secs_f64() * 1000.0;
        Observed {
            verb: self.verb,
            status: reply.status(),
            milliseconds: (milliseconds * 10.0).round() / 10.0,
            is_behind: reply.extensions().get::<Behind>().is_some(),
            key: self.key,
            client: self.client,
            subject: reply.extensions().get().cloned().unwrap_or(self.subject),
        }
    }
}

impl Observed {
    /// The outcome: `done`, `refused` (4xx) or `failed` (5xx).
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self.status.as_u16() {
            ..400 => "done",
            400..500 => "refused",
            500.. => "failed",
        }
    }

    /// Writes the line.
    pub fn log(&self) {
        let Subject { id, version } = &self.subject;
        tracing::info!(
            verb = self.verb,
            http.status = self.status.as_u16(),
            outcome = self.outcome(),
            duration_ms = self.milliseconds,
            search.behind = self.is_behind.then_some(true),
            key.name = self.key,
            client.address = self.client.map(|client| tracing::field::display(client.0)),
            package.id = id.as_ref().map(PackageId::as_str),
            package.version = version.as_ref().map(Version::normalized),
            "{self}",
        );
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb)?;
        if let Some(id) = &self.subject.id {
            write!(f, " {id}")?;
        }
        if let Some(version) = &self.subject.version {
            write!(f, " {version}")?;
        }
        write!(f, " by {}: {} in {} ms", self.key, self.status.as_u16(), self.milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::Body;

    fn request(parameters: &[(&str, &str)]) -> Request {
        let pairs =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(PathParameters(pairs.collect::<HashMap<_, _>>()));
        request
    }

    fn observed(verb: &'static str, request: &Request, reply: &Reply) -> Observed {
        Observed { milliseconds: 1.5, ..Observation::begin(verb, request).end(reply) }
    }

    #[test]
    fn a_line_says_who_did_what_to_which_package_and_with_what_success() {
        let ok = crate::status(StatusCode::OK);
        let line = |verb, parameters: &[_]| observed(verb, &request(parameters), &ok).to_string();
        assert_eq!(line("index", &[]), "index by anonymous: 200 in 1.5 ms");
        let parameters = [("id", "Acme"), ("version", "1.0")];
        assert_eq!(
            line("download", &parameters),
            "download Acme 1.0.0 by anonymous: 200 in 1.5 ms"
        );
        let parameters = [("proxy", "Acme/1.0-RC.1+b")];
        assert_eq!(
            line("unlist", &parameters),
            "unlist Acme 1.0.0-RC.1 by anonymous: 200 in 1.5 ms"
        );
        let (id, version) = (PackageId::parse("Acme").unwrap(), "2.0".parse().unwrap());
        let pushed = Subject::new(&id, &version).of_reply(crate::status(StatusCode::CREATED));
        let line = observed("push", &request(&[("proxy", "")]), &pushed).to_string();
        assert_eq!(line, "push Acme 2.0.0 by anonymous: 201 in 1.5 ms");
    }

    #[test]
    fn what_is_no_id_stays_out_of_the_log() {
        let hostile = request(&[("id", "nuthatch_\u{1b}[31m"), ("version", "x\ny")]);
        let line = observed("download", &hostile, &crate::status(StatusCode::NOT_FOUND));
        assert_eq!(line.to_string(), "download by anonymous: 404 in 1.5 ms");
    }

    #[test]
    fn milliseconds_are_told_with_one_decimal() {
        let ago = std::time::Duration::from_millis(1_234);
        let started = Instant::now().checked_sub(ago).unwrap();
        let observation = Observation { started, ..Observation::begin("push", &request(&[])) };
        let taken = observation.end(&crate::status(StatusCode::OK)).milliseconds;
        assert!((1_234.0..10_000.0).contains(&taken), "{taken}");
        assert!(taken.to_string().split('.').nth(1).is_none_or(|rest| rest.len() == 1), "{taken}");
    }

    #[test]
    fn a_status_is_done_refused_or_failed() {
        for (status, outcome) in [(201, "done"), (302, "done"), (409, "refused"), (503, "failed")] {
            let reply = crate::status(StatusCode::from_u16(status).unwrap());
            assert_eq!(observed("push", &request(&[]), &reply).outcome(), outcome);
        }
    }

    #[test]
    fn a_line_of_the_log_has_its_facts_as_fields() {
        let pushed = request(&[("proxy", "Acme/1.0")]);
        let line = crate::logged(|| {
            observed("push", &pushed, &crate::status(StatusCode::CREATED)).log();
        });
        for fact in [
            "verb=\"push\"",
            "http.status=201",
            "outcome=\"done\"",
            "duration_ms=1.5",
            "package.id=\"Acme\"",
        ] {
            assert!(line.contains(fact), "{line}");
        }
        assert!(line.contains("push Acme 1.0.0 by anonymous: 201 in 1.5 ms"), "{line}");
    }
}
