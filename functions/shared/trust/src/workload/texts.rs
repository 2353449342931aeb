//! The texts that rules are made of, each in a form that it can be compared in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is not what a rule is made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {expected}")]
pub struct TextError {
    text: String,
    expected: &'static str,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $is:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                let is: fn(&str) -> bool = $is;
                if is_plain(text) && is(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    let text = text.chars().take(100).collect();
                    Err(TextError { text, expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// A name, a path or a value: printable ASCII.
    Plain,
    "a name of 1 to 200 printable characters",
    |_| true
);
text!(
    /// An id that a forge counts up.
    NumericId,
    "a number as the forge gives it, such as 74",
    |text| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())
);
text!(
    /// An id of 32 hexadecimal digits in lower case, with hyphens.
    Uuid,
    "an id like 0b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b",
    is_uuid
);
text!(
    /// The name of a workflow's file in `.github/workflows`.
    WorkflowFile,
    "the name of a file in .github/workflows, such as release.yml",
    |text| is_yaml(text) && !text.contains(['/', '@', '*'])
);
text!(
    /// A pipeline's file, by its path in the repository.
    File,
    "the path of a file in the repository, such as .gitlab-ci.yml",
    |text| is_yaml(text) && !text.starts_with('/') && !text.contains(['@', '*'])
);
text!(
    /// A workflow that others call: `owner/repository/.github/workflows/file@ref`.
    ReusableWorkflow,
    "a workflow like acme/builds/.github/workflows/pack.yml@refs/heads/main",
    |text| text.contains("/.github/workflows/") && text.contains('@') && !text.contains('*')
);
text!(
    /// An event that runs a workflow. Those that run it with the rights of a repository on the
    /// content of others are never one.
    Event,
    "an event that a trust can allow; pull_request_target, workflow_run and issue_comment run code of others with your rights",
    |text| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            && !["pull_request_target", "workflow_run", "issue_comment"].contains(&text)
    }
);
text!(
    /// The ARN of a role of an AWS account.
    ArnOfRole,
    "the ARN of a role, such as arn:aws:iam::123456789012:role/ci",
    |text| account_of(text).is_some()
);

text!(
    /// The number of an AWS account.
    AccountId,
    "the number of an AWS account, of 12 digits",
    |text| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
);
text!(
    /// The id that AWS gives a role or user once for all.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>
    PrincipalId,
    "the id of a role (AROA…) or user (AIDA…); 'aws iam get-role --role-name NAME --query Role.RoleId' prints it",
    |text| {
        let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        ["AROA", "AIDA"].iter().any(|kind| text.starts_with(kind))
            && (16..=128).contains(&text.len())
            && text.bytes().all(is_upper)
    }
);

impl ArnOfRole {
    /// The account that the role is in.
    pub(crate) fn account(&self) -> &str {
        account_of(&self.0).unwrap_or_default()
    }
}

fn is_plain(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text.trim() == text
        && text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
}

fn is_yaml(text: &str) -> bool {
    // In this case alone: the platforms read no other.
    text.rsplit_once('.').is_some_and(|(_, extension)| ["yml", "yaml"].contains(&extension))
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(digit)
}

fn account_of(arn: &str) -> Option<&str> {
    let (partition, rest) = arn.strip_prefix("arn:aws")?.split_once(":iam::")?;
    let (account, role) = rest.split_once(":role/")?;
    let is_arn = ["", "-cn", "-us-gov"].contains(&partition)
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !role.is_empty();
    is_arn.then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are<T: FromStr>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "{text}");
        }
        for text in bad.iter().chain(&["", " a", "a\n", "\u{e9}", &"a".repeat(201)]) {
            assert!(text.parse::<T>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_text_has_its_form() {
        are::<Plain>(&["acme/core", "a b"], &[]);
        are::<NumericId>(&["74"], &["-1", "7a", "123456789012345678901"]);
        are::<Uuid>(
            &["0b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b"],
            &["0B6A1C2E-7f3d-4f0c-9d55-6a8c0e1f2a3b", "0b6a1c2e7f3d4f0c9d556a8c0e1f2a3b"],
        );
        are::<WorkflowFile>(
            &["release.yml", "r.yaml"],
            &["a/release.yml", "release.yml@x.yml", "r"],
        );
        are::<File>(&[".gitlab-ci.yml", "ci/release.yml"], &["/a.yml", "a@b.yml", "a"]);
        let reusable = "acme/builds/.github/workflows/pack.yml@refs/heads/main";
        are::<ReusableWorkflow>(&[reusable], &["pack.yml", "a/.github/workflows/*.yml@b"]);
        are::<ArnOfRole>(
            &["arn:aws:iam::123456789012:role/a/ci", "arn:aws-cn:iam::123456789012:role/ci"],
            &["arn:aws:iam::1:role/ci", "arn:aws:iam::123456789012:user/ci", "arn:x:iam::1:role/c"],
        );
    }

    /// Row 26.
    #[test]
    fn events_that_run_the_code_of_others_are_never_allowed() {
        let never = ["pull_request_target", "workflow_run", "issue_comment", "Push"];
        are::<Event>(&["push", "workflow_dispatch", "pull_request"], &never);
    }
}
