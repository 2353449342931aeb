use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use memchr::memmem::Finder;

use super::*;

const CONTENT: &[u8] = b"PK\x03\x04 \r\n--boun x\n--boundX\n--boundary\x00-- \r";

/// The file read from a body, or the error's variant.
fn read(content_type: &str, chunks: &[&[u8]]) -> Result<Vec<u8>, String> {
    let boundary = Boundary::of(content_type).map_err(variant)?.expect("multipart");
    let chunks = Chunks::of(chunks);
    let read = async {
        let mut file = FirstFile::find(chunks, boundary).await?;
        let mut content = Vec::new();
        while let Some(piece) = file.next().await? {
            content.extend(piece);
        }
        Ok(content)
    };
    ready(read).map_err(variant)
}

/// A stream of chunks that is pending once before each chunk.
struct Chunks {
    left: VecDeque<Bytes>,
    has_waited: bool,
}

impl Chunks {
    fn of(chunks: &[&[u8]]) -> Self {
        let left = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk)).collect();
        Self { left, has_waited: false }
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.has_waited = !self.has_waited;
        if self.has_waited {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.pop_front().map(Ok))
    }
}

/// Notes that a future wants to be polled again.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The outcome of a future that is polled only when it asks for it.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let (mut future, woken) = (pin!(future), Arc::new(Woken::default()));
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return outcome;
        }
        assert!(woken.0.swap(false, Ordering::Relaxed), "it would wait for ever");
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn variant(error: MultipartError) -> String {
    format!("{error:?}")
}

/// The framings of every client, each named by its peculiarity.
fn framings() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let quoted = "multipart/form-data; boundary=\"bound\"";
    let bare = "multipart/form-data; charset=utf-8; Boundary=bound";
    let framed = |before: &[u8], after: &[u8]| [before, CONTENT, after].concat();
    vec![
        (
            "NuGet since 2.12",
            quoted,
            framed(
                b"--bound\r\nContent-Type: application/octet-stream\r\nContent-Disposition: \
                  form-data; name=package; filename=package.nupkg; \
                  filename*=utf-8''package.nupkg\r\n\r\n",
                b"\r\n--bound--\r\n",
            ),
        ),
        (
            "NuGet 2.8 on mono",
            bare,
            framed(
                b"--bound\r\nContent-Disposition: form-data; name=\"package\"; \
                  filename=\"package\"\r\nContent-Type: application/octet-stream\r\n\r\n",
                b"\n--bound--",
            ),
        ),
        ("no head at all", quoted, framed(b"--bound\r\n\r\n", b"\r\n--bound--\r\n")),
        ("no final CRLF", bare, framed(b"--bound\r\nA: b\r\n\r\n", b"\r\n--bound--")),
        (
            "a preamble and an epilogue",
            quoted,
            framed(b"hello\r\n--boundX\r\n--bound \t\r\n\r\n", b"\r\n--bound--\r\nbye"),
        ),
        (
            "more parts",
            quoted,
            framed(
                b"--bound\r\n\r\n",
                b"\r\n--bound\r\nA: b\r\n\r\nlater\r\n--bound\r\nA: b\r\n\r\n\r\n--bound--\r\n",
            ),
        ),
        ("line feeds alone", bare, framed(b"--bound\nA: b\n\n", b"\n--bound--\n")),
    ]
}

