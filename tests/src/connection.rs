//! A connection that is kept, for benchmarks: it takes next to nothing of the processor that
//! the server needs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A connection that is kept.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
    /// The last answer's body.
    body: Vec<u8>,
}

impl Connection {
    /// A connection to `address`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let stream = BufReader::with_capacity(64 * 1024, stream);
        Ok(Self { stream, address: address.to_owned(), body: Vec::new() })
    }

    /// GETs a path, with this line in the head; gives the status.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn get(&mut self, path: &str, header: &str) -> io::Result<String> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{header}\r\n\r\n", self.address);
        self.send(head.as_bytes())
    }

    /// Sends a body to a path, with these lines in the head; gives the status.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn put(&mut self, request: &str, header: &str, body: &[u8]) -> io::Result<String> {
        let (host, length) = (&self.address, body.len());
        let head = format!(
            "{request} HTTP/1.1\r\nHost: {host}\r\n{header}\r\nContent-Length: {length}\r\n\r\n"
        );
        self.send(&[head.as_bytes(), body].concat())
    }

    fn send(&mut self, request: &[u8]) -> io::Result<String> {
        self.stream.get_mut().write_all(request)?;
        let (mut status, mut length, mut line) = (String::new(), 0, String::new());
        loop {
            line.clear();
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
            if line.starts_with("transfer-encoding:") {
                return Err(io::Error::other("an answer without a length"));
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        Ok(status)
    }
}
