//! Finds the tools for the optional tests on this machine, so that tests that cannot run are
//! shown as ignored, with the reason.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!(
        "cargo::rustc-check-cfg=cfg(has_browser, has_corpus, has_engine, has_namespaces, has_nuget, has_smoke)"
    );
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=NUTHATCH_TEST_TABLE");
    println!("cargo::rerun-if-env-changed=NUTHATCH_TEST_BUCKET");
    let named = ["NUTHATCH_TEST_TABLE", "NUTHATCH_TEST_BUCKET"];
    if named.iter().all(|name| env::var_os(name).is_some()) {
        println!("cargo::rustc-cfg=has_engine");
    }
    println!("cargo::rerun-if-env-changed=NUGET_EXE");
    println!("cargo::rerun-if-env-changed=NODE_MODULES");
    // Read at run time, because a script built for another checkout may be reused.
    let checkout = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let corpus = checkout.join("../../shared/corpus/manifest.tsv");
    if found(&corpus) {
        println!("cargo::rustc-cfg=has_corpus");
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mono = env::split_paths(&path).map(|folder| folder.join("mono")).find(|mono| mono.exists());
    let has = |tool: &str| env::split_paths(&path).any(|folder| folder.join(tool).exists());
    if ["bash", "curl", "python3", "sha256sum"].into_iter().all(has) {
        println!("cargo::rustc-cfg=has_smoke");
    }
    let nuget = env::var_os("NUGET_EXE").map(PathBuf::from);
    if mono.is_some_and(|mono| found(&mono)) && nuget.is_some_and(|nuget| found(&nuget)) {
        println!("cargo::rustc-cfg=has_nuget");
    }
    if may_mount() && has("unshare") {
        println!("cargo::rustc-cfg=has_namespaces");
    }
    let modules = env::var_os("NODE_MODULES").map(PathBuf::from);
    let chromium = found(Path::new("/usr/bin/chromium"));
    if chromium && modules.is_some_and(|modules| found(&modules.join("axe-core/axe.min.js"))) {
        println!("cargo::rustc-cfg=has_browser");
    }
}

/// Whether processes of this user may mount (`CAP_SYS_ADMIN`), by capabilities(7).
fn may_mount() -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    effective.is_some_and(|mask| mask & SYS_ADMIN != 0)
}

/// Whether the file exists. The script runs again when it appears or disappears.
fn found(file: &Path) -> bool {
    let watched = file.ancestors().find(|path| path.exists()).unwrap_or(file);
    println!("cargo::rerun-if-changed={}", watched.display());
    file.exists()
}
