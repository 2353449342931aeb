//! Breaks each invariant on purpose, and expects the test that guards it to fail.
//!
//! A patch of tests/patches begins with a line `Test: ` and the arguments that select its
//! test. It is applied to a copy of the last commit, which has a build of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, io};

use crate::{root, target};

/// How much the proofs try here: enough to catch a patch, but not everything.
const FEW: [(&str, &str); 3] =
    [("NUTHATCH_PROOF", "tenth"), ("NUTHATCH_HISTORIES", "20"), ("INSTA_UPDATE", "no")];

/// A patch and the code have come apart.
const MISFIT: &str = "does not apply; write it anew for the code that took its place";

/// Whether the tests catch the named patches, or all patches. Prints the result of each.
pub(crate) fn all_are_caught(names: &[&str]) -> bool {
    let copy = Copy { folder: target().join("patched/checkout") };
    let all = match patches(names) {
        Ok(all) => all,
        Err(error) => {
            eprintln!("cannot read tests/patches: {error}");
            return false;
        }
    };
    let mut are_caught = !all.is_empty();
    for patch in all {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy();
        match copy.catches(&patch) {
            Ok(()) => println!("{name}: caught"),
            Err(reason) => {
                eprintln!("{name}: {reason}");
                are_caught = false;
            }
        }
    }
    are_caught
}

/// Whether every patch fits the code as it stands. A patch that was not written anew with its
/// code would be missed only when all of them run.
pub(crate) fn all_apply() -> bool {
    let Ok(all) = patches(&[]) else {
        eprintln!("cannot read tests/patches");
        return false;
    };
    let applies = |patch: &&PathBuf| {
        let mut git = Command::new("git");
        let git = git.current_dir(root()).args(["apply", "--check"]).arg(patch).output();
        git.is_ok_and(|git| git.status.success())
    };
    let misfits: Vec<&PathBuf> = all.iter().filter(|patch| !applies(patch)).collect();
    for patch in &misfits {
        eprintln!("{} {MISFIT}", patch.display());
    }
    misfits.is_empty()
}

fn patches(names: &[&str]) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root().join("tests/patches"))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let is_wanted = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        names.is_empty() || names.contains(&name.as_ref())
    };
    let mut paths: Vec<PathBuf> = paths.into_iter().filter(is_wanted).collect();
    paths.sort();
    Ok(paths)
}

/// A copy of the last commit, to break.
struct Copy {
    folder: PathBuf,
}

impl Copy {
    fn catches(&self, patch: &Path) -> Result<(), String> {
        let patched = fs::read_to_string(patch).map_err(|error| error.to_string())?;
        let test = patched.lines().next().and_then(|line| line.strip_prefix("Test: "));
        let test = test.ok_or("its first line does not name a test")?;
        self.refresh()?;
        self.git(&["apply", &patch.to_string_lossy()]).map_err(|_| MISFIT)?;
        let arguments: Vec<&str> = test.split_whitespace().collect();
        let (select, filter) = arguments.split_at(
            arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len()),
        );
        let built = self.cargo(&[&["--no-run"], select].concat())?;
        if !built.status.success() {
            return Err(format!("does not compile:\n{}", String::from_utf8_lossy(&built.stderr)));
        }
        let tested = self.cargo(&[select, filter].concat())?;
        let said = String::from_utf8_lossy(&tested.stdout);
        if !said.contains("... FAILED") {
            return Err("NOT CAUGHT".to_owned());
        }
        Ok(())
    }

    /// Resets the copy to the last commit, whatever was changed in it.
    fn refresh(&self) -> Result<(), String> {
        let origin = fs::canonicalize(root()).map_err(|error| error.to_string())?;
        let origin = origin.to_string_lossy();
        if !self.folder.exists() {
            let folder = self.folder.to_string_lossy();
            let clone = ["clone", "--quiet", "--shared", &origin, &folder];
            succeeded(Command::new("git").args(clone).output())?;
            let shared = root().join("../shared");
            // The packages that tests look for beside the checkout.
            if let (Ok(shared), Some(beside)) = (fs::canonicalize(shared), self.folder.parent()) {
                std::os::unix::fs::symlink(shared, beside.join("shared"))
                    .map_err(|error| error.to_string())?;
            }
        }
        self.git(&["fetch", "--quiet", &origin, "HEAD"])?;
        self.git(&["checkout", "--quiet", "--force", "FETCH_HEAD"])
    }

    fn git(&self, arguments: &[&str]) -> Result<(), String> {
        succeeded(Command::new("git").current_dir(&self.folder).args(arguments).output())
    }

    fn cargo(&self, arguments: &[&str]) -> Result<Output, String> {
        let mut command = Command::new("cargo");
        command.current_dir(&self.folder).arg("test").args(arguments).envs(FEW);
        // Cargo cannot tell the crates of two checkouts apart.
        command.env("CARGO_TARGET_DIR", target().join("patched/target"));
        command.output().map_err(|error| error.to_string())
    }
}

fn succeeded(output: io::Result<Output>) -> Result<(), String> {
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
