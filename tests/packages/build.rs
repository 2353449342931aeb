//! Finds out whether the corpus is here, so that tests without it show as ignored.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_corpus)");
    // Read at run time, because a script built for another checkout may be reused.
    let checkout = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let corpus = checkout.join("../../../shared/corpus/manifest.tsv");
    // The script runs again when the corpus appears or disappears.
    let watched = corpus.ancestors().find(|path| path.exists()).unwrap_or(&corpus);
    println!("cargo::rerun-if-changed={}", watched.display());
    if corpus.exists() {
        println!("cargo::rustc-cfg=has_corpus");
    }
}
