//! The first part of a body is the same, no matter how the network splits the body.

#![no_main]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::stream;
use libfuzzer_sys::fuzz_target;
use protocol::{Boundary, FirstFile, MultipartError};

fn read<'a>(
    content_type: &str,
    chunks: impl Iterator<Item = &'a [u8]>,
) -> Option<Result<Vec<u8>, MultipartError>> {
    let boundary = match Boundary::of(content_type) {
        Ok(boundary) => boundary?,
        Err(error) => return Some(Err(error)),
    };
    let chunks: Vec<_> = chunks.map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let mut read = pin!(async {
        let mut file = FirstFile::find(stream::iter(chunks), boundary).await?;
        let mut content = Vec::new();
        while let Some(piece) = file.next().await? {
            content.extend(piece);
        }
        Ok(content)
    });
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(read) = read.as_mut().poll(&mut context) {
            return Some(read);
        }
    }
}

// A content type, a line feed, how long the chunks are, and the body.
fuzz_target!(|input: &[u8]| {
    let Some(end) = memchr::memchr(b'\n', input) else { return };
    let Ok(content_type) = std::str::from_utf8(&input[..end]) else { return };
    let Some((length, body)) = input[end + 1..].split_first() else { return };
    let whole = read(content_type, std::iter::once(body));
    let pieces = read(content_type, body.chunks(usize::from(*length).max(1)));
    match (&whole, &pieces) {
        (Some(Ok(whole)), Some(Ok(pieces))) => assert_eq!(whole, pieces),
        (Some(Err(_)), Some(Err(_))) | (None, None) => {}
        _ => panic!("{whole:?} in one piece and {pieces:?} in many"),
    }
    if let Some(Ok(content)) = whole {
        let is_there = content.is_empty() || memchr::memmem::find(body, &content).is_some();
        assert!(is_there, "content that was not sent");
    }
});
