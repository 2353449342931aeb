"""A copy of the last commit to break, in the build folder, with a build of its own."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
COPY = TARGET / "mutations" / "checkout"
# Cargo takes crates of two checkouts for the same ones.
BUILD = TARGET / "mutations" / "target"
# The proofs try enough, and not all.
FEW = {"NUTHATCH_ORDERS": "150", "NUTHATCH_HISTORIES": "20", "INSTA_UPDATE": "no"}
ENVIRONMENT = os.environ | FEW | {"CARGO_TARGET_DIR": str(BUILD), "RUST_BACKTRACE": "0"}


def run(*command, **options):
    options = {"cwd": COPY, "text": True, "capture_output": True, "env": ENVIRONMENT} | options
    return subprocess.run(command, **options)


def fresh_copy():
    if not COPY.exists():
        COPY.parent.mkdir(parents=True, exist_ok=True)
        run("git", "clone", "--quiet", str(ROOT), str(COPY), cwd=ROOT, check=True)
        # Where the tests look for the corpus of packages.
        if (ROOT.parent / "shared").exists():
            (COPY.parent / "shared").symlink_to(ROOT.parent / "shared")
    run("git", "fetch", "--quiet", str(ROOT), "HEAD", check=True)
    run("git", "checkout", "--quiet", "--force", "FETCH_HEAD", check=True)