#[test]
fn every_framing_gives_the_first_part_however_it_is_cut_into_chunks() {
    // A CR before a bare LF is read as one line break, so the content cannot end in CR.
    for (name, content_type, body) in framings() {
        let expected = if name.contains("mono") || name.contains("line feeds") {
            &CONTENT[..CONTENT.len() - 1]
        } else {
            CONTENT
        };
        assert_eq!(read(content_type, &[&body]).as_deref(), Ok(expected), "{name}");
        for cut in 0..=body.len() {
            let (head, tail) = body.split_at(cut);
            let read = read(content_type, &[head, tail]);
            assert_eq!(read.as_deref(), Ok(expected), "{name} {cut}");
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(read(content_type, &bytes).as_deref(), Ok(expected), "{name}");
    }
}

#[test]
fn a_line_feed_before_a_boundary_is_content_but_at_the_very_end() {
    let bare = "multipart/form-data; boundary=bound";
    let head = b"--bound\r\nContent-Disposition: form-data; filename=a\r\n\r\n";
    for content in [
        b"PK\n--bound\nx".as_slice(),
        b"PK\n--bound--\nx",
        b"PK\n--bound--",
        b"PK\n--bound--\r",
        b"PK\n--bound\r\n\r\n",
        b"PK\n--bound--\n--bound--\n",
        b"\n--bound--",
    ] {
        for end in [b"\r\n--bound--\r\n".as_slice(), b"\r\n--bound--", b"\n--bound--\n"] {
            let body = [head.as_slice(), content, end].concat();
            // A CR before a bare LF reads as one line break.
            let content = match end.first() {
                Some(b'\n') => content.strip_suffix(b"\r").unwrap_or(content),
                _ => content,
            };
            for cut in 0..=body.len() {
                let (left, right) = body.split_at(cut);
                let read = read(bare, &[left, right]);
                assert_eq!(read.as_deref(), Ok(content), "{cut} {body:?}");
            }
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(read(bare, &bytes).as_deref(), Ok(content), "{body:?}");
        }
    }
}

#[test]
fn fields_of_a_form_are_passed_over() {
    let bare = "multipart/form-data; boundary=bound";
    let field = "--bound\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n";
    let unnamed = "--bound\r\nContent-Disposition: form-data; name=\"package\"\r\n\r\nPK\r\n";
    let file = "--bound\r\nContent-Disposition: form-data; name=p; filename=p\r\n\r\nx\r\n";
    for (parts, content) in [
        ([field, file].as_slice(), Ok("x")),
        (&[field, field, unnamed, field], Ok("PK")),
        (&[file, field], Ok("x")),
        (&[field], Err("NoFile".to_owned())),
    ] {
        let body = format!("{}--bound--\r\n", parts.concat());
        let content = content.map(|content| content.as_bytes().to_vec());
        assert_eq!(read(bare, &[body.as_bytes()]), content);
        let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
        assert_eq!(read(bare, &bytes), content);
    }
}

#[test]
fn white_space_behind_a_boundary_is_not_part_of_it() {
    for spaces in [0, 1, 65, 1000] {
        let padding = " ".repeat(spaces);
        let body =
            format!("--bound{padding}\r\n\r\nx\r\n--bound{padding}\r\nA: b\r\n\r\n\r\n--bound--");
        let content_type = "multipart/form-data; boundary=bound";
        assert_eq!(
            read(content_type, &[body.as_bytes()]).as_deref(),
            Ok(b"x".as_slice()),
            "{spaces}"
        );
        let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
        assert_eq!(read(content_type, &bytes).as_deref(), Ok(b"x".as_slice()), "{spaces}");
    }
}

#[test]
fn a_boundary_with_text_behind_it_is_refused() {
    // RFC 2046: no line of a part begins with the boundary.
    for content in ["PK\r\n--boundX\r\n", "PK\r\n--bound\0", "PK\r\n--bound-\r\n"] {
        let body = format!("--bound\r\nA: b\r\n\r\n{content}\r\n--bound--\r\n");
        let content_type = "multipart/form-data; boundary=bound";
        let refused = Err("NotClosed".to_owned());
        assert_eq!(read(content_type, &[body.as_bytes()]), refused);
        let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
        assert_eq!(read(content_type, &bytes), refused);
    }
}

#[test]
fn a_body_cut_off_anywhere_before_its_end_is_not_closed() {
    for (name, content_type, body) in framings() {
        let close = Finder::new(b"--bound--").find(&body).expect("closed") + "--bound--".len();
        for cut in 0..body.len() {
            let read = read(content_type, &[&body[..cut]]);
            if Finder::new(b"--bound").find(&body[..cut]).is_none() {
                assert_eq!(read, Err("NoPart".to_owned()), "{name} {cut}");
            } else if cut < close {
                assert_eq!(read, Err("NotClosed".to_owned()), "{name} {cut}");
            } else {
                assert!(read.is_ok(), "{name} {cut}");
            }
        }
    }
}

#[test]
fn a_content_type_that_is_not_multipart_has_no_boundary() {
    assert_eq!(Boundary::of("application/octet-stream").unwrap(), None);
    assert_eq!(Boundary::of("").unwrap(), None);
}

#[test]
fn a_multipart_type_without_a_boundary_is_refused() {
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"open",
        "MULTIPART/mixed; charset=utf-8",
    ] {
        let refused = Boundary::of(content_type);
        assert!(matches!(refused, Err(MultipartError::NoBoundary)), "{content_type}");
    }
}

