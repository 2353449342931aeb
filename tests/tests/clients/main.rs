//! The real client, unmodified, against the real command.

mod plugin;
mod symbols;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::StatusCode;
use nuthatch_tests::{
    CorpusPackage, Deployed, INSTALL_OPTIONS, PackageBuilder, Relay, Server, TestFeed, corpus,
    noise, nuspec, nuthatch, write_large_package,
};
use sha2::{Digest, Sha256};
use store::Clock;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::runtime::Runtime;

use symbols::{
    bad_symbols_say_why_and_their_package_is_in,
    symbols_are_pushed_along_and_again_and_not_where_they_are_not_wanted,
};

/// nuget.exe with a home, a configuration and a feed of its own.
struct NuGet {
    folder: TempDir,
    feed: Feed,
}

/// Where the feed runs.
enum Feed {
    Served(Server),
    Deployed(Deployed),
}

/// The output of nuget.exe, and whether it succeeded.
struct Said {
    success: bool,
    text: String,
}

impl NuGet {
    /// A feed that everybody may read, and no credentials.
    fn anonymous() -> Self {
        Self::anonymous_in(tempfile::tempdir().unwrap())
    }

    /// A feed that everybody may read, with the packages in `folder`.
    fn anonymous_in(folder: TempDir) -> Self {
        let server = Server::start(folder.path(), &["--read-access", "anonymous"]);
        let nuget = Self { folder, feed: Feed::Served(server) };
        nuget.configure("");
        nuget
    }

    /// A feed of the functions' binaries, that has its owner's key as the source's
    /// credentials.
    fn deployed() -> Self {
        Self::with_credentials(tempfile::tempdir().unwrap(), Feed::Deployed(Deployed::start()))
    }

