//! A stack of `CloudFormation`, as the command looks it up.

use nuthatch_tests::nuthatch;
use serde_json::json;
use ulid::Ulid;

/// Makes a stack with a table and a bucket, and the same outputs for them as template.yaml.
async fn make(url: &str, name: &str) {
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let template = json!({
        "Resources": {
            "Table": { "Type": "AWS::DynamoDB::Table", "Properties": {
                "AttributeDefinitions": [attribute("pk"), attribute("sk")],
                "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
                "BillingMode": "PAY_PER_REQUEST"
            } },
            "Bucket": { "Type": "AWS::S3::Bucket" }
        },
        "Outputs": {
            "Table": { "Value": { "Ref": "Table" } },
            "Bucket": { "Value": { "Ref": "Bucket" } }
        }
    });
    let form = [
        ("Action", "CreateStack"),
        ("Version", "2010-05-15"),
        ("StackName", name),
        ("TemplateBody", &template.to_string()),
    ];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = reqwest::Client::new().post(url).body(form);
    let scope = "Credential=moto/20261122/us-east-1/cloudformation/aws4_request";
    let signed = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0");
    let request = request.header("authorization", signed);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// The output of the command, or its message when it fails.
fn key(arguments: &[&str], url: &str) -> Result<String, String> {
    let output = nuthatch().arg("key").args(arguments).args(["--endpoint-url", url]).output();
    let output = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
#[cfg_attr(not(has_engine), ignore = "needs moto; .ci/run starts it")]
async fn a_key_is_made_in_the_table_of_a_stack() {
    if !std::env::var("NUTHATCH_TEST_ENGINE").is_ok_and(|engine| engine == "moto") {
        println!("NOT TRIED: no stack is made in an account");
        return;
    }
    let (url, name) = (std::env::var("AWS_ENDPOINT_URL").unwrap(), format!("feed-{}", Ulid::new()));
    make(&url, &name).await;
    let made = key(&["create", "ci", "--scope", "push", "--stack", &name], &url).unwrap();
    assert!(made.starts_with("nuthatch_"), "{made}");
    let listed = key(&["list", "--stack", &name], &url).unwrap();
    assert!(listed.contains("ci") && listed.contains("push"), "{listed}");
    let refused = key(&["list", "--stack", "nowhere"], &url).unwrap_err();
    assert!(refused.contains("cannot ask for the stack 'nowhere'"), "{refused}");
    assert!(refused.contains("check its name, the Region and the credentials"), "{refused}");
}