#[test]
fn a_head_without_an_end_is_refused_before_it_fills_the_memory() {
    let endless = vec![b'x'; 1 << 20];
    let field = b"--bound\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--bound\r\n";
    let file = b"--bound\r\nA: b\r\n\r\nPK\r\n--bound\r\n";
    for before in [b"".as_slice(), b"--bound\r\n", field, file] {
        let body = [before, &endless].concat();
        let error = if before.is_empty() { "NoPart" } else { "HeadTooLong" };
        for length in [1000, 100_000, body.len()] {
            let chunks: Vec<&[u8]> = body.chunks(length).collect();
            let read = read("multipart/form-data; boundary=bound", &chunks);
            assert_eq!(read, Err(error.to_owned()));
        }
    }
}

#[test]
fn a_head_of_no_headers_is_refused() {
    let body = b"--bound\r\nno header\r\n\r\nPK\r\n--bound--";
    let read = read("multipart/form-data; boundary=bound", &[body]);
    assert_eq!(read, Err("UnreadableHead".to_owned()));
}

#[test]
fn a_head_is_too_long_however_it_is_cut() {
    for (length, expected) in [(3000, Ok(b"PK".to_vec())), (5000, Err("HeadTooLong".to_owned()))] {
        let long = "y".repeat(length);
        let field = "--bound\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n";
        let body = format!("{field}--bound\r\nA: {long}\r\n\r\nPK\r\n--bound--");
        for length in [1, 1000, body.len()] {
            let chunks: Vec<&[u8]> = body.as_bytes().chunks(length).collect();
            assert_eq!(read("multipart/form-data; boundary=bound", &chunks), expected);
        }
    }
}

#[test]
fn a_later_part_without_a_head_is_refused() {
    let field = "--bound\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n";
    let file = "--bound\r\nContent-Disposition: form-data; filename=a\r\n\r\nPK\r\n";
    for before in [field, file] {
        let body = format!("{before}--bound\r\n\r\nPK\r\n\r\nmore\r\n--bound--\r\n");
        for length in [1, body.len()] {
            let chunks: Vec<&[u8]> = body.as_bytes().chunks(length).collect();
            let read = read("multipart/form-data; boundary=bound", &chunks);
            assert_eq!(read, Err("UnreadableHead".to_owned()), "{before}");
        }
    }
}

#[test]
fn a_header_may_go_on_in_the_next_line() {
    let body = "--bound\r\nContent-Disposition: form-data;\r\n filename=a\r\n\r\nx\r\n--bound--";
    let read = read("multipart/form-data; boundary=bound", &[body.as_bytes()]);
    assert_eq!(read.as_deref(), Ok(b"x".as_slice()));
}

#[test]
fn a_large_file_comes_whole_however_it_is_cut() {
    // Every line may begin a delimiter.
    let content: Vec<u8> = (0..300_000).map(|at| b"PK\r\n--boun\r\n-"[at % 13]).collect();
    let body = [b"--bound\r\nA: b\r\n\r\n".as_slice(), &content, b"\r\n--bound--\r\n"].concat();
    for length in [1, 7, 65_535, 65_536, 65_537, body.len()] {
        let chunks: Vec<&[u8]> = body.chunks(length).collect();
        let read = read("multipart/form-data; boundary=bound", &chunks);
        assert!(read.as_deref() == Ok(content.as_slice()), "{length}");
    }
}
