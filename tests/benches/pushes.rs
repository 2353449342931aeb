//! The rate of small pushes, and whether it lasts: 30,000 by eight clients with one key.
//!
//! `cargo bench -p nuthatch-tests --bench pushes [-- PUSHES]`.

use std::error::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nuthatch_tests::{Connection, PackageBuilder, Server, framed};

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
                    let status = push(&mut connection, &key, number).unwrap();
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

/// Pushes the first version of a package; gives the status.
fn push(connection: &mut Connection, key: &str, number: usize) -> std::io::Result<String> {
    let package = PackageBuilder::new(&format!("Acme.Part{number}"), "1.0.0").build();
    let (content_type, body) = framed(&package);
    let header = format!("X-NuGet-ApiKey: {key}\r\nContent-Type: {content_type}");
    connection.put("PUT /api/v2/package", &header, &body)
}
