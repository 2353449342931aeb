//! Rows 18 to 31: who may have a key, and for which run.

use serde_json::{Value, json};
use trust::{AwsRole, Buildkite, BuiltRef, CircleCi, EntraApp, GitHub, GitLab, Oidc, Workload};

use super::{FEED, K1, Scene, check, exchange_at, github, words};

/// Claims with these members changed; null removes one.
fn with(claims: &Value, changes: &[(&str, Value)]) -> Value {
    let mut claims = claims.clone();
    let object = claims.as_object_mut().unwrap();
    for (name, value) in changes {
        if value.is_null() {
            object.remove(*name);
        } else {
            object.insert((*name).to_owned(), value.clone());
        }
    }
    object.insert("jti".to_owned(), json!(ulid::Ulid::new().to_string()));
    claims
}

/// Asserts which check refuses claims with each of these changes, for the trust `name`.
async fn checks(scene: &Scene, name: &str, base: &Value, rows: &[(u8, &[(&str, Value)])]) {
    for (wanted, changes) in rows {
        let answer = exchange_at(&scene.feed, name, &K1.sign(&with(base, changes))).await;
        assert_eq!(check(&answer), *wanted, "{name} {changes:?}");
    }
}

fn both(workflow: &str) -> [(&'static str, Value); 2] {
    [("workflow_ref", json!(workflow)), ("job_workflow_ref", json!(workflow))]
}

#[tokio::test]
async fn rows_18_and_19_ids_decide_and_names_do_not() {
    let scene = Scene::new().await;
    let base = scene.claims();
    let renamed = "acme/renamed/.github/workflows/release.yml@refs/tags/v1.0.0";
    checks(
        &scene,
        "acme-release",
        &base,
        &[
            (9, &[("repository_id", json!("75"))]),
            (9, &[("repository_id", json!(74))]),
            (9, &[("repository_id", json!("074"))]),
            (9, &[("repository_id", json!(null))]),
            (9, &[("repository_owner_id", json!("66"))]),
            (9, &[("repository_owner_id", json!(null))]),
            (
                0,
                &[
                    ("repository", json!("acme/renamed")),
                    ("workflow_ref", json!(renamed)),
                    ("job_workflow_ref", json!(renamed)),
                    ("sub", json!("repo:acme/renamed:environment:release")),
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn rows_21_to_23_the_workflow_is_the_pinned_one_and_its_job_is_in_it() {
    let scene = Scene::new().await;
    let base = scene.claims();
    let at = |file: &str| format!("acme/core/.github/workflows/{file}");
    let evil = "evil/x/.github/workflows/p.yml@refs/heads/main";
    let reusable = GitHub { reusable: Some(evil.parse().unwrap()), ..github() };
    scene.trust("reusable", Workload::GitHub(reusable)).await;
    checks(
        &scene,
        "acme-release",
        &base,
        &[
            (10, &both(&at("ci.yml@refs/tags/v1.0.0"))),
            (10, &[("workflow_ref", json!(at("ci.yml@refs/tags/v1.0.0")))]),
            (10, &[("job_workflow_ref", json!(evil))]),
            (10, &[("job_workflow_ref", json!(null))]),
            (10, &both(&at("release.yml@x.yml"))),
            (10, &both(&at("release.yml@x.yml@refs/tags/v1.0.0"))),
            (10, &both(&at("sub/release.yml@refs/tags/v1.0.0"))),
            (10, &both(&at("ci.yml@refs/heads/.github/workflows/release.yml"))),
            (10, &both(&at("release.yml@refs/tags/v2.0.0"))),
            (10, &both("evil/x/.github/workflows/release.yml@refs/tags/v1.0.0")),
            (10, &[("ref", json!(""))]),
            // A run without a ref is at a commit.
            (0, &[&[("ref", json!(""))][..], &both(&at("release.yml@f00d"))].concat()),
            (10, &both(&at("release.yml@f00d"))),
        ],
    )
    .await;
    checks(
        &scene,
        "reusable",
        &base,
        &[
            (0, &[("job_workflow_ref", json!(evil))]),
            (10, &[]),
            (10, &[("job_workflow_ref", json!("evil/x/.github/workflows/q.yml@refs/heads/main"))]),
        ],
    )
    .await;
    let other = with(&base, &both(&at("ci.yml@refs/tags/v1.0.0")));
    let answer = scene.exchange(&K1.sign(&other)).await;
    let wanted = "the trust 'acme-release' wants workflow 'release.yml', the token has 'ci.yml'";
    assert_eq!(words(&answer), wanted);
}

#[tokio::test]
async fn rows_24_to_26_environment_ref_and_event_are_those_that_the_trust_wants() {
    let scene = Scene::new().await;
    let base = scene.claims();
    let tags = GitHub { reference: Some("refs/tags/v*".parse().unwrap()), ..github() };
    scene.trust("tags", Workload::GitHub(tags)).await;
    scene.trust("hosted", Workload::GitHub(GitHub { hosted: true, ..github() })).await;
    checks(
        &scene,
        "acme-release",
        &base,
        &[
            (10, &[("environment", json!("staging"))]),
            (10, &[("environment", json!(null))]),
            (0, &[("environment", json!("RELEASE"))]),
            (10, &[("event_name", json!("pull_request"))]),
            (10, &[("event_name", json!("pull_request_target"))]),
            (10, &[("event_name", json!("workflow_run"))]),
            (10, &[("event_name", json!("issue_comment"))]),
            (10, &[("event_name", json!(null))]),
            (0, &[("event_name", json!("release"))]),
            (0, &[("runner_environment", json!("self-hosted"))]),
        ],
    )
    .await;
    let on = |reference: &str| {
        let workflow = format!("acme/core/.github/workflows/release.yml@{reference}");
        [&both(&workflow)[..], &[("ref", json!(reference))]].concat()
    };
    checks(
        &scene,
        "tags",
        &base,
        &[
            (0, &[]),
            (10, &on("refs/heads/v1")),
            (10, &on("refs/tags/w1")),
            (10, &on("refs/pull/3/merge")),
        ],
    )
    .await;
    checks(
        &scene,
        "hosted",
        &base,
        &[(0, &[]), (10, &[("runner_environment", json!("self-hosted"))])],
    )
    .await;
}

#[tokio::test]
async fn row_27_a_gitlab_pipeline_runs_the_project_s_own_code_on_a_protected_ref() {
    let scene = Scene::new().await;
    let authority = scene.issuer.iss.strip_prefix("https://").unwrap().to_owned();
    let project = GitLab {
        project: "acme/core".parse().unwrap(),
        project_id: "7".parse().unwrap(),
        namespace_id: "6".parse().unwrap(),
        reference: Some("refs/heads/main".parse().unwrap()),
        file: Some(".gitlab-ci.yml".parse().unwrap()),
        environment: None,
        unprotected: false,
    };
    scene.trust("gitlab", Workload::GitLab(project.clone())).await;
    let staged = GitLab {
        environment: Some("release".parse().unwrap()),
        unprotected: true,
        file: None,
        reference: None,
        ..project
    };
    scene.trust("staged", Workload::GitLab(staged)).await;
    let base = json!({
        "iss": scene.issuer.iss, "aud": FEED, "iat": super::now(), "exp": super::now() + 300,
        "project_id": "7", "namespace_id": "6", "job_project_id": "7",
        "project_path": "acme/core", "ref": "main", "ref_type": "branch",
        "ref_protected": "true", "pipeline_source": "push", "environment": "Release",
        "ci_config_ref_uri": format!("{authority}/acme/core//.gitlab-ci.yml@refs/heads/main"),
    });
    let other_file = format!("{authority}/acme/core//ci.yml@refs/heads/main");
    let other_host = "gitlab.com/acme/core//.gitlab-ci.yml@refs/heads/main";
    checks(
        &scene,
        "gitlab",
        &base,
        &[
            (0, &[]),
            (0, &[("job_project_id", json!(null)), ("ref_path", json!("refs/heads/main"))]),
            (9, &[("project_id", json!("8"))]),
            (9, &[("namespace_id", json!("8"))]),
            (10, &[("job_project_id", json!("8"))]),
            (10, &[("job_project_id", json!(7))]),
            (10, &[("pipeline_source", json!("merge_request_event"))]),
            (10, &[("pipeline_source", json!("external_pull_request_event"))]),
            (10, &[("ref_protected", json!("false"))]),
            (10, &[("ref_protected", json!(true))]),
            (10, &[("ref_protected", json!(null))]),
            (10, &[("ref", json!("dev"))]),
            (10, &[("ref_type", json!("tag"))]),
            (10, &[("ref_path", json!("refs/heads/dev"))]),
            (10, &[("ci_config_ref_uri", json!(other_file))]),
            (10, &[("ci_config_ref_uri", json!(other_host))]),
        ],
    )
    .await;
    checks(
        &scene,
        "staged",
        &base,
        &[
            (10, &[]),
            (0, &[("environment", json!("release")), ("ref_protected", json!("false"))]),
            (
                10,
                &[
                    ("environment", json!("release")),
                    ("pipeline_source", json!("merge_request_event")),
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn row_28_a_circleci_job_runs_the_repository_s_own_code_and_nobody_is_logged_in() {
    let scene = Scene::new().await;
    let project = CircleCi {
        project_id: "0b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b".parse().unwrap(),
        vcs_origin: "github.com/acme/core".parse().unwrap(),
        vcs_ref: Some("refs/heads/main".parse().unwrap()),
    };
    scene.trust("circleci", Workload::CircleCi(project)).await;
    let base = json!({
        "iss": scene.issuer.iss, "aud": FEED, "iat": super::now(), "exp": super::now() + 300,
        "oidc.circleci.com/project-id": "0b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b",
        "oidc.circleci.com/vcs-origin": "github.com/acme/core",
        "oidc.circleci.com/vcs-ref": "refs/heads/main",
        "oidc.circleci.com/ssh-rerun": false,
    });
    checks(
        &scene,
        "circleci",
        &base,
        &[
            (0, &[]),
            (9, &[("oidc.circleci.com/project-id", json!("1b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b"))]),
            (10, &[("oidc.circleci.com/vcs-origin", json!("github.com/evil/core"))]),
            (10, &[("oidc.circleci.com/vcs-ref", json!("refs/heads/dev"))]),
            (10, &[("oidc.circleci.com/ssh-rerun", json!(true))]),
            (10, &[("oidc.circleci.com/ssh-rerun", json!(null))]),
            (6, &[("aud", json!("5b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b"))]),
        ],
    )
    .await;
}

#[tokio::test]
async fn row_29_a_buildkite_token_names_ids_or_opens_nothing() {
    let scene = Scene::new().await;
    let pipeline = Buildkite {
        organization_id: "0b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b".parse().unwrap(),
        pipeline_id: "1b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b".parse().unwrap(),
        built: None,
    };
    let built = Some(BuiltRef::Branch("main".parse().unwrap()));
    scene.trust("branch", Workload::Buildkite(Buildkite { built, ..pipeline.clone() })).await;
    scene.trust("buildkite", Workload::Buildkite(pipeline)).await;
    let base = json!({
        "iss": scene.issuer.iss, "aud": FEED, "iat": super::now(), "exp": super::now() + 300,
        "organization_id": "0b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b",
        "pipeline_id": "1b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b",
        "organization_slug": "acme", "pipeline_slug": "core", "build_branch": "main",
    });
    checks(
        &scene,
        "buildkite",
        &base,
        &[
            (0, &[]),
            (9, &[("pipeline_id", json!(null))]),
            (9, &[("organization_id", json!("2b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b"))]),
        ],
    )
    .await;
    let on_branch = [(0, &[][..]), (10, &[("build_branch", json!("dev"))])];
    checks(&scene, "branch", &base, &on_branch).await;
}

#[tokio::test]
async fn row_30_an_entra_token_is_an_application_s_and_for_the_feed() {
    let scene = Scene::new().await;
    let (tenant, object) =
        ("0b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b", "1b6a1c2e-7f3d-4f0c-9d55-6a8c0e1f2a3b");
    let app = EntraApp { tenant: tenant.parse().unwrap(), object_id: object.parse().unwrap() };
    let trust = scene.a_trust("entra", Workload::Entra(app));
    let audience = "6d3c1a2b-0000-4000-8000-000000000000";
    scene.add(super::Trust { audience: Some(audience.to_owned()), ..trust }).await;
    let base = json!({
        "iss": scene.issuer.iss, "aud": audience, "iat": super::now(), "exp": super::now() + 300,
        "tid": tenant, "oid": object, "sub": object, "idtyp": "app", "ver": "2.0", "azpacr": "2",
    });
    checks(
        &scene,
        "entra",
        &base,
        &[
            (0, &[]),
            (6, &[("aud", json!("api://AzureADTokenExchange"))]),
            (6, &[("aud", json!(FEED))]),
            (9, &[("sub", json!("somebody"))]),
            (9, &[("tid", json!(object))]),
            (9, &[("oid", json!(tenant))]),
            (10, &[("idtyp", json!(null))]),
            (10, &[("idtyp", json!("user"))]),
            (10, &[("ver", json!("1.0"))]),
            (10, &[("azpacr", json!("1"))]),
        ],
    )
    .await;
}

#[tokio::test]
async fn row_31_an_aws_role_is_that_of_its_account() {
    let scene = Scene::new().await;
    let role = "arn:aws:iam::123456789012:role/ci";
    scene.trust("aws", Workload::Aws(AwsRole { role: role.parse().unwrap() })).await;
    let account = |account: &str| json!({"aws_account": account, "request_tags": {}});
    let base = json!({
        "iss": scene.issuer.iss, "aud": FEED, "iat": super::now(), "exp": super::now() + 300,
        "sub": role, "https://sts.amazonaws.com/": account("123456789012"),
    });
    let tagged = json!({"aws_account": "1", "request_tags": {"aws_account": "123456789012"}});
    checks(
        &scene,
        "aws",
        &base,
        &[
            (0, &[]),
            (9, &[("sub", json!("arn:aws:iam::999999999999:role/ci"))]),
            (9, &[("https://sts.amazonaws.com/", account("999999999999"))]),
            (9, &[("https://sts.amazonaws.com/", tagged)]),
            (
                9,
                &[
                    ("https://sts.amazonaws.com/", json!(null)),
                    ("aws_account", json!("123456789012")),
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_workload_of_any_other_issuer_has_all_claims_that_were_named() {
    let scene = Scene::new().await;
    let claims = ["sub=robot", "project=7"].map(|claim| claim.parse().unwrap());
    scene.trust("oidc", Workload::Oidc(Oidc::new(claims.into()).unwrap())).await;
    let base = json!({
        "iss": scene.issuer.iss, "aud": FEED, "iat": super::now(), "exp": super::now() + 300,
        "sub": "robot", "project": "7",
    });
    checks(
        &scene,
        "oidc",
        &base,
        &[
            (0, &[]),
            (9, &[("sub", json!("other"))]),
            (9, &[("project", json!("8"))]),
            (9, &[("project", json!(7))]),
            (9, &[("project", json!(null))]),
        ],
    )
    .await;
}
