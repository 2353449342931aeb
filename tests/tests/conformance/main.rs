//! One protocol, five hosts: what a client may rely on, tested alike on the functions
//! behind API Gateway, in this process and as the binaries that AWS runs; on `nuthatch
//! serve`, in a folder and on AWS, and on `nuthatch relay`.

mod publish;
mod read;
mod symbols;
mod token;
mod upload;

use http::Method;
use nuthatch_tests::{Answer, Host, PackageBuilder, framed};

/// Runs each test on each host.
macro_rules! on_every_host {
    ($($module:ident::$test:ident,)+) => {
        mod on_lambda {
            $(#[tokio::test]
            async fn $test() {
                super::$module::$test(&nuthatch_tests::Host::lambda().await).await;
            })+
        }
        mod on_binaries {
            $(#[tokio::test]
            async fn $test() {
                super::$module::$test(&nuthatch_tests::Host::deployed().await).await;
            })+
        }
        mod on_serve {
            $(#[tokio::test]
            async fn $test() {
                super::$module::$test(&nuthatch_tests::Host::serve()).await;
            })+
        }
        mod on_push_host {
            $(#[tokio::test]
            async fn $test() {
                super::$module::$test(&nuthatch_tests::Host::push_host().await).await;
            })+
        }
        mod on_relay {
            $(#[tokio::test]
            async fn $test() {
                super::$module::$test(&nuthatch_tests::Host::relay()).await;
            })+
        }
    };
}

on_every_host! {
    publish::a_push_in_any_framing_is_taken_and_given_back_byte_for_byte,
    publish::a_second_push_of_a_version_is_refused_unless_it_is_the_first_one_tried_again,
    publish::who_has_no_key_is_challenged_and_who_has_a_wrong_one_is_not,
    publish::a_key_does_what_it_is_for,
    publish::what_is_no_package_is_refused_with_the_reason,
    publish::a_version_is_unlisted_and_listed_again,
    read::the_service_index_names_addresses_that_work,
    read::every_view_shows_what_was_pushed,
    read::reading_needs_a_key,
    read::what_a_client_has_is_not_sent_again_and_heads_have_no_body,
    read::what_is_not_there_is_not_found,
    symbols::symbols_are_pushed_after_their_package_and_found_in_every_casing,
    symbols::uploaded_symbols_are_found_once_they_are_committed,
    symbols::symbols_need_their_package_and_its_build,
    symbols::symbols_of_six_mebibytes_are_taken_or_the_ways_for_larger_ones_named,
    symbols::a_debugger_goes_on_after_a_pdb_that_the_feed_lacks,
    token::a_login_gives_a_key_that_pushes,
    token::a_login_that_is_refused_says_what_to_do,
    upload::an_upload_is_visible_once_it_is_committed,
    upload::an_upload_of_a_taken_number_is_refused_before_a_byte_is_sent,
    upload::an_address_takes_the_declared_bytes_and_no_others,
    upload::an_address_stores_at_no_other_key,
    upload::what_was_not_uploaded_cannot_be_committed,
    upload::what_is_not_as_declared_is_refused,
    upload::a_declaration_that_cannot_be_read_is_refused,
    upload::an_upload_needs_a_key_that_covers_it,
}

/// A package with these bytes in it.
fn package(id: &str, version: &str, content: &str) -> Vec<u8> {
    PackageBuilder::new(id, version).file("content.txt", content.as_bytes()).build()
}

/// Pushes a package as NuGet clients do.
async fn push(host: &Host, key: &str, package: &[u8]) -> Answer {
    push_with(host, key, &[], package).await
}

async fn push_with(
    host: &Host,
    key: &str,
    headers: &[(&'static str, &str)],
    package: &[u8],
) -> Answer {
    let (content_type, body) = framed(package);
    let headers = [&[("content-type", content_type)][..], headers].concat();
    host.send((Method::PUT, "/api/v2/package/"), key, &headers, body).await
}

/// The package's versions.
async fn versions(host: &Host, id: &str) -> Vec<String> {
    let answer = host.get(&format!("/v3/package/{id}/index.json")).await;
    match answer.status {
        http::StatusCode::NOT_FOUND => Vec::new(),
        _ => serde_json::from_value(answer.json()["versions"].take()).unwrap(),
    }
}
