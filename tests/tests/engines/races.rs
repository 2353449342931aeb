//! Many at once.

use futures_util::future::join_all;
use http::{Method, StatusCode};
use nuthatch_tests::PackageBuilder;

use crate::contract::log_of;
use crate::stage::{Stage, unique};

const ACTORS: usize = 8;

pub(crate) async fn of_pushes_at_once_exactly_one_is_in(stage: &Stage) {
    let id = unique("Contract");
    let package = |actor: usize| {
        let content = format!("of {actor}");
        PackageBuilder::new(&id, "1.0.0").file("a.txt", content.as_bytes()).build()
    };
    let pushes = (0..ACTORS).map(async |actor| stage.push(&package(actor), "").await.status);
    let told = join_all(pushes).await;
    if stage.is_known_to_differ("lets two of many writers win now and then") {
        return;
    }
    let winners: Vec<usize> =
        (0..ACTORS).filter(|actor| told[*actor] == StatusCode::CREATED).collect();
    let [winner] = winners[..] else { panic!("{told:?}") };
    assert_eq!(told.iter().filter(|status| **status == StatusCode::CONFLICT).count(), ACTORS - 1);
    assert!(stage.nupkg(&id).await == package(winner), "not the winner's bytes");
    assert_eq!(log_of(stage, &id).await, ["pushed"]);
}

pub(crate) async fn of_listings_at_once_each_that_changes_something_is_logged_once(stage: &Stage) {
    let id = unique("Contract");
    let package = PackageBuilder::new(&id, "1.0.0").build();
    stage.push(&package, "").await.expect(StatusCode::CREATED);
    let path = format!("/api/v2/package/{id}/1.0.0");
    let unlists = (0..ACTORS).map(|_| stage.answer(Method::DELETE, &path));
    let told: Vec<StatusCode> =
        join_all(unlists).await.into_iter().map(|answer| answer.status).collect();
    if stage.is_known_to_differ("lets two of many writers win now and then") {
        return;
    }
    assert_eq!(told, [StatusCode::NO_CONTENT; ACTORS]);
    assert_eq!(log_of(stage, &id).await, ["pushed", "unlisted"]);
}
