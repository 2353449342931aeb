//! Finds out whether the corpus is here, so that tests without it show as ignored.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_corpus)");
    // As it is when the script runs: one built for another checkout may be used again.
    let checkout = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let corpus = checkout.join("../../../shared/corpus/manifest.tsv");
    // Looks again when it comes or goes.
    let watched = corpus.ancestors().find(|path| path.exists()).unwrap_or(&corpus);
    println!("cargo::rerun-if-changed={}", watched.display());
    if corpus.exists() {
        println!("cargo::rustc-cfg=has_corpus");
    }
}
