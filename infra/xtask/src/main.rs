//! Every chore of the project, by its name: `cargo xtask CHORE [ARGUMENT …]`.
//!
//! A chore is a list of commands, and ends with the first one that fails.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's output")]

mod patches;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

/// A chore: its name, its arguments, its purpose.
const CHORES: [[&str; 3]; 9] = [
    ["check", "", "format, template, patches, lints, documentation: all that is quick to say"],
    ["test", "[FILTER …]", "the tests, with a hundredth of the proofs"],
    [
        "proof",
        "[--tenth]",
        "the whole proof, also fuzzing, patches, budgets; or a tenth of it alone",
    ],
    ["fuzz", "[COUNT] [TARGET …]", "hostile bytes to every parser"],
    ["patches", "[NAME …]", "breaks each invariant by a patch, and expects its test to fail"],
    ["mutants", "[ARGUMENT …]", "mutants of the lines that differ from origin/main"],
    ["lambda", "[--arm64 | --x86-64]", "builds the functions for Lambda"],
    ["template", "[--check]", "assembles template.yaml"],
    [
        "bench",
        "NAME [ARGUMENT …]",
        "a benchmark: speed, reads, pushes, large, handlers, deployed, month",
    ],
];

/// Packages that are workspaces of their own.
const OTHERS: [&str; 1] = ["tests/fuzz/Cargo.toml"];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let chore = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let is_done = match chore.as_str() {
        "check" => check(),
        "test" => cargo(&[&["test", "--workspace"], rest.as_slice()]),
        "proof" if rest == ["--tenth"] => prove("tenth"),
        "proof" if rest.is_empty() => proof(),
        "fuzz" => run("tests/fuzz/run", &rest),
        "patches" => patches::all_are_caught(&rest),
        "mutants" => mutants(&rest),
        "lambda" => run("infra/build", &rest),
        "template" => template(&rest),
        "bench" => bench(&rest),
        _ => {
            println!("cargo xtask CHORE\n");
            for [name, arguments, purpose] in CHORES {
                println!("  {:<32}{purpose}", format!("{name} {arguments}"));
            }
            chore.is_empty()
        }
    };
    if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check() -> bool {
    OTHERS.iter().all(|manifest| check_other(manifest))
        && no_test_is_left_out()
        && patches::all_apply()
        && cargo(&[&["fmt", "--check"]])
        && template(&["--check"])
        && cargo(&[&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]])
        && run_with(
            "cargo",
            &["doc", "--workspace", "--no-deps"],
            &[("RUSTDOCFLAGS", "-D warnings")],
        )
}

/// Format, lock and lints of a workspace of its own; its build goes where all builds go.
fn check_other(manifest: &str) -> bool {
    let target = target();
    let clippy = ["clippy", "--locked", "--manifest-path", manifest, "--", "-D", "warnings"];
    cargo(&[&["fmt", "--manifest-path", manifest, "--check"]])
        && run_with("cargo", &clippy, &[("CARGO_TARGET_DIR", &target.to_string_lossy())])
}

/// Whether the verbs whose unit tests are not built have none.
fn no_test_is_left_out() -> bool {
    let grep =
        ["grep", "--files-with-matches", "cfg(test)", "--", "functions", ":!functions/shared"];
    let Ok(found) = Command::new("git").current_dir(root()).args(grep).output() else {
        return false;
    };
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let is_left_out = |file: &&str| {
        let verb = file.split("/src/").next().unwrap_or_default();
        let manifest = fs::read_to_string(root().join(verb).join("Cargo.toml"));
        manifest.is_ok_and(|manifest| manifest.contains("[lib]\ntest = false"))
    };
    let left_out: Vec<&str> = found.lines().filter(is_left_out).collect();
    for file in &left_out {
        eprintln!("{file}: its tests are not built; take `test = false` out of the [lib] section");
    }
    left_out.is_empty()
}

/// Built for the whole workspace: alone, the SDK would have other features and be built again.
fn template(arguments: &[&str]) -> bool {
    let program = target().join("debug/template");
    let manifest = root().join("infra/template");
    cargo(&[&["build", "--quiet", "--workspace", "--bin", "template"]])
        && run_with(
            &program.to_string_lossy(),
            arguments,
            &[("CARGO_MANIFEST_DIR", &manifest.to_string_lossy())],
        )
}

/// Faults, orders, histories, kills and rebuilds, with a seed that is new each time.
fn prove(extent: &str) -> bool {
    let seed = env::var("NUTHATCH_SEED").unwrap_or_else(|_| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_nanos().to_string()
    });
    println!("NUTHATCH_SEED={seed}");
    let proof = ["test", "--profile", "proof", "--package", "nuthatch-tests", "--test", "proof"];
    let arguments = [proof.as_slice(), &["--", "--nocapture"]].concat();
    run_with("cargo", &arguments, &[("NUTHATCH_PROOF", extent), ("NUTHATCH_SEED", &seed)])
}

fn proof() -> bool {
    prove("whole")
        && run("tests/fuzz/run", &["100000"])
        && patches::all_are_caught(&[])
        && run("infra/build", &["--x86-64"])
        && bench(&["deployed"])
}

fn bench(arguments: &[&str]) -> bool {
    let Some((name, rest)) = arguments.split_first() else {
        eprintln!("name the benchmark: speed, reads, pushes, large, handlers, deployed or month");
        return false;
    };
    let bench = ["bench", "--package", "nuthatch-tests", "--bench", name];
    // The Lambda build is measured, or requests are counted: the profile does not matter.
    let is_timed = !["deployed", "month"].contains(name);
    let profile: &[&str] = if is_timed { &[] } else { &["--profile", "dev"] };
    let lambda = target().join("lambda");
    let lambda = lambda.to_string_lossy();
    let more = [("NUTHATCH_BOOTSTRAPS", lambda.as_ref())];
    let more = if *name == "deployed" { more.as_slice() } else { &[] };
    run_with("cargo", &[&bench, profile, &["--"], rest].concat(), more)
}

fn mutants(arguments: &[&str]) -> bool {
    let diff = target().join("mutants.diff");
    let text = Command::new("git").current_dir(root()).args(["diff", "origin/main"]).output();
    let Ok(text) = text else { return false };
    if fs::write(&diff, text.stdout).is_err() {
        return false;
    }
    let diff = diff.to_string_lossy();
    cargo(&[&["mutants", "--in-diff", &diff], arguments])
}

fn cargo(arguments: &[&[&str]]) -> bool {
    run_with("cargo", &arguments.concat(), &[])
}

fn run(program: &str, arguments: &[&str]) -> bool {
    run_with(program, arguments, &[])
}

fn run_with(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> bool {
    println!("+ {program} {}", arguments.join(" "));
    let program = if program.contains('/') { root().join(program) } else { program.into() };
    let mut command = Command::new(&program);
    command.current_dir(root()).args(arguments).envs(environment.iter().copied());
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("cannot run {}: {error}", program.display());
            false
        }
    }
}

/// The checkout that this was run in, and not the one that it was built in: two may share
/// a build folder.
fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR");
    let manifest = manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).join("../..")
}

/// The folder that builds go to.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
