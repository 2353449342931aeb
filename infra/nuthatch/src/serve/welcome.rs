//! The text that the server prints when it starts: all that is needed to use it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use access::ApiKey;
use feed::ReadAccess;
use protocol::BaseUrl;

/// Prints the welcome; with the owner's key, where this is the first start.
pub(super) fn print(
    base_url: &BaseUrl,
    data: &Path,
    read_access: ReadAccess,
    owner: Option<&ApiKey>,
) -> io::Result<()> {
    let text = text(base_url, data, read_access, owner);
    io::stdout().write_all(text.as_bytes())?;
    io::stdout().flush()
}

fn text(
    base_url: &BaseUrl,
    data: &Path,
    read_access: ReadAccess,
    owner: Option<&ApiKey>,
) -> String {
    let source = format!("{}{}", base_url.0, protocol::paths::INDEX);
    let flag = if base_url.0.starts_with("http://") { " --allow-insecure-connections" } else { "" };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Nuthatch serves {source}");
    let _ = writeln!(text, "and pages for people at {}/", base_url.0);
    let _ = writeln!(text, "from {}", data.display());
    let Some(owner) = owner.map(ApiKey::reveal) else {
        let _ = writeln!(text, "Keys: nuthatch key list --data '{}'\n", data.display());
        return text;
    };
    let key = (read_access == ReadAccess::Keys).then_some(owner);
    let configuration = protocol::nuget_config(&base_url.0, key);
    let _ = writeln!(
        text,
        "
The owner's key, which may do everything. It is shown only now:

  {owner}

Push a package (older clients than .NET 10 know no --allow-insecure-connections;
put the source into nuget.config for them):

  dotnet nuget push Your.Package.1.0.0.nupkg --source {source} --api-key {owner}{flag}

Restore packages, with this nuget.config:

{configuration}
"
    );
    text
}
