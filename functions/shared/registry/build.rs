//! Generates the list of verbs: the manifest's dependencies that are two folders up.

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=Cargo.toml");
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    let verbs = manifest.lines().filter(|line| line.contains("path = \"../../"));
    let verbs: Vec<String> = verbs
        .filter_map(|line| line.split_whitespace().next())
        .map(|name| format!("{}::{}", name.replace('-', "_"), camel_case(name)))
        .collect();
    let mut code = String::from(
        "/// The routes of all verbs, by their names.\n\
         pub const ROUTES: &[(&str, &[protocol::Route])] = &[\n",
    );
    for verb in &verbs {
        let _ =
            writeln!(code, "    (<{verb} as feed::Verb>::NAME, <{verb} as feed::Verb>::ROUTES),");
    }
    code.push_str("];\n\nconst MAKERS: &[Maker] = &[\n");
    for verb in &verbs {
        let _ = writeln!(code, "    feed::AnyVerb::new::<{verb}>,");
    }
    code.push_str("];\n");
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("verbs.rs"), code)
}

fn camel_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_uppercase() + rest
    });
    words.collect()
}
