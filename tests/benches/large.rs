//! The cost of large packages: the time, next to the time of only writing and hashing the
//! same bytes; the server's memory; and the bytes that a commit reads.
//!
//! `cargo bench -p nuthatch-tests --bench large`; with `clients`, also the real nuget.exe
//! (`NUGET_EXE`, mono on the PATH).

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nuthatch_tests::{INSTALL_OPTIONS, Relay, Server, nuthatch, write_large_package};
use sha2::{Digest, Sha256};

type Done = Result<(), Box<dyn Error>>;

const MB: u64 = 1_000_000;

fn main() -> Done {
    let folder = tempfile::tempdir_in(std::env::var_os("BENCH_DATA").unwrap_or("/tmp".into()))?;
    throughput(folder.path())?;
    memory(folder.path())?;
    direct(folder.path())?;
    if std::env::args().any(|argument| argument == "clients") {
        clients(folder.path())?;
    }
    Ok(())
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Sends a push as NuGet does: chunked, all of it before the answer is read.
fn push(server: &Server, key: &str, package: &Path) -> Result<String, Box<dyn Error>> {
    let mut stream = std::net::TcpStream::connect(&server.address)?;
    let mut file = File::open(package)?;
    write!(
        stream,
        "PUT /api/v2/package/ HTTP/1.1\r\nHost: x\r\nX-NuGet-ApiKey: {key}\r\n\
         Content-Type: multipart/form-data; boundary=\"b\"\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n"
    )?;
    let mut chunk = |bytes: &[u8]| -> std::io::Result<()> {
        write!(stream, "{:x}\r\n", bytes.len())?;
        stream.write_all(bytes)?;
        stream.write_all(b"\r\n")
    };
    chunk(b"--b\r\nContent-Disposition: form-data; name=package\r\n\r\n")?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        chunk(&buffer[..read])?;
    }
    chunk(b"\r\n--b--\r\n")?;
    stream.write_all(b"0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// The floor: the same bytes written to the same disk and hashed.
fn floor(package: &Path, copy: &Path, synced: bool) -> Result<Duration, Box<dyn Error>> {
    let (mut from, mut to) = (File::open(package)?, File::create(copy)?);
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let start = Instant::now();
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        let bytes = &buffer[..read];
        sha256.update(bytes);
        to.write_all(bytes)?;
    }
    if synced {
        to.sync_all()?;
    }
    std::hint::black_box(sha256.finalize());
    let took = start.elapsed();
    std::fs::remove_file(copy)?;
    Ok(took)
}

fn throughput(folder: &Path) -> Done {
    let server = Server::start(&folder.join("throughput"), &[]);
    let owner = server.owner.clone().ok_or("no owner")?;
    let package = folder.join("a.nupkg");
    println!("push of 250 MB beside writing and hashing the same bytes:");
    for round in 0..5 {
        let version = format!("{round}.0.0");
        write_large_package(&package, ("Acme.Large", &version), 250 * MB);
        let bare = floor(&package, &folder.join("copy"), false)?;
        let synced = floor(&package, &folder.join("copy"), true)?;
        let start = Instant::now();
        let answer = push(&server, &owner, &package)?;
        let pushed = start.elapsed();
        println!(
            "  {answer}: {:.2} s; floor {:.2} s ({:.0} %), on the disk {:.2} s ({:.0} %)",
            seconds(pushed),
            seconds(bare),
            100.0 * seconds(bare) / seconds(pushed),
            seconds(synced),
            100.0 * seconds(synced) / seconds(pushed),
        );
    }
    Ok(())
}

fn memory(folder: &Path) -> Done {
    let data = folder.join("memory");
    let server = Server::start(&data, &[]);
    let owner = server.owner.clone().ok_or("no owner")?;
    let packages: Vec<_> = (0..8).map(|at| folder.join(format!("m{at}.nupkg"))).collect();
    for (at, package) in packages.iter().enumerate() {
        write_large_package(package, (&format!("Acme.Large{at}"), "1.0.0"), 250 * MB);
    }
    let start = Instant::now();
    std::thread::scope(|scope| {
        let pushes: Vec<_> = packages
            .iter()
            .map(|package| scope.spawn(|| push(&server, &owner, package).unwrap()))
            .collect();
        for push in pushes {
            println!("  {}", push.join().unwrap());
        }
    });
    println!("8 pushes of 250 MB at once: {:.1} s, {}", seconds(start.elapsed()), peak(&server)?);
    Ok(())
}

fn peak(server: &Server) -> Result<String, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn direct(folder: &Path) -> Done {
    let server = Server::start(&folder.join("direct"), &[]);
    let owner = server.owner.clone().ok_or("no owner")?;
    let package = folder.join("direct.nupkg");
    write_large_package(&package, ("Acme.Large", "1.0.0"), 1000 * MB);
    let start = Instant::now();
    let status = nuthatch()
        .arg("push")
        .arg(&package)
        .args(["--source", &format!("http://{}/v3/index.json", server.address)])
        .env("NUGET_API_KEY", &owner)
        .status()?;
    println!(
        "nuthatch push of 1 GB: {status}, {:.1} s; server {}",
        seconds(start.elapsed()),
        peak(&server)?
    );
    Ok(())
}

fn clients(folder: &Path) -> Done {
    let nuget = std::env::var_os("NUGET_EXE").ok_or("NUGET_EXE is not set")?;
    let server = Server::start(&folder.join("clients"), &[]);
    let relay = Relay::start(&format!("http://{}/v3/index.json", server.address));
    let owner = server.owner.clone().ok_or("no owner")?;
    let run = |arguments: &[&str]| -> Result<(bool, String), Box<dyn Error>> {
        let output = Command::new("mono")
            .arg(&nuget)
            .args(arguments)
            .arg("-NonInteractive")
            .current_dir(folder)
            .env("HOME", folder)
            .stdin(Stdio::null())
            .output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    };
    for (id, size, address) in [
        ("Client.Small", 250, &server.address),
        ("Client.Large", 1000, &server.address),
        ("Relayed.Large", 1000, &relay.address),
    ] {
        let package = folder.join("client.nupkg");
        write_large_package(&package, (id, "1.0.0"), size * MB);
        let source = format!("http://{address}/v3/index.json");
        let config = format!(
            "<configuration><packageSources><clear /><add key=\"feed\" value=\"{source}\" /></packageSources>\
             <packageSourceCredentials><feed><add key=\"Username\" value=\"any\" />\
             <add key=\"ClearTextPassword\" value=\"{owner}\" /></feed></packageSourceCredentials>\
             </configuration>"
        );
        std::fs::write(folder.join("nuget.config"), config)?;
        let start = Instant::now();
        let push =
            ["push", "client.nupkg", "-Source", &source, "-ApiKey", &owner, "-Timeout", "900"];
        let (pushed, said) = run(&push)?;
        let took = seconds(start.elapsed());
        let puts = said.matches("PUT http").count();
        println!("nuget.exe push of {size} MB: {pushed}, {puts} PUT, {took:.1} s");
        if !pushed {
            println!("{said}");
        }
        let start = Instant::now();
        let install = ["install", id, "-Version", "1.0.0"];
        let (installed, said) = run(&[&install[..], &INSTALL_OPTIONS].concat())?;
        let took = seconds(start.elapsed());
        let back = folder.join(format!("out/{id}.1.0.0/{id}.1.0.0.nupkg"));
        let same = installed && sha256(&back)? == sha256(&package)?;
        println!("nuget.exe install: {installed}, {took:.1} s, identical: {same}");
        if !installed {
            println!("{said}");
        }
    }
    println!("server {}", peak(&server)?);
    Ok(())
}

fn sha256(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let (mut file, mut sha256) = (File::open(path)?, Sha256::new());
    std::io::copy(&mut file, &mut sha256)?;
    Ok(sha256.finalize().to_vec())
}
