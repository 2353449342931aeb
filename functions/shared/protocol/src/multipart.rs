//! The first file of a multipart body, as every NuGet client frames it.
//!
//! A parser of our own, because no library takes all that clients send: parts
//! without a Content-Disposition, a bare LF before a delimiter, no CRLF at the
//! end. Chunks go in, slices of them come out; a body that comes in one piece
//! is never copied.

mod boundary;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

use boundary::boundary;

/// The longest head of a part, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// The most white space after a boundary on its line (RFC 2046: any).
const LONGEST_PADDING: usize = 64;

/// The body is not a multipart one that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The content type names no boundary.
    #[error("its multipart content type names no boundary")]
    NoBoundary,
    /// The head of a part does not end.
    #[error("the head of its first part is longer than {LONGEST_HEAD} bytes")]
    HeadTooLong,
    /// The body ended before it was closed.
    #[error("it ends before its closing boundary")]
    NotClosed,
    /// All parts are fields of a form.
    #[error("it has form fields and no file")]
    NoFile,
}

/// Reads the first file of a multipart body.
#[derive(Debug)]
pub struct FirstFile {
    /// `--boundary`.
    delimiter: Finder<'static>,
    state: State,
    /// Bytes that were received and may be content or a delimiter.
    pending: Bytes,
    /// Whether `pending` begins where a line does.
    at_line_start: bool,
    head_length: usize,
    /// Whether the part's head says that it is a field of a form.
    is_field: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    Head,
    /// The beginning of a part that may be a field.
    Beginning,
    /// A field, which nobody reads.
    Field,
    Content,
    /// The later parts, which nobody reads.
    Rest,
    Closed,
}

/// The text behind a boundary.
enum Line {
    /// The end of the body.
    Close,
    /// The end of the boundary's line, so many bytes on.
    Part(usize),
    /// Nothing that belongs to a boundary.
    Text,
    /// Too little to tell.
    Unfinished,
}

impl FirstFile {
    /// A reader of a body with this content type; `None` where it is not
    /// multipart at all.
    ///
    /// # Errors
    /// It is multipart and names no boundary.
    pub fn of(content_type: &str) -> Result<Option<Self>, MultipartError> {
        let is_multipart = content_type
            .trim_start()
            .get(.."multipart/".len())
            .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/"));
        if !is_multipart {
            return Ok(None);
        }
        let boundary = boundary(content_type).ok_or(MultipartError::NoBoundary)?;
        let delimiter = format!("--{boundary}");
        Ok(Some(Self {
            delimiter: Finder::new(delimiter.as_bytes()).into_owned(),
            state: State::Preamble,
            pending: Bytes::new(),
            at_line_start: true,
            head_length: 0,
            is_field: false,
        }))
    }

