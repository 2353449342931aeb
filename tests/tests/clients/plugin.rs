//! Row 40, by NuGet's own code: it asks the plugin for the key of a person who signed in.

use std::process::Command;

use nuthatch_tests::{PackageBuilder, nuthatch};
use serde_json::json;

use crate::NuGet;

impl NuGet {
    /// Installs a package without credentials in nuget.config, by the plugin of somebody who
    /// has this key.
    fn install_with_plugin(&self, id: &str, key: &str) -> crate::Said {
        let (plugin, person) = (self.path("nuget-plugin-nuthatch"), self.path("person"));
        let _ = std::os::unix::fs::symlink(nuthatch().get_program(), &plugin);
        std::fs::create_dir_all(&person).unwrap();
        let feed = format!("http://{}", self.address());
        let pin = json!({ &feed: {"way": "aws-iam", "trust": "people"} });
        std::fs::write(person.join("sign-ins.json"), pin.to_string()).unwrap();
        let kept = json!({ &feed: {"key": key, "expires": i64::MAX} });
        std::fs::write(person.join("keys.json"), kept.to_string()).unwrap();
        let with_plugin = |command: &mut Command| {
            command.env("NUGET_NETFX_PLUGIN_PATHS", &plugin);
            command.env("NUTHATCH_CONFIG", &person).env("NUTHATCH_KEY_STORE", "file");
            // Nobody's credentials: a refused key cannot be replaced.
            command.env("AWS_REGION", "eu-west-1").env("AWS_EC2_METADATA_DISABLED", "true");
            command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        };
        let arguments = ["install", id, "-OutputDirectory", "out", "-ConfigFile", "nuget.config"];
        let more = ["-NoCache", "-DirectDownload", "-Verbosity", "detailed"];
        self.run_as(&[&arguments[..], &more].concat(), with_plugin)
    }
}

#[test]
#[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
fn a_person_who_signed_in_restores_by_the_plugin() {
    let nuget = NuGet::start();
    nuget.pack("a.nupkg", &PackageBuilder::new("Acme", "1.0.0"));
    nuget.push_with_key("a.nupkg", &[]).is_success("Your package was pushed.");
    nuget.configure("");
    nuget.install_with_plugin("Acme", "nuthatch_wrong").is_failure("401 (The feed does not know");
    let said = nuget.install_with_plugin("Acme", nuget.key());
    said.is_success("Successfully installed 'Acme 1.0.0'");
    assert!(said.text.contains("nuget-plugin-nuthatch as a credential provider"), "{}", said.text);
    assert!(!said.text.contains("nuthatch_"), "{}", said.text);
}
