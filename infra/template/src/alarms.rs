//! The alarms of each function and of all: errors, throttling, and how long they take.

use crate::function::Function;

/// The alarms of `functions`.
pub(crate) fn of(functions: &[Function]) -> String {
    let errors = functions.iter().filter(|function| function.is_watched).map(errors);
    let writers: Vec<&str> = functions
        .iter()
        // The authorizer belongs to these, because it is asked before a write.
        .filter(|function| function.writes() || !function.is_watched)
        .map(|function| function.name.as_str())
        .collect();
    let readers: Vec<&str> = functions
        .iter()
        .filter(|function| function.is_verb() && !function.writes())
        .map(|function| function.name.as_str())
        .collect();
    let throttled = "throttled; raise the account's concurrency";
    let slow = "takes most of the 28 seconds that it may";
    let of_all = [
        throttles(
            "Writes",
            &format!("Functions that write or authorize are {throttled}"),
            &writers,
        ),
        throttles("Reads", &format!("Functions that read are {throttled}"), &readers),
        durations("Writes", &format!("One in a hundred writes {slow}"), &writers),
        durations("Reads", &format!("One in a hundred reads {slow}"), &readers),
    ];
    errors.chain(of_all).collect::<Vec<_>>().join("\n")
}

fn errors(function: &Function) -> String {
    let Function { name, description, .. } = function;
    let head = head(
        &format!("{name}Errors"),
        &format!("\"The function {name} breaks or runs out of time: {description}\""),
    );
    format!(
        r#"{head}      Namespace: AWS/Lambda
      MetricName: Errors
      Dimensions:
        - {{Name: FunctionName, Value: !Ref {name}Function}}
        - {{Name: Resource, Value: !Sub "${{{name}Function}}:live"}}
      Statistic: Sum
      Period: 60
{}"#,
        tail(1, 1)
    )
}

fn throttles(group: &str, description: &str, functions: &[&str]) -> String {
    let head = head(&format!("{group}Throttled"), description);
    let metrics = metrics(functions, ("SUM", "Throttles", "Sum"));
    format!("{head}{metrics}{}", tail(1, 1))
}

fn durations(group: &str, description: &str, functions: &[&str]) -> String {
    let head = head(&format!("{group}Slow"), description);
    let metrics = metrics(functions, ("MAX", "Duration", "p99"));
    format!("{head}{metrics}{}", tail(2, 20_000))
}

fn head(name: &str, description: &str) -> String {
    format!(
        "  {name}:\n    Type: AWS::CloudWatch::Alarm\n    Condition: IsWatched\n    \
         Properties:\n      AlarmDescription: {description}\n"
    )
}

/// A `metric` of each function, combined into one number by `expression`.
fn metrics(functions: &[&str], (expression, metric, statistic): (&str, &str, &str)) -> String {
    let each = functions.iter().map(|name| {
        format!(
            "        - Id: {id}\n          ReturnData: false\n          MetricStat:\n            \
             Metric:\n              Namespace: AWS/Lambda\n              MetricName: {metric}\n              \
             Dimensions: [{{Name: FunctionName, Value: !Ref {name}Function}}]\n            \
             Stat: {statistic}\n            Period: 300\n",
            id = name.to_lowercase(),
        )
    });
    let each: String = each.collect();
    format!(
        "      Metrics:\n        - Id: all\n          Expression: {expression}(METRICS())\n{each}"
    )
}

/// When the alarm goes off, and where it is sent.
fn tail(periods: u32, threshold: u32) -> String {
    format!(
        "      EvaluationPeriods: {periods}\n      Threshold: {threshold}\n      \
         ComparisonOperator: GreaterThanOrEqualToThreshold\n      \
         TreatMissingData: notBreaching\n      \
         AlarmActions: !If [HasTopic, [!Ref AlarmTopicArn], !Ref AWS::NoValue]\n      \
         OKActions: !If [HasTopic, [!Ref AlarmTopicArn], !Ref AWS::NoValue]\n"
    )
}
