//! The nuget.config of a client.

use crate::paths;

/// A nuget.config that knows the feed at `base`, with `key` as the password of the source
/// where reading needs one.
#[must_use]
pub fn nuget_config(base: &str, key: Option<&str>) -> String {
    let index = paths::INDEX;
    // Older clients know no such attribute, and newer ones ask for it.
    let insecure =
        if base.starts_with("http://") { " allowInsecureConnections=\"true\"" } else { "" };
    let credentials = key.map_or_else(String::new, |key| {
        format!(
            "  <packageSourceCredentials>
    <nuthatch>
      <add key=\"Username\" value=\"any\" />
      <add key=\"ClearTextPassword\" value=\"{key}\" />
    </nuthatch>
  </packageSourceCredentials>
"
        )
    });
    format!(
        "<configuration>
  <packageSources>
    <add key=\"nuthatch\" value=\"{base}{index}\"{insecure} />
  </packageSources>
{credentials}</configuration>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_credentials_and_leave_to_be_insecure_where_it_needs_them() {
        let private = nuget_config("http://feed", Some("KEY"));
        assert!(private.contains("value=\"http://feed/v3/index.json\" allowInsecureConnections"));
        assert!(private.contains("<add key=\"ClearTextPassword\" value=\"KEY\" />"));
        let open = nuget_config("https://feed", None);
        assert!(!open.contains("Credentials") && !open.contains("allowInsecure"));
    }
}
