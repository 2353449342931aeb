//! The rate of small pushes, and whether it lasts: 30,000 by eight clients with one key.
//!
//! `cargo bench -p nuthatch-tests --bench pushes [-- PUSHES]`.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nuthatch_tests::{PackageBuilder, Server, framed};

const CLIENTS: usize = 8;
const TENTHS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let pushes: usize =
        std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(30_000);
    let folder = tempfile::tempdir_in(std::env::var_os("BENCH_DATA").unwrap_or("/tmp".into()))?;
    let server = Server::start(folder.path(), &["--max-pushes-per-minute", "1000000"]);
    let key = server.owner.clone().ok_or("no owner")?;
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(pushes)));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = Connection::open(&server.address).unwrap();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= pushes {
                        break;
                    }
                    let start = Instant::now();
                    let status = connection.push(&key, number).unwrap();
                    assert_eq!(status, "201", "push {number}");
                    done.lock().unwrap().push((Instant::now(), start.elapsed()));
                }
            });
        }
    });
    report(&done.into_inner()?);
    Ok(())
}

fn report(done: &[(Instant, Duration)]) {
    println!("| tenth of {} pushes | per s | p50 ms | p99 ms |\n|---|---|---|---|", done.len());
    let mut rates = Vec::new();
    for (at, tenth) in done.chunks(done.len().div_ceil(TENTHS)).enumerate() {
        let (Some((first, _)), Some((last, _))) = (tenth.first(), tenth.last()) else { continue };
        let count = f64::from(u32::try_from(tenth.len()).unwrap());
        let rate = count / (*last - *first).as_secs_f64();
        let mut times: Vec<Duration> = tenth.iter().map(|(_, time)| *time).collect();
        times.sort_unstable();
        let milliseconds = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
        println!("| {} | {rate:.0} | {:.1} | {:.1} |", at + 1, milliseconds(50), milliseconds(99));
        rates.push(rate);
    }
    let best = rates.iter().copied().fold(f64::MIN, f64::max);
    println!("the last tenth is {:.2} of the best", rates.last().unwrap_or(&best) / best);
}

/// A connection that is kept.
struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
}

impl Connection {
    fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), address: address.to_owned() })
    }

    /// Pushes the first version of a package; gives the status.
    fn push(&mut self, key: &str, number: usize) -> std::io::Result<String> {
        let package = PackageBuilder::new(&format!("Acme.Part{number}"), "1.0.0").build();
        let (content_type, body) = framed(&package);
        let head = format!(
            "PUT /api/v2/package HTTP/1.1\r\nHost: {}\r\nX-NuGet-ApiKey: {key}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all(&[head.as_bytes(), &body].concat())?;
        let (mut status, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.chars().take(3).collect();
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        self.stream.read_exact(&mut vec![0; length])?;
        Ok(status)
    }
}
