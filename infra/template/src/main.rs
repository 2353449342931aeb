//! Assembles template.yaml: `template` writes it, and `template --check` fails if the existing
//! file differs.
//!
//! | source | parts of the template |
//! |---|---|
//! | `functions/<name>/function.yaml` | the function's properties and what its role may do |
//! | the routes that a verb declares | its events, and the gateway's throttling of pushes |
//! | the folders under functions/ | logs, roles, and the alarms of each and of all |
//! | `infra/template/parts/` | parameters, gateway, state, dashboard, outputs |

mod alarms;
mod function;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use access::Scope;
use protocol::{Access, Route, paths};

use function::{Function, FunctionError};

const HEADER: &str = "# Assembled by `cargo xtask template` out of functions/*/function.yaml, the routes of the\n\
    # verbs, and infra/template/parts: change those.\n";

/// The template cannot be assembled.
#[derive(Debug, thiserror::Error)]
enum TemplateError {
    /// A function is not described as it should be.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// A file cannot be read or written.
    #[error("cannot use {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            report("template.yaml is stale; run cargo xtask template");
            ExitCode::FAILURE
        }
        Err(error) => {
            report(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a command's output")]
fn report(line: &str) {
    eprintln!("{line}");
}

/// Writes the template, or checks it; returns whether the file is up to date.
fn run() -> Result<bool, TemplateError> {
    // The checkout that this is run in, and not the one that it was built in: two may share
    // a build folder.
    let manifest = env::var_os("CARGO_MANIFEST_DIR");
    let manifest = manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&manifest).join("../..");
    let file = root.join("template.yaml");
    let template = assemble(&root)?;
    if env::args().any(|argument| argument == "--check") {
        return Ok(read(&file)? == template);
    }
    fs::write(&file, template).map_err(|source| TemplateError::File { path: file, source })?;
    Ok(true)
}

fn assemble(root: &Path) -> Result<String, TemplateError> {
    let part = |name: &str| read(&root.join("infra/template/parts").join(name));
    let folders = root.join("functions");
    let functions = Function::all(&folders)?;
    let gateway = part("gateway.yaml")?
        .replace("        # {push routes}\n", &throttled(pushes, "PushesPerSecond"))
        .replace("        # {token routes}\n", &throttled(gives_keys, "TokensPerSecond"));
    let mut resources = vec![gateway];
    resources.extend(functions.iter().map(Function::resources));
    resources.push(part("state.yaml")?);
    resources.push(alarms::of(&functions));
    resources.push(part("watch.yaml")?);
    let (head, outputs) = (part("parameters.yaml")?, part("outputs.yaml")?);
    Ok(format!("{HEADER}{head}\nResources:\n{}\n{outputs}", resources.join("\n")))
}

/// Whether a route pushes.
fn pushes(route: &Route) -> bool {
    route.access == Access::Key(Scope::Push)
}

/// Whether a route gives keys to callers that have none.
fn gives_keys(route: &Route) -> bool {
    route.path == paths::TOKEN
}

/// The routes of this kind, each with a limit of its own.
fn throttled(is_of_kind: fn(&Route) -> bool, limit: &str) -> String {
    let routes = registry::ROUTES.iter().flat_map(|(_, routes)| *routes);
    let routes = routes.filter(|route| is_of_kind(route));
    let methods = routes.flat_map(|route| {
        route.methods.iter().map(move |method| {
            format!(
                "        - ResourcePath: {}\n          HttpMethod: {method}\n          \
                 ThrottlingRateLimit: !Ref {limit}\n          \
                 ThrottlingBurstLimit: !Ref {limit}\n",
                // As a part of a JSON pointer (RFC 6901).
                format_args!("/{}", route.path.replace('/', "~1")),
            )
        })
    });
    methods.collect()
}

fn read(path: &Path) -> Result<String, TemplateError> {
    fs::read_to_string(path).map_err(|source| TemplateError::File { path: path.to_owned(), source })
}
