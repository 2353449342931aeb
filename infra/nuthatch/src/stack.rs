//! A deployed stack, which knows the names of its own table and bucket.

use aws_sdk_cloudformation::error::DisplayErrorContext;
use aws_sdk_cloudformation::types::Output;
use feed::{BucketName, TableName};

use crate::command::Place;

/// What a stack of template.yaml tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Its table.
    pub table: TableName,
    /// Its bucket.
    pub bucket: BucketName,
}

/// A stack cannot be found out about.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// `CloudFormation` does not tell of it.
    #[error(
        "cannot ask for the stack '{stack}': {reason}; check its name, the Region and the credentials"
    )]
    Unreachable {
        /// The stack.
        stack: String,
        /// Why not.
        reason: String,
    },
    /// It is another kind of stack, or not ready.
    #[error("the stack '{stack}' has no output '{output}'; is it a feed, and deployed?")]
    NoOutput {
        /// The stack.
        stack: String,
        /// What it lacks.
        output: &'static str,
    },
}

impl Stack {
    /// The stack that `place` names, if it names one. One call.
    ///
    /// # Errors
    /// `CloudFormation` does not answer, or it is no stack of a feed.
    pub async fn at(place: &Place) -> Result<Option<Self>, StackError> {
        let Some(name) = &place.stack else { return Ok(None) };
        let config = crate::keys::aws_config(place.endpoint_url.as_deref()).await;
        let client = aws_sdk_cloudformation::Client::new(&config);
        let described = client.describe_stacks().stack_name(name).send().await;
        let described = described.map_err(|error| StackError::Unreachable {
            stack: name.clone(),
            reason: DisplayErrorContext(error).to_string(),
        })?;
        let outputs = described.stacks().first().map_or(&[][..], |stack| stack.outputs());
        Self::of(name, outputs).map(Some)
    }

    /// The stack of this name with these outputs.
    fn of(name: &str, outputs: &[Output]) -> Result<Self, StackError> {
        Ok(Self {
            table: output(name, outputs, "Table")?,
            bucket: output(name, outputs, "Bucket")?,
        })
    }
}

fn output<T: std::str::FromStr>(
    stack: &str,
    outputs: &[Output],
    output: &'static str,
) -> Result<T, StackError> {
    let found = outputs.iter().find(|found| found.output_key() == Some(output));
    found
        .and_then(|found| found.output_value()?.parse().ok())
        .ok_or_else(|| StackError::NoOutput { stack: stack.to_owned(), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_is_no_feed_is_said_so() {
        let table = Output::builder().output_key("Table").output_value("feed-Table").build();
        let bucket = Output::builder().output_key("Bucket").output_value("feed-bucket").build();
        let stack = Stack::of("feed", &[bucket, table.clone()]).unwrap();
        assert_eq!((stack.table.as_str(), stack.bucket.as_str()), ("feed-Table", "feed-bucket"));
        let error = Stack::of("feed", &[table]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the stack 'feed' has no output 'Bucket'; is it a feed, and deployed?"
        );
    }
}
