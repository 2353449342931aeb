//! `nuthatch push` as its users and their scripts see it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nuthatch_tests::{AssemblyBuilder, PackageBuilder, Pdb, Server, noise, nuthatch, symbols};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with packages, and a feed beside it.
struct Work {
    folder: TempDir,
    server: Server,
    key: String,
}

impl Work {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("data"), &[]);
        let key = server.owner.clone().unwrap();
        Self { folder, server, key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pack(&self, id: &str, version: &str) {
        let package = PackageBuilder::new(id, version).file("a.bin", &noise(1 << 20));
        std::fs::write(self.path(&format!("{id}.{version}.nupkg")), package.build()).unwrap();
    }

    fn source(&self) -> String {
        format!("http://{}/v3/index.json", self.server.address)
    }

    /// Runs `nuthatch push` in the folder, with this key in the environment.
    fn run(&self, key: &str, arguments: &[&str]) -> Output {
        let mut push = nuthatch();
        push.arg("push").args(arguments).current_dir(self.folder.path());
        push.env("HOME", self.folder.path()).env_remove("NUGET_API_KEY");
        if !key.is_empty() {
            push.env("NUGET_API_KEY", key);
        }
        push.output().unwrap()
    }

    fn push(&self, arguments: &[&str]) -> Output {
        let source = self.source();
        self.run(&self.key, &[arguments, &["--source", &source]].concat())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout);
    let mut lines: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["file"].as_str().unwrap().to_owned());
    lines
}

