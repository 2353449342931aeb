//! A client's declaration of a package, or of its symbols, before it sends them.

use access::KeyName;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use nupkg::{MAX_VERSION_LENGTH, PackageId, Version};
use protocol::{Body, Refusal, ShortBodyError};
use serde::{Deserialize, Serialize};
use store::{Attempt, ObjectKey, Stored, Verdict, VersionRow};
use ulid::Ulid;

/// The kind of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UploadKind {
    /// A package.
    #[default]
    Package,
    /// The symbols of a package.
    Symbols,
}

/// A package, or its symbols, that are to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Their kind.
    pub kind: UploadKind,
    /// Its id.
    pub id: PackageId,
    /// Its version.
    pub version: Version,
    /// Its size and SHA-256.
    pub stored: Stored,
}

/// The declaration as JSON has it.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    #[serde(default)]
    kind: UploadKind,
    id: String,
    version: String,
    /// In bytes.
    size: u64,
    /// In Base64.
    sha256: String,
}

impl Declaration {
    /// The declaration in a request's body.
    ///
    /// # Errors
    /// The body is not a declaration, or is cut off.
    pub async fn read(body: Body) -> Result<Self, Refusal> {
        let bytes = body.short().await.map_err(|error| match error {
            ShortBodyError::TooLong => Refusal::UnreadableDeclaration("it is too long".to_owned()),
            ShortBodyError::CutOff(cause) => Refusal::CutOff(cause),
            ShortBodyError::TooSlow(cause) => Refusal::TooSlow(cause),
        })?;
        Self::parse(&bytes).map_err(Refusal::UnreadableDeclaration)
    }

    /// The declaration in `json`, or a description of the fault in it.
    fn parse(json: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let sha256 = BASE64_STANDARD.decode(&document.sha256).ok();
        let Some(sha256) = sha256.and_then(|hash| hash.try_into().ok()) else {
            return Err("sha256 is not the Base64 of 32 bytes".to_owned());
        };
        if document.version.len() > MAX_VERSION_LENGTH {
            return Err("its version is longer than any can be".to_owned());
        }
        Ok(Self {
            kind: document.kind,
            id: PackageId::parse(&document.id).map_err(|error| error.to_string())?,
            version: document.version.parse().map_err(|error| format!("{error}"))?,
            stored: Stored { size: document.size, sha256 },
        })
    }

    /// The declaration as the feed reads it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document {
            kind: self.kind,
            id: self.id.to_string(),
            version: self.version.full(),
            size: self.stored.size,
            sha256: self.sha256(),
        };
        serde_json::json!(document).to_string()
    }

    /// The same declaration, if it is of this kind.
    ///
    /// # Errors
    /// It is of another kind, which is committed elsewhere.
    pub fn of_kind(self, kind: UploadKind) -> Result<Self, Refusal> {
        if self.kind == kind {
            return Ok(self);
        }
        let said = "packages and symbols are committed at addresses of their own";
        Err(Refusal::UnreadableDeclaration(said.to_owned()))
    }

    /// Checks that the upload holds this id and this version, as declared.
    ///
    /// # Errors
    /// It holds another one.
    pub fn is_of(&self, id: &PackageId, version: &Version) -> Result<(), Refusal> {
        if self.id == *id && self.version == *version {
            return Ok(());
        }
        Err(Refusal::NotAsDeclared {
            declared: format!("{} {}", self.id, self.version),
            found: format!("{id} {version}"),
        })
    }

    /// The key of its object in the push called `push`.
    #[must_use]
    pub fn object(&self, push: Ulid) -> ObjectKey {
        match self.kind {
            UploadKind::Package => ObjectKey::of(&self.id, &self.version, push),
            UploadKind::Symbols => ObjectKey::symbols(&self.id, &self.version, push),
        }
    }

    /// The verdict on an upload whose version number `found` already has.
    #[must_use]
    pub fn verdict(
        &self,
        found: &VersionRow,
        (key, session): (&KeyName, Option<&str>),
        object: Option<&ObjectKey>,
    ) -> Verdict {
        found.judge(&Attempt { key, session, sha256: &self.sha256(), object })
    }

    /// Its SHA-256, Base64.
    #[must_use]
    pub fn sha256(&self) -> String {
        BASE64_STANDARD.encode(self.stored.sha256)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_declaration_survives_json() {
        let declared = Declaration {
            kind: UploadKind::Symbols,
            id: PackageId::parse("Acme.Core").unwrap(),
            version: "1.0.0-RC.1+build".parse().unwrap(),
            stored: Stored { size: 1 << 40, sha256: [7; 32] },
        };
        assert_eq!(Declaration::parse(declared.to_json().as_bytes()), Ok(declared));
    }

    #[test]
    fn what_is_wrong_with_a_declaration_is_said() {
        let sha256 = BASE64_STANDARD.encode([0; 32]);
        let version = format!("1.0-{}", "x".repeat(300));
        let long = json!({ "id": "A", "version": version, "size": 1, "sha256": sha256 });
        let long = long.to_string();
        let whole = r#"{"id":"A","version":"1.0","size":1,"sha256":"AA=="}"#;
        for (json, said) in [
            ("", "EOF"),
            ("[]", "invalid"),
            (r#"{"id":"A","version":"1.0","size":-1,"sha256":""}"#, "-1"),
            (r#"{"id":"A","version":"1.0","sha256":""}"#, "size"),
            (whole, "32 bytes"),
            (&long, "longer"),
            (r#"{"kind":"pdb","id":"A","version":"1.0","size":1,"sha256":""}"#, "pdb"),
        ] {
            let error = Declaration::parse(json.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{json}: {error}");
        }
    }
}
