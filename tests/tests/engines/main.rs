//! The behaviour of engines that the feed relies on, tested alike on all of them: the embedded
//! ones in the process and over TCP, and those that the environment names.
//!
//! `NUTHATCH_TEST_TABLE` and `NUTHATCH_TEST_BUCKET` name a table and a bucket of
//! their own, in the account and the Region that the SDK finds, such as those of a stack
//! for trials; with `AWS_ENDPOINT_URL`, at another engine. What the tests write stays
//! there. `NUTHATCH_TEST_ENGINE=moto` says that it is moto, whose table and bucket are
//! made where they are missing: `.ci/run` starts it.

mod contract;
mod races;
mod stack;
mod stage;

use stage::Stage;

/// Runs each test on each engine.
macro_rules! on_every_engine {
    ($($module:ident::$test:ident,)+) => {
        mod embedded {
            $(#[tokio::test]
            async fn $test() {
                super::$module::$test(&super::Stage::embedded().await).await;
            })+
        }
        mod over_tcp {
            $(#[tokio::test]
            async fn $test() {
                super::$module::$test(&super::Stage::over_tcp().await).await;
            })+
        }
        mod named {
            $(#[tokio::test]
            #[cfg_attr(not(has_engine), ignore = "needs NUTHATCH_TEST_TABLE and NUTHATCH_TEST_BUCKET")]
            async fn $test() {
                super::$module::$test(&super::Stage::named().await).await;
            })+
        }
    };
}

on_every_engine! {
    contract::a_number_is_taken_once,
    contract::a_push_tried_again_in_its_session_succeeds_again,
    contract::a_version_changes_only_where_it_would,
    contract::a_deleted_number_comes_back_with_its_own_bytes_alone,
    contract::what_is_acknowledged_is_read_by_the_next_request,
    contract::more_than_a_page_of_rows_is_read_whole,
    contract::a_revoked_key_opens_nothing,
    contract::an_object_is_written_once,
    contract::a_part_of_an_object_is_read,
    contract::objects_are_listed_and_removed,
    contract::an_upload_is_committed_as_declared,
    contract::an_address_takes_the_declared_bytes_alone,
    contract::an_address_that_was_tampered_with_takes_nothing,
    races::of_pushes_at_once_exactly_one_is_in,
    races::of_listings_at_once_each_that_changes_something_is_logged_once,
}