#[test]
fn packages_are_pushed_and_what_is_there_can_be_skipped() {
    let work = Work::start();
    work.pack("Acme", "1.0.0");
    work.pack("Acme", "1.1.0");
    let done = work.push(&["*.nupkg"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let said = text(&done.stdout);
    assert!(said.contains("Acme 1.0.0: pushed, 1.00 MiB in "), "{said}");
    work.pack("Acme", "2.0.0");
    let done = work.push(&["*.nupkg", "--skip-duplicate"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let said = text(&done.stdout);
    assert_eq!(said.matches("skipped, the feed has this version").count(), 2, "{said}");
    assert!(said.contains("Acme 2.0.0: pushed"), "{said}");
    let done = work.push(&["Acme.1.0.0.nupkg"]);
    assert_eq!(done.status.code(), Some(1));
    let said = text(&done.stderr);
    assert!(
        said.contains("Acme 1.0.0: refused with 409: the package 'Acme' 1.0.0 exists"),
        "{said}"
    );
    assert!(said.contains("nuthatch: 1 of 1 packages were not pushed"), "{said}");
}

#[test]
fn scripts_get_a_line_of_json_for_each_file() {
    let work = Work::start();
    work.pack("Acme", "1.0.0");
    work.push(&["Acme.1.0.0.nupkg"]);
    work.pack("Acme", "2.0.0");
    std::fs::write(work.path("broken.nupkg"), "nonsense").unwrap();
    let done = work.push(&["*.nupkg", "--json"]);
    assert_eq!(done.status.code(), Some(1));
    let mut lines = lines(&done);
    let seconds = lines[1].as_object_mut().unwrap().remove("seconds").unwrap();
    assert!(seconds.as_f64().is_some());
    for line in &mut lines {
        // The size must be there, but its value depends on how noise deflates.
        let size = line.as_object_mut().unwrap().remove("size");
        assert_eq!(size.is_some(), line["file"] != "broken.nupkg");
        line.sort_all_objects();
    }
    insta::assert_json_snapshot!(lines);
}

#[test]
fn a_source_and_its_key_come_out_of_nuget_config() {
    let work = Work::start();
    work.pack("Acme", "1.0.0");
    let config = format!(
        "<configuration><packageSources><add key=\"My Feed\" value=\"{}\" /></packageSources>\
         <packageSourceCredentials><My_x0020_Feed><add key=\"Username\" value=\"any\" />\
         <add key=\"ClearTextPassword\" value=\"{}\" /></My_x0020_Feed>\
         </packageSourceCredentials></configuration>",
        work.source(),
        work.key
    );
    std::fs::write(work.path("nuget.config"), config).unwrap();
    let done = work.run("", &["Acme.1.0.0.nupkg"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let done = work.run("", &["Acme.1.0.0.nupkg", "--source", "my feed", "--skip-duplicate"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    // The environment takes precedence.
    let done = work.run("nuthatch_wrong", &["Acme.1.0.0.nupkg"]);
    assert!(text(&done.stderr).contains("refused with 403"), "{}", text(&done.stderr));
}

/// A proxy to `server` that breaks two connections: the first after `bytes` bytes of
/// requests, and the second before the answer to that many.
fn breaking_proxy(server: &str, bytes: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, server) = (listener.local_addr().unwrap(), server.to_owned());
    std::thread::spawn(move || {
        for (at, client) in listener.incoming().enumerate() {
            let (mut client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let (mut answers, mut back) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            let sent = Arc::new(AtomicUsize::new(0));
            let forwarded = Arc::clone(&sent);
            std::thread::spawn(move || {
                let (mut server, mut buffer) = (server, vec![0; 64 * 1024]);
                while let Ok(read @ 1..) = client.read(&mut buffer) {
                    if forwarded.fetch_add(read, Ordering::SeqCst) + read > bytes && at == 0 {
                        let _ = client.shutdown(Shutdown::Both);
                        break;
                    }
                    server.write_all(&buffer[..read]).unwrap();
                }
                let _ = server.shutdown(Shutdown::Both);
            });
            std::thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(read @ 1..) = answers.read(&mut buffer) {
                    if sent.load(Ordering::SeqCst) > bytes && at == 1 {
                        break;
                    }
                    back.write_all(&buffer[..read]).unwrap();
                }
                let _ = back.shutdown(Shutdown::Both);
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn an_upload_that_breaks_off_is_made_up_for() {
    let work = Work::start();
    work.pack("Acme", "1.0.0");
    let proxy = breaking_proxy(&work.server.address, 700_000);
    let source = work.source();
    let done = nuthatch()
        .args(["push", "Acme.1.0.0.nupkg", "--source", &source])
        .current_dir(work.folder.path())
        .env("NUGET_API_KEY", &work.key)
        .env("http_proxy", &proxy)
        .output()
        .unwrap();
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{said}");
    // Once in the middle of the upload, and once after all of it had arrived.
    assert_eq!(said.matches("the upload failed and begins anew").count(), 2, "{said}");
    assert!(!said.contains("X-Amz-Signature"), "{said}");
    let again = work.push(&["Acme.1.0.0.nupkg", "--skip-duplicate"]);
    assert!(text(&again.stdout).contains("skipped"));
}

#[test]
fn what_cannot_be_done_says_what_to_do() {
    let work = Work::start();
    work.pack("Acme", "1.0.0");
    let (source, other) = (work.source(), format!("http://{}/", work.server.address));
    let nobody = "http://127.0.0.1:9/v3/index.json";
    for (key, arguments, remedy) in [
        ("k", &["nothing*.nupkg", "-s", &source][..], "check the path"),
        ("k", &["[", "-s", &source], "not a pattern"),
        ("", &["Acme.1.0.0.nupkg", "-s", &source], "NUGET_API_KEY"),
        ("k", &["Acme.1.0.0.nupkg"], "--source"),
        ("k", &["Acme.1.0.0.nupkg", "-s", "elsewhere"], "nuget.config"),
        ("k", &["Acme.1.0.0.nupkg", "-s", "ftp://x"], "https://FEED/v3/index.json"),
        ("k", &["Acme.1.0.0.nupkg", "-s", &other], "check the source"),
        ("k", &["Acme.1.0.0.nupkg", "-s", nobody], "does not answer"),
        ("k", &["Acme.1.0.0.nupkg", "-s", "http://192.0.2.1/x"], "--allow-insecure-connections"),
        ("k\n", &["Acme.1.0.0.nupkg", "-s", &source], "refused with 403"),
        ("k\u{1}k", &["Acme.1.0.0.nupkg", "-s", &source], "check NUGET_API_KEY"),
    ] {
        let done = work.run(key, arguments);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(remedy), "{arguments:?}: {said}");
    }
    assert_eq!(work.run("k", &[]).status.code(), Some(2));
    let help = text(&work.run("nuthatch_secret", &["--help"]).stdout);
    assert!(help.contains("NUGET_API_KEY") && !help.contains("nuthatch_secret"), "{help}");
}

impl Work {
    /// Packs a package and the symbols beside it, of the same build or of another one.
    fn pack_pair(&self, id: &str, pdb: &Pdb, of_symbols: &Pdb) {
        let assembly = AssemblyBuilder::of(pdb).build();
        let nupkg = PackageBuilder::new(id, "1.0.0").file("A.dll", &assembly).build();
        let snupkg = symbols(id, "1.0.0").file("A.pdb", &of_symbols.bytes).build();
        std::fs::write(self.path(&format!("{id}.1.0.0.nupkg")), nupkg).unwrap();
        std::fs::write(self.path(&format!("{id}.1.0.0.snupkg")), snupkg).unwrap();
    }
}

#[test]
fn the_symbols_beside_a_package_are_pushed_after_it() {
    let work = Work::start();
    let pdb = Pdb::new(b"one");
    work.pack_pair("Acme", &pdb, &pdb);
    let pushed = work.push(&["Acme.1.0.0.nupkg"]);
    assert!(pushed.status.success(), "{}", text(&pushed.stderr));
    let lines: Vec<String> = text(&pushed.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].starts_with("Acme 1.0.0, symbols: pushed"), "{lines:?}");
    // The package is there, and its symbols are welcome all the same.
    let again = work.push(&["*.nupkg", "*.snupkg", "--skip-duplicate", "--json"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let results: Vec<Value> =
        text(&again.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), 2, "each file once");
    assert_eq!((&results[0]["result"], &results[0]["kind"]), (&"skipped".into(), &Value::Null));
    assert_eq!((&results[1]["result"], &results[1]["kind"]), (&"pushed".into(), &"symbols".into()));
    let alone = work.push(&["Acme.1.0.0.snupkg"]);
    assert!(alone.status.success(), "{}", text(&alone.stderr));
}

#[test]
fn symbols_are_pushed_only_where_they_are_wanted_and_after_their_package() {
    let work = Work::start();
    let (pdb, other) = (Pdb::new(b"one"), Pdb::new(b"other"));
    work.pack_pair("Acme", &pdb, &other);
    let pushed = work.push(&["Acme.1.0.0.nupkg", "--no-symbols"]);
    assert!(pushed.status.success() && text(&pushed.stdout).lines().count() == 1);
    // The package is refused, so its symbols are not sent.
    let refused = work.push(&["Acme.1.0.0.nupkg"]);
    let said = text(&refused.stderr);
    assert!(said.contains("Acme.1.0.0.snupkg: its package was not pushed"), "{said}");
    assert!(said.contains("2 of 2 packages were not pushed"), "{said}");
    let refused = work.push(&["Acme.1.0.0.nupkg", "--skip-duplicate"]);
    let said = text(&refused.stderr);
    assert!(said.contains("Acme 1.0.0, symbols: refused with 400: no assembly"), "{said}");
}