    /// A feed that has its owner's key as the source's credentials.
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("data"), options);
        Self::with_credentials(folder, Feed::Served(server))
    }

    fn with_credentials(folder: TempDir, feed: Feed) -> Self {
        let nuget = Self { folder, feed };
        let key = nuget.key();
        nuget.configure(&format!(
            "<packageSourceCredentials><feed><add key=\"Username\" value=\"any\" />\
             <add key=\"ClearTextPassword\" value=\"{key}\" /></feed></packageSourceCredentials>"
        ));
        nuget
    }

    fn configure(&self, credentials: &str) {
        let source = self.source();
        let config = format!(
            "<configuration><packageSources><clear /><add key=\"feed\" value=\"{source}\" \
             allowInsecureConnections=\"true\" /></packageSources>{credentials}</configuration>"
        );
        std::fs::write(self.path("nuget.config"), config).unwrap();
    }

    fn key(&self) -> &str {
        match &self.feed {
            Feed::Served(server) => server.owner.as_deref().unwrap(),
            Feed::Deployed(deployed) => &deployed.owner,
        }
    }

    fn address(&self) -> &str {
        match &self.feed {
            Feed::Served(server) => &server.address,
            Feed::Deployed(deployed) => &deployed.address,
        }
    }

    fn source(&self) -> String {
        format!("http://{}/v3/index.json", self.address())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_as(arguments, |_| {})
    }

    /// Runs it with a change of its environment.
    fn run_as(&self, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Said {
        let mut command = Command::new("mono");
        command
            .arg(std::env::var_os("NUGET_EXE").unwrap())
            .args(arguments)
            .arg("-NonInteractive")
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("XDG_DATA_HOME", self.path("share"))
            .env("NUGET_PACKAGES", self.path("global"));
        change(&mut command);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        Said { success: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    fn push(&self, package: &str, more: &[&str]) -> Said {
        let source = self.source();
        self.run(&[&["push", package, "-Source", &source][..], more].concat())
    }

    fn push_with_key(&self, package: &str, more: &[&str]) -> Said {
        self.push(package, &[&["-ApiKey", self.key()][..], more].concat())
    }

    /// Writes a package to a file of this name.
    fn pack(&self, name: &str, package: &PackageBuilder) {
        std::fs::write(self.path(name), package.build()).unwrap();
    }

    /// Installs the newest version of an id; returns the folders that this creates.
    fn install_newest(&self, id: &str, more: &[&str]) -> (Said, Vec<String>) {
        let said = self.run(&[&["install", id][..], &INSTALL_OPTIONS, more].concat());
        let mut folders: Vec<String> = match std::fs::read_dir(self.path("out")) {
            Ok(folders) => {
                let names = folders.map(|folder| folder.unwrap().file_name());
                names.map(|name| name.into_string().unwrap()).collect()
            }
            Err(_) => Vec::new(),
        };
        folders.sort();
        let _ = std::fs::remove_dir_all(self.path("out"));
        (said, folders)
    }

    /// Installs exact versions; gives the SHA-256 of each nupkg.
    fn install(&self, packages: &BTreeMap<String, String>) -> Vec<Vec<u8>> {
        let mut config = "<packages>".to_owned();
        for (id, version) in packages {
            let line =
                format!("<package id=\"{id}\" version=\"{version}\" targetFramework=\"net45\" />");
            writeln!(config, "{line}").unwrap();
        }
        config.push_str("</packages>");
        std::fs::write(self.path("packages.config"), config).unwrap();
        let said = self.run(&[&["install", "packages.config"][..], &INSTALL_OPTIONS].concat());
        assert!(said.success, "{}", said.text);
        let folders = std::fs::read_dir(self.path("out")).unwrap();
        let folders: Vec<_> = folders.map(|folder| folder.unwrap().path()).collect();
        // Each package is named like its folder; some packages contain others.
        let package = |folder: &PathBuf| {
            let name = folder.file_name().unwrap().to_str().unwrap();
            sha256(&folder.join(format!("{name}.nupkg")))
        };
        let installed = folders.iter().map(package).collect();
        std::fs::remove_dir_all(self.path("out")).unwrap();
        installed
    }
}

fn sha256(file: &Path) -> Vec<u8> {
    Sha256::digest(std::fs::read(file).unwrap()).to_vec()
}

impl Said {
    #[track_caller]
    fn is_success(&self, with: &str) {
        assert!(self.success && self.text.contains(with), "{}", self.text);
    }

    #[track_caller]
    fn is_failure(&self, with: &str) {
        assert!(!self.success && self.text.contains(with), "{}", self.text);
    }
}

/// Runs each test on a server and on the functions' binaries.
macro_rules! on_both {
    ($($(#[$needs:meta])* $test:ident;)+) => {
        mod on_serve {
            $($(#[$needs])*
            #[test]
            #[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
            fn $test() {
                super::$test(&super::NuGet::start());
            })+
        }
        mod on_binaries {
            $($(#[$needs])*
            #[test]
            #[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
            fn $test() {
                super::$test(&super::NuGet::deployed());
            })+
        }
    };
}

on_both! {
    #[cfg_attr(not(has_corpus), ignore = "the corpus of real packages is not beside this checkout")]
    every_real_package_is_pushed_and_installed_back_byte_by_byte;
    a_second_push_is_a_conflict_that_can_be_skipped;
    a_deleted_package_can_still_be_installed_by_its_version;
    symbols_are_pushed_along_and_again_and_not_where_they_are_not_wanted;
    bad_symbols_say_why_and_their_package_is_in;
}

fn every_real_package_is_pushed_and_installed_back_byte_by_byte(nuget: &NuGet) {
    let (taken, refused): (Vec<_>, Vec<_>) =
        corpus().into_iter().partition(CorpusPackage::is_taken);
    assert!(taken.len() > 100 && refused.len() > 10, "{} {}", taken.len(), refused.len());
    // Some versions are in the corpus twice: the first push of each counts.
    let mut first: BTreeMap<(String, String), &CorpusPackage> = BTreeMap::new();
    std::fs::create_dir(nuget.path("taken")).unwrap();
    for package in &taken {
        let (id, version) = (package.id.to_lowercase(), package.normalized.clone());
        let file = nuget.path(&format!("taken/{id}.{version}.nupkg"));
        first.entry((id, version)).or_insert_with(|| {
            std::fs::copy(&package.path, file).unwrap();
            package
        });
    }
    let said = nuget.push_with_key("taken/*.nupkg", &[]);
    said.is_success("Your package was pushed.");
    assert_eq!(said.text.matches("Your package was pushed.").count(), first.len());
    // Symbols are pushed after their package, in tests of their own.
    let refused = refused.iter().filter(|package| !package.name().ends_with(".snupkg"));
    for package in refused.clone() {
        let said = nuget.push_with_key(package.path.to_str().unwrap(), &[]);
        said.is_failure("400 (");
        assert!(said.text.contains("WARNING: the "), "{}: {}", package.name(), said.text);
    }
    // A packages.config holds one version of an id.
    let mut rest: BTreeSet<_> = first.keys().cloned().collect();
    let mut installed = Vec::new();
    while !rest.is_empty() {
        let round: BTreeMap<_, _> = rest.iter().cloned().collect();
        rest.retain(|(id, version)| round[id] != *version);
        installed.extend(nuget.install(&round));
    }
    installed.sort();
    let mut pushed: Vec<_> = first.values().map(|package| sha256(&package.path)).collect();
    pushed.sort();
    assert_eq!(installed, pushed);
    println!("{} pushed and installed back, {} refused", first.len(), refused.count());
}

fn a_second_push_is_a_conflict_that_can_be_skipped(nuget: &NuGet) {
    nuget.pack("a.nupkg", &PackageBuilder::new("Acme", "1.0.0"));
    nuget.push_with_key("a.nupkg", &[]).is_success("Your package was pushed.");
    let said = nuget.push_with_key("a.nupkg", &[]);
    said.is_failure("409 (");
    said.is_failure("WARNING: the package 'Acme' 1.0.0 exists already; push a new version");
    nuget.push_with_key("a.nupkg", &["-SkipDuplicate"]).is_success("already exists at feed");
}

fn a_deleted_package_can_still_be_installed_by_its_version(nuget: &NuGet) {
    nuget.pack("a.nupkg", &PackageBuilder::new("Acme", "1.0.0-RC.1+build"));
    nuget.push_with_key("a.nupkg", &[]).is_success("Your package was pushed.");
    let (source, key) = (nuget.source(), nuget.key());
    let delete =
        |version| nuget.run(&["delete", "Acme", version, "-Source", &source, "-ApiKey", key]);
    delete("1.0-rc.1+meta").is_success("was deleted successfully");
    delete("1.0-rc.1").is_success("was deleted successfully");
    delete("2.0").is_failure("the feed has no package 'Acme' 2.0.0; check id and version");
    let installed = nuget.install(&[("Acme".to_owned(), "1.0.0-RC.1".to_owned())].into());
    assert_eq!(installed, [sha256(&nuget.path("a.nupkg"))]);
}

#[test]
#[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
fn a_large_push_that_is_refused_is_explained_after_one_upload() {
    let nuget = NuGet::start_with(&["--max-package-bytes", "200000000"]);
    nuget.configure("");
    write_large_package(&nuget.path("a.nupkg"), ("Acme", "1.0.0"), 250_000_000);
    let refused = |said: &Said, status: &str, words: &str| {
        said.is_failure(words);
        said.is_failure(status);
        assert_eq!(said.text.matches("PUT http").count(), 1, "{}", said.text);
    };
    let said = nuget.push("a.nupkg", &["-ApiKey", "wrong"]);
    let status = "403 (The feed does not know this API key: check it)";
    refused(&said, status, "WARNING: the feed does not know this API key");
    let said = nuget.push("a.nupkg", &[]);
    refused(&said, "401 (No API key was sent: pass one with --api-key)", "");
    // The client warns by itself that it has no key; the feed does not add to that.
    assert_eq!(said.text.matches("WARNING: ").count(), 1, "{}", said.text);
    let said = nuget.push_with_key("a.nupkg", &[]);
    let warning = "WARNING: the package is larger than the 200000000 bytes that this feed takes";
    refused(&said, "413", warning);
}

#[test]
#[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
fn a_relay_says_what_the_feed_says() {
    let nuget = NuGet::start();
    let relay = Relay::start(&nuget.source());
    let source = format!("http://{}/v3/index.json", relay.address);
    let push = |key: &str, more: &[&str]| {
        let arguments = ["push", "a.nupkg", "-Source", &source, "-ApiKey", key];
        nuget.run(&[&arguments[..], more].concat())
    };
    nuget.pack("a.nupkg", &PackageBuilder::new("Acme", "1.0.0").file("large", &noise(9 << 20)));
    let said = push("wrong", &[]);
    said.is_failure("WARNING: the feed does not know this API key");
    said.is_failure("403 (The feed does not know this API key: check it)");
    assert_eq!(said.text.matches("PUT http").count(), 1, "{}", said.text);
    push(nuget.key(), &[]).is_success("Your package was pushed.");
    let said = push(nuget.key(), &[]);
    said.is_failure("409 (");
    said.is_failure("WARNING: the package 'Acme' 1.0.0 exists already; push a new version");
    push(nuget.key(), &["-SkipDuplicate"]).is_success("already exists at feed");
    let delete = ["delete", "Acme", "1.0.0", "-Source", &source, "-ApiKey", nuget.key()];
    nuget.run(&delete).is_success("was deleted successfully");
    nuget.pack("a.nupkg", &PackageBuilder::new("a b", "1.0.0"));
    push(nuget.key(), &[]).is_failure("400 (The package breaks a rule");
    let installed = nuget.install(&[("Acme".to_owned(), "1.0.0".to_owned())].into());
    assert_eq!(installed.len(), 1);
}

#[test]
#[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
fn a_source_with_credentials_needs_no_key_besides() {
    let nuget = NuGet::start();
    nuget.pack("a.nupkg", &PackageBuilder::new("Acme", "1.0.0"));
    nuget.push("a.nupkg", &[]).is_success("Your package was pushed.");
}

#[test]
#[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
fn a_source_in_the_old_style_works_too() {
    let nuget = NuGet::start();
    nuget.pack("a.nupkg", &PackageBuilder::new("Acme", "1.0.0"));
    for (source, said) in [("", "Your package was pushed."), ("api/v2/package", "409 (")] {
        let source = format!("http://{}/{source}", nuget.address());
        let pushed = nuget.run(&["push", "a.nupkg", "-Source", &source, "-ApiKey", nuget.key()]);
        assert!(pushed.text.contains(said), "{}", pushed.text);
    }
}

/// Three packages that need each other, and versions to choose from.
fn push_a_family(nuget: &NuGet) {
    let needs = |id: &str, range: &str| {
        format!("<dependencies><dependency id=\"{id}\" version=\"{range}\" /></dependencies>")
    };
    let packages = [
        ("Acme.App", "1.0.0", needs("Acme.Core", "[1.0, 2.0)")),
        ("Acme.App", "1.1.0-beta", needs("Acme.Core", "2.0")),
        ("Acme.Core", "1.0.0", needs("Acme.Base", "0.1")),
        ("Acme.Core", "1.5.0", needs("Acme.Base", "0.1")),
        ("Acme.Core", "2.0.0", needs("Acme.Base", "0.2")),
        ("Acme.Base", "0.1.0", String::new()),
        ("Acme.Base", "0.2.0", String::new()),
        ("Acme.Base", "0.3.0-rc.1+build", String::new()),
    ];
    for (id, version, more) in packages {
        let package = PackageBuilder::default()
            .nuspec(&nuspec(id, version, &more))
            .file("lib/net45/_._", b"");
        nuget.pack(&format!("family.{id}.{version}.nupkg"), &package);
    }
    let said = nuget.push_with_key("family.*.nupkg", &[]);
    assert_eq!(said.text.matches("Your package was pushed.").count(), 8, "{}", said.text);
}

#[test]
#[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
fn the_newest_version_is_installed_with_what_it_needs() {
    for nuget in [NuGet::start(), NuGet::anonymous()] {
        push_a_family(&nuget);
        let (said, folders) = nuget.install_newest("acme.app", &[]);
        said.is_success("Successfully installed 'Acme.App 1.0.0'");
        assert_eq!(folders, ["Acme.App.1.0.0", "Acme.Base.0.1.0", "Acme.Core.1.0.0"]);
        let (_, folders) =
            nuget.install_newest("Acme.App", &["-DependencyVersion", "Highest", "-Prerelease"]);
        assert_eq!(folders, ["Acme.App.1.1.0-beta", "Acme.Base.0.3.0-rc.1", "Acme.Core.2.0.0"]);
        let (said, _) = nuget.install_newest("Acme.Nothing", &[]);
        said.is_failure("Unable to find package 'Acme.Nothing'");
        let (_, folders) = nuget.install_newest("Acme.Core", &["-Version", "1.5.0"]);
        assert_eq!(folders, ["Acme.Base.0.1.0", "Acme.Core.1.5.0"]);
    }
}

#[test]
#[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
fn packages_are_found_by_who_searches() {
    for nuget in [NuGet::start(), NuGet::anonymous()] {
        push_a_family(&nuget);
        let source = nuget.source();
        let search = |question: &str, more: &[&str]| {
            let arguments = ["search", question, "-Source", &source];
            nuget.run(&[&arguments[..], more].concat())
        };
        let said = search("core", &[]);
        said.is_success("Acme.Core | 2.0.0");
        assert!(!said.text.contains("Acme.Base"), "{}", said.text);
        search("acme", &["-Take", "2"]).is_success("Acme.App | 1.0.0");
        search("base", &["-PreRelease"]).is_success("Acme.Base | 0.3.0-rc.1");
        search("nothing", &[]).is_success("No results found.");
    }
}

#[test]
#[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
fn a_search_shows_the_downloads_until_yesterday() {
    let folder = Runtime::new().unwrap().block_on(async {
        let today = OffsetDateTime::now_utc();
        let clock = Clock::at(today - time::Duration::DAY);
        let feed = TestFeed::start().await.by_clock(&clock);
        let owner = feed.owner().await;
        for (id, version) in [("Acme.Core", "1.0.0"), ("Acme.Core", "2.0.0"), ("Acme.New", "1.0.0")]
        {
            owner.push(&PackageBuilder::new(id, version).build()).await.expect(StatusCode::CREATED);
        }
        for version in ["1.0.0", "2.0.0", "2.0.0"] {
            owner.nupkg("acme.core", version).await.expect(StatusCode::OK);
        }
        drop(owner);
        clock.set(today);
        feed.meter().await;
        feed.into_folder()
    });
    let nuget = NuGet::anonymous_in(folder);
    let said = nuget.run(&["search", "acme", "-Source", &nuget.source()]);
    said.is_success("Acme.Core | 2.0.0 | Downloads: 3");
    said.is_success("Acme.New | 1.0.0 | Downloads: N/A");
}

#[test]
#[cfg_attr(not(has_nuget), ignore = "needs mono on the PATH and nuget.exe at NUGET_EXE")]
fn who_lists_in_the_old_way_is_told_that_it_does_not_work() {
    let nuget = NuGet::start();
    let source = nuget.source();
    let said = nuget.run(&["list", "-Source", &source, "-ConfigFile", "nuget.config"]);
    assert!(said.text.contains("does not support listing packages"), "{}", said.text);
}

#[test]
#[cfg_attr(not(has_smoke), ignore = "needs bash, curl and python3")]
fn the_smoke_script_finds_a_deployed_feed_well() {
    let deployed = Deployed::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/smoke");
    let source = format!("http://{}/v3/index.json", deployed.address);
    let smoke = |key: &str| {
        let nuthatch = nuthatch();
        let mut smoke = Command::new(&script);
        smoke.arg(&source).env("NUGET_API_KEY", key).env("NUTHATCH", nuthatch.get_program());
        smoke.output().unwrap()
    };
    let output = smoke(&deployed.owner);
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("NOTE  a push of 5 MB is answered 413: the package is too large"));
    assert!(!smoke("wrong").status.success());
}
