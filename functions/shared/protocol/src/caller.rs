//! The caller of a request, and the packages that it may use.

use std::collections::HashMap;

use access::{IdGlob, KeyName, KeyProblem, QuotaName, Scope};
use nupkg::PackageId;

use crate::{Refusal, Reply, Request, warned};

/// The sender of a request, as the authorizer determined it. It is passed on as the
/// request's authorizer context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A sender without a key, if reading is open to all.
    Anonymous,
    /// The holder of a key.
    Key {
        /// The key's name.
        name: KeyName,
        /// The ids the key is good for.
        ids: Vec<IdGlob>,
        /// The kinds of requests the key is good for.
        scopes: Vec<Scope>,
        /// The words for the holder of a key that expires soon.
        warning: Option<String>,
        /// The quotas that pushes with the key may be counted in.
        quotas: Vec<QuotaName>,
    },
}

impl Caller {
    /// The caller's name in rows and logs.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Key { name, .. } => name.as_str(),
        }
    }

    /// Whether the caller's key is good for `id`.
    #[must_use]
    pub fn covers(&self, id: &PackageId) -> bool {
        self.covers_key(&id.key())
    }

    /// Whether the caller's key is good for a request that needs `scope`.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        match self {
            Self::Anonymous => false,
            Self::Key { scopes, .. } => scopes.contains(&scope) || scopes.contains(&Scope::Admin),
        }
    }

    /// Whether the caller's key is good for the id that is `key` in lower case.
    #[must_use]
    pub fn covers_key(&self, key: &str) -> bool {
        match self {
            Self::Anonymous => true,
            Self::Key { ids, .. } => ids.iter().any(|glob| glob.matches_key(key)),
        }
    }

    /// The quotas that the caller's pushes may be counted in.
    #[must_use]
    pub fn quotas(&self) -> &[QuotaName] {
        match self {
            Self::Anonymous => &[],
            Self::Key { quotas, .. } => quotas,
        }
    }

    /// The caller as the authorizer's answer carries it.
    #[must_use]
    pub fn to_context(&self) -> HashMap<String, String> {
        match self {
            Self::Anonymous => HashMap::new(),
            Self::Key { name, ids, scopes, warning, quotas } => {
                let ids: Vec<&str> = ids.iter().map(IdGlob::as_str).collect();
                let scopes: Vec<String> = scopes.iter().map(Scope::to_string).collect();
                let mut context = HashMap::from([
                    ("key".to_owned(), name.to_string()),
                    ("ids".to_owned(), ids.join(" ")),
                    ("scopes".to_owned(), scopes.join(" ")),
                ]);
                context.extend(warning.clone().map(|words| ("warning".to_owned(), words)));
                if !quotas.is_empty() {
                    let quotas: Vec<&str> = quotas.iter().map(QuotaName::as_str).collect();
                    context.insert("quotas".to_owned(), quotas.join(" "));
                }
                context
            }
        }
    }

    /// The caller that an authorizer's answer names: anonymous if it names none, and good
    /// for no ids if they cannot be read.
    #[must_use]
    pub fn from_context(field: impl Fn(&str) -> Option<String>) -> Self {
        match field("key").and_then(|name| name.parse().ok()) {
            None => Self::Anonymous,
            Some(name) => {
                let ids = field("ids").unwrap_or_default();
                let ids = ids.split(' ').filter_map(|id| id.parse().ok()).collect();
                let scopes = field("scopes").unwrap_or_default();
                let scopes = scopes.split(' ').filter_map(|scope| scope.parse().ok()).collect();
                let quotas = field("quotas").unwrap_or_default();
                let quotas = quotas.split(' ').filter_map(|quota| quota.parse().ok()).collect();
                Self::Key { name, ids, scopes, warning: field("warning"), quotas }
            }
        }
    }

    /// The sender of `request`.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or(Self::Anonymous)
    }

    /// `reply`; with a warning if it is a success and the caller's key expires soon.
    #[must_use]
    pub fn warned(&self, reply: Reply) -> Reply {
        match self {
            Self::Key { warning: Some(warning), .. } if reply.status().is_success() => {
                warned(reply, warning)
            }
            _ => reply,
        }
    }

    /// The caller's key, whatever ids it is good for, for a request that needs a key with
    /// this scope.
    ///
    /// # Errors
    /// The caller has none.
    pub fn key(&self, scope: Scope) -> Result<&KeyName, Refusal> {
        match self {
            Self::Anonymous => Err(Refusal::Key { problem: KeyProblem::Missing, scope }),
            Self::Key { name, .. } => Ok(name),
        }
    }

    /// The caller's key, for a request that needs a key with this scope.
    ///
    /// # Errors
    /// The caller has none, or it is not good for `id`.
    pub fn key_for(&self, id: &PackageId, scope: Scope) -> Result<&KeyName, Refusal> {
        let name = self.key(scope)?;
        if self.covers(id) {
            return Ok(name);
        }
        Err(Refusal::NotYourPackage { key: name.clone(), id: id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_survives_the_authorizer_context() {
        let caller = Caller::Key {
            name: "ci".parse().unwrap(),
            ids: vec!["Acme.*".parse().unwrap(), IdGlob::any()],
            scopes: vec![Scope::Push, Scope::Read],
            warning: Some("the API key 'ci' expires".to_owned()),
            quotas: vec!["team".parse().unwrap(), "ci-a-day".parse().unwrap()],
        };
        assert!(caller.may(Scope::Push) && !caller.may(Scope::Unlist));
        let context = caller.to_context();
        assert_eq!(Caller::from_context(|field| context.get(field).cloned()), caller);
        assert_eq!(Caller::from_context(|_| None), Caller::Anonymous);
    }
}
