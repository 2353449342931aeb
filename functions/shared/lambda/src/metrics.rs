//! The metrics of a request, in the format that `CloudWatch` reads from a function's log.

use protocol::Observed;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// Requests and their milliseconds, by function and outcome.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
pub(crate) fn of(observed: &Observed, function: &str, now: OffsetDateTime) -> Value {
    json!({
        "_aws": {
            "Timestamp": i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default(),
            "CloudWatchMetrics": [{
                "Namespace": "Nuthatch",
                "Dimensions": [["Function", "Outcome"]],
                "Metrics": [
                    { "Name": "Requests", "Unit": "Count" },
                    { "Name": "Duration", "Unit": "Milliseconds" },
                    { "Name": "SearchesBehind", "Unit": "Count" }
                ]
            }]
        },
        "Function": function,
        "Outcome": observed.outcome(),
        "Requests": 1,
        "Duration": observed.milliseconds,
        "SearchesBehind": u8::from(observed.is_behind)
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use protocol::{Body, Observation, Request};

    use super::*;

    #[test]
    fn metrics_tell_what_was_done_from_what_was_refused_and_what_failed() {
        for (status, outcome) in [(201, "done"), (302, "done"), (409, "refused"), (503, "failed")] {
            let reply = protocol::status(StatusCode::from_u16(status).unwrap());
            let observed = Observation::begin("push", &Request::new(Body::empty())).end(&reply);
            let metrics = of(&observed, "feed-Push", OffsetDateTime::UNIX_EPOCH);
            assert_eq!(metrics["Outcome"], outcome);
            let declared = &metrics["_aws"]["CloudWatchMetrics"][0];
            for dimension in declared["Dimensions"][0].as_array().unwrap() {
                assert!(metrics[dimension.as_str().unwrap()].is_string());
            }
            for metric in declared["Metrics"].as_array().unwrap() {
                assert!(metrics[metric["Name"].as_str().unwrap()].is_number());
            }
        }
    }
}
