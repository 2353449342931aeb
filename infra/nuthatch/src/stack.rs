//! A deployed stack, which knows the names of its own table and bucket.

use roxmltree::Document;
use store::{BucketName, TableName};

use crate::command::Place;
use crate::query;

/// The version of `CloudFormation`'s API.
const API_VERSION: &str = "2010-05-15";

/// The names of a stack's table and bucket cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// `CloudFormation` does not describe the stack.
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
        /// The output that it lacks.
        output: &'static str,
    },
}

/// The table and bucket of a feed on AWS, as far as the options name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnAws {
    /// Its table.
    pub(crate) table: TableName,
    /// Its bucket. A stack names it; with a table, it is a separate option.
    pub(crate) bucket: Option<BucketName>,
}

impl OnAws {
    /// The feed that `place` names, or `None` if it is in a data folder. Makes one call if
    /// `place` names a stack.
    ///
    /// # Errors
    /// `CloudFormation` does not answer, or the stack is not a feed.
    pub(crate) async fn at(place: &Place) -> Result<Option<Self>, StackError> {
        let Some(name) = &place.stack else {
            return Ok(place.table.clone().map(|table| Self { table, bucket: None }));
        };
        let config = crate::place::aws_config(place.endpoint_url.as_deref()).await;
        let action =
            [("Action", "DescribeStacks"), ("Version", API_VERSION), ("StackName", name.as_str())];
        let described = query::ask(&config, "cloudformation", &action).await.map_err(|reason| {
            StackError::Unreachable { stack: name.clone(), reason: reason.to_string() }
        })?;
        Self::read(name, &described).map(Some)
    }

    /// The stack of this name, as an answer of `CloudFormation` describes it.
    fn read(name: &str, described: &str) -> Result<Self, StackError> {
        let document = Document::parse(described).map_err(|error| StackError::Unreachable {
            stack: name.to_owned(),
            reason: format!("the answer is not XML ({error})"),
        })?;
        Ok(Self {
            table: output(name, &document, "Table")?,
            bucket: Some(output(name, &document, "Bucket")?),
        })
    }
}

fn output<T: std::str::FromStr>(
    stack: &str,
    described: &Document<'_>,
    output: &'static str,
) -> Result<T, StackError> {
    let is_output = |node: &roxmltree::Node<'_, '_>| {
        node.tag_name().name() == "OutputKey" && node.text() == Some(output)
    };
    let member = described.descendants().find(is_output).and_then(|key| key.parent());
    let value = member.and_then(|member| {
        member.children().find(|node| node.tag_name().name() == "OutputValue")?.text()
    });
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| StackError::NoOutput { stack: stack.to_owned(), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(outputs: &[(&str, &str)]) -> String {
        let member = |(key, value): &(&str, &str)| {
            format!(
                "<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
            )
        };
        let members = outputs.iter().map(member).collect::<Vec<_>>().concat();
        format!(
            "<DescribeStacksResponse xmlns='http://cloudformation.amazonaws.com/doc/2010-05-15/'>\
             <DescribeStacksResult><Stacks><member><Outputs>{members}</Outputs></member></Stacks>\
             </DescribeStacksResult></DescribeStacksResponse>"
        )
    }

    #[test]
    fn a_stack_that_is_no_feed_is_said_so() {
        let (table, bucket) = (("Table", "feed-Table"), ("Bucket", "feed-bucket"));
        let stack = OnAws::read("feed", &described(&[bucket, table])).unwrap();
        assert_eq!(stack.table.as_str(), "feed-Table");
        assert_eq!(stack.bucket.unwrap().as_str(), "feed-bucket");
        let error = OnAws::read("feed", &described(&[table])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the stack 'feed' has no output 'Bucket'; is it a feed, and deployed?"
        );
    }
}