    /// Takes the next piece of the body, and gives the next piece of the part.
    ///
    /// # Errors
    /// The head of a part is too long.
    pub fn next(&mut self, chunk: Bytes) -> Result<Bytes, MultipartError> {
        self.pending = if self.pending.is_empty() {
            chunk
        } else {
            let mut joined = BytesMut::with_capacity(self.pending.len() + chunk.len());
            joined.extend_from_slice(&self.pending);
            joined.extend_from_slice(&chunk);
            joined.freeze()
        };
        let mut content = Bytes::new();
        loop {
            let before = self.state;
            match self.state {
                State::Preamble | State::Field => {
                    drop(self.until_delimiter(State::Head));
                    self.is_field &= self.state != State::Head;
                }
                State::Head => self.read_head()?,
                State::Beginning => self.judge_beginning(),
                State::Content => content = self.until_delimiter(State::Rest),
                State::Rest => drop(self.until_delimiter(State::Rest)),
                State::Closed => self.pending.clear(),
            }
            if self.state == before {
                return Ok(content);
            }
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// It is not closed, or has no file.
    pub fn finish(self) -> Result<(), MultipartError> {
        match self.state {
            State::Closed if self.is_field => Err(MultipartError::NoFile),
            State::Closed => Ok(()),
            // NuGet 2.8 on mono closes with a bare line feed.
            State::Content | State::Rest if self.may_be_last(1) => Ok(()),
            _ => Err(MultipartError::NotClosed),
        }
    }

    /// Gives what stands before the next delimiter, without the line break
    /// that belongs to it, and goes on to `next` behind it.
    fn until_delimiter(&mut self, next: State) -> Bytes {
        let mut from = 0;
        while let Some(at) = self.find(from) {
            let behind = at + self.delimiter.needle().len();
            let line = line(self.pending.get(behind..).unwrap_or_default());
            if !self.starts_line(at) {
                // Behind a bare line feed it is one as the last bytes of the body alone.
                if self.may_be_last(at) || matches!(line, Line::Unfinished) {
                    return self.give(at - 1);
                }
                from = at + 1;
                continue;
            }
            match line {
                Line::Text => from = at + 1,
                Line::Unfinished => return self.give(self.without_line_break(at)),
                Line::Close => {
                    let before = self.give(self.without_line_break(at));
                    self.state = State::Closed;
                    return before;
                }
                Line::Part(length) => {
                    let end = self.without_line_break(at);
                    let before = self.give(end);
                    drop(self.give(behind + length - end));
                    self.at_line_start = true;
                    if self.state != next {
                        self.state = next;
                        return before;
                    }
                    // A later part of no interest: look on from here.
                    from = 0;
                }
            }
        }
        // The last bytes stay: they may begin a line break and a delimiter.
        let kept = self.delimiter.needle().len() + "\r\n".len();
        self.give(self.pending.len().saturating_sub(kept))
    }

    /// The next delimiter behind any line break.
    fn find(&self, mut from: usize) -> Option<usize> {
        loop {
            let at = from + self.delimiter.find(self.pending.get(from..)?)?;
            let is_behind_break = match at.checked_sub(1) {
                None => self.at_line_start,
                Some(before) => self.pending.get(before) == Some(&b'\n'),
            };
            if is_behind_break {
                return Some(at);
            }
            from = at + 1;
        }
    }

    /// Whether a delimiter at `at` begins a line: behind CRLF (RFC 2046), and before the
    /// first part behind any line break, as no bytes of a package stand there.
    fn starts_line(&self, at: usize) -> bool {
        let before = self.pending.get(..at).unwrap_or_default();
        before.is_empty() || before.ends_with(b"\r\n") || self.state == State::Preamble
    }

    /// Whether all that is pending from `at` on is a closing delimiter.
    fn may_be_last(&self, at: usize) -> bool {
        let rest = self.pending.get(at..).unwrap_or_default();
        let rest = rest.strip_prefix(self.delimiter.needle());
        let rest = rest.and_then(|rest| rest.strip_prefix(b"--"));
        matches!(rest, Some(b"" | b"\r" | b"\n" | b"\r\n"))
    }

    /// Where the line break before `at` begins: CRLF, or a bare LF.
    fn without_line_break(&self, at: usize) -> usize {
        let before = self.pending.get(..at).unwrap_or_default();
        let before = before.strip_suffix(b"\n").unwrap_or(before);
        before.strip_suffix(b"\r").unwrap_or(before).len()
    }

    /// Tells a package from a field by how it begins, where the head leaves it open: curl
    /// names no file for what it reads from a pipe.
    fn judge_beginning(&mut self) {
        const ZIP: &[u8] = b"PK";
        if self.pending.len() >= ZIP.len() {
            self.is_field = !self.pending.starts_with(ZIP);
            self.state = if self.is_field { State::Field } else { State::Content };
        }
    }

    /// Takes `length` bytes out of `pending`.
    fn give(&mut self, length: usize) -> Bytes {
        let given = self.pending.split_to(length.min(self.pending.len()));
        if !given.is_empty() {
            let line_break: &[u8] = if self.state == State::Preamble { b"\n" } else { b"\r\n" };
            self.at_line_start = given.ends_with(line_break);
        }
        given
    }

    /// Reads a part's head, through the empty line that ends it.
    fn read_head(&mut self) -> Result<(), MultipartError> {
        while let Some(end) = memchr::memchr(b'\n', &self.pending) {
            let line = self.give(end + 1);
            self.head_length += line.len();
            if self.head_length > LONGEST_HEAD {
                return Err(MultipartError::HeadTooLong);
            }
            if matches!(line.as_ref(), b"\n" | b"\r\n") {
                self.state = if self.is_field { State::Beginning } else { State::Content };
                self.head_length = 0;
                self.at_line_start = true;
                return Ok(());
            }
            self.is_field |= names_a_field(&line);
        }
        if self.head_length + self.pending.len() > LONGEST_HEAD {
            return Err(MultipartError::HeadTooLong);
        }
        Ok(())
    }
}

/// Whether the line of a head disposes of its part and names no file.
fn names_a_field(line: &[u8]) -> bool {
    let line = line.to_ascii_lowercase();
    line.starts_with(b"content-disposition:") && memchr::memmem::find(&line, b"filename").is_none()
}

/// The meaning of the bytes behind a boundary.
fn line(behind: &[u8]) -> Line {
    if behind.starts_with(b"--") {
        return Line::Close;
    }
    let padding = behind.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    // However the network cuts it: no more would be waited for.
    if padding > LONGEST_PADDING {
        return Line::Text;
    }
    let rest = behind.get(padding..).unwrap_or_default();
    match rest {
        [b'\n', ..] => Line::Part(padding + 1),
        [b'\r', b'\n', ..] => Line::Part(padding + 2),
        [] | [b'\r'] => Line::Unfinished,
        [b'-'] if padding == 0 => Line::Unfinished,
        _ => Line::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = b"PK\x03\x04 \r\n--bound x\n--boundX\r\n--boundary\x00-- \r";

    fn read(content_type: &str, chunks: &[&[u8]]) -> Result<Vec<u8>, MultipartError> {
        let mut part = FirstFile::of(content_type)?.expect("multipart");
        let mut content = Vec::new();
        for chunk in chunks {
            content.extend(part.next(Bytes::copy_from_slice(chunk))?);
        }
        part.finish().map(|()| content)
    }

    /// The framings of every client, by what makes each of them special.
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
                    b"\r\n--bound\r\nA: b\r\n\r\nlater\r\n--bound\r\n\r\n\r\n--bound--\r\n",
                ),
            ),
            ("line feeds alone", bare, framed(b"--bound\nA: b\n\n", b"\n--bound--\n")),
        ]
    }

    #[test]
    fn every_framing_gives_the_first_part_however_it_is_cut_into_chunks() {
        // CR before a bare LF reads as one line break: that content cannot end so.
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
            (&[field], Err(MultipartError::NoFile)),
        ] {
            let body = format!("{}--bound--\r\n", parts.concat());
            let content = content.map(|content| content.as_bytes().to_vec());
            assert_eq!(read(bare, &[body.as_bytes()]), content);
            let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
            assert_eq!(read(bare, &bytes), content);
        }
    }

    #[test]
    fn white_space_behind_a_boundary_counts_alike_however_it_is_cut() {
        // One more is text, and so part of what stands before the first boundary.
        for (spaces, expected) in [(64, b"x".to_vec()), (65, Vec::new())] {
            let padding = " ".repeat(spaces);
            let body = format!("--bound{padding}\r\n\r\nx\r\n--bound--");
            let content_type = "multipart/form-data; boundary=bound";
            assert_eq!(read(content_type, &[body.as_bytes()]).as_ref(), Ok(&expected), "{spaces}");
            let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
            assert_eq!(read(content_type, &bytes).as_ref(), Ok(&expected), "{spaces}");
        }
    }

    #[test]
    fn a_body_cut_off_anywhere_before_its_end_is_not_closed() {
        for (name, content_type, body) in framings() {
            let close = Finder::new(b"--bound--").find(&body).expect("closed") + "--bound--".len();
            for cut in 0..body.len() {
                let read = read(content_type, &[&body[..cut]]);
                if cut < close {
                    assert_eq!(read, Err(MultipartError::NotClosed), "{name} {cut}");
                } else {
                    assert!(read.is_ok(), "{name} {cut}");
                }
            }
        }
    }

    #[test]
    fn a_body_in_one_piece_is_not_copied() {
        let (_, content_type, body) = framings().remove(0);
        let body = Bytes::from(body);
        let mut part = FirstFile::of(content_type).unwrap().unwrap();
        let content = part.next(body.clone()).unwrap();
        assert!(body.as_ptr_range().contains(&content.as_ptr()));
    }

    #[test]
    fn a_content_type_that_is_not_multipart_has_no_parts() {
        assert!(FirstFile::of("application/octet-stream").unwrap().is_none());
        assert!(FirstFile::of("").unwrap().is_none());
    }

    #[test]
    fn a_multipart_type_without_a_boundary_is_refused() {
        for content_type in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"open",
            "MULTIPART/mixed; charset=utf-8",
        ] {
            let refused = FirstFile::of(content_type).map(|_| ());
            assert_eq!(refused, Err(MultipartError::NoBoundary), "{content_type}");
        }
    }

    #[test]
    fn a_head_without_an_end_is_refused() {
        let body = [b"--bound\r\n".as_slice(), &vec![b'x'; LONGEST_HEAD + 1]].concat();
        let read = read("multipart/form-data; boundary=bound", &[&body]);
        assert_eq!(read, Err(MultipartError::HeadTooLong));
    }
}
