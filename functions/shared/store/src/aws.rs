//! The AWS clients, and how long they wait.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// Clients of the two services that hold the feed.
#[derive(Debug, Clone)]
pub struct Aws {
    /// `DynamoDB`.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// S3.
    pub s3: aws_sdk_s3::Client,
}

impl Aws {
    /// Clients for the account, the Region and the endpoints that the
    /// environment names.
    pub async fn from_environment() -> Self {
        Self::new(&aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await)
    }

    /// Clients on top of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { dynamodb: Self::dynamodb(config), s3: Self::s3(config) }
    }

    /// A client of `DynamoDB` on top of `config`.
    #[must_use]
    pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
        // API Gateway gives up after 29 seconds; we report the failure before that.
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_attempt_timeout(Duration::from_secs(4))
                    .operation_timeout(Duration::from_secs(10))
                    .build(),
            )
            .build();
        aws_sdk_dynamodb::Client::from_conf(config)
    }

    /// A client of S3 on top of `config`.
    #[must_use]
    pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
        // A call that carries a package sets its own timeout by size; the SDK ends stalled
        // calls.
        let config = aws_sdk_s3::config::Builder::from(config)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_attempt_timeout(attempt_timeout(0))
                    .build(),
            )
            // A custom endpoint rarely has a host name per bucket.
            .force_path_style(config.endpoint_url().is_some())
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }
}

/// How long to wait for the answer to a call with so many bytes: at worst, a MB takes a
/// second.
pub(crate) fn attempt_timeout(bytes: u64) -> Duration {
    Duration::from_secs(8 + bytes / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_more_waits_longer() {
        assert_eq!(attempt_timeout(0), Duration::from_secs(8));
        assert_eq!(attempt_timeout(5_000_000), Duration::from_secs(13));
    }
}
