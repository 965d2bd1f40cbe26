//! Multipart bodies, read as they arrive.
//!
//! Lines may end in CRLF, as the standard has it, or in LF, as some clients write them; the
//! first boundary decides.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use memchr::memmem;

use super::body::Content;
use super::errors::ApiError;

/// A part's headers are never longer than this.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// The boundary that a `Content-Type` names.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// What a part says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PartHeaders(Vec<(String, String)>);

impl PartHeaders {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .0
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn content_type(&self) -> Option<&str> {
        self.get("content-type")
    }

    fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        Self(
            lines
                .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                .collect(),
        )
    }
}

/// A multipart body: parts, each with headers and content.
pub(super) struct Related {
    source: Content,
    buffer: BytesMut,
    /// A line feed, two hyphens, the boundary.
    delimiter: Vec<u8>,
    /// How many of the buffer's first bytes end the headers, and are no content.
    lead: usize,
    /// Lines end in CRLF: the CR before a delimiter is no content.
    crlf: bool,
    /// The part under way has ended, and its delimiter been taken from the buffer.
    part_ended: bool,
}

impl Related {
    pub(super) fn new(source: Content, boundary: &str) -> Self {
        Self {
            source,
            // So that a boundary at the start of the body is at the start of a line like any other.
            buffer: BytesMut::from(&b"\n"[..]),
            delimiter: format!("\n--{boundary}").into_bytes(),
            lead: 1,
            crlf: false,
            part_ended: false,
        }
    }

    /// Goes to the next part, past what is left of this one; `None` after the last.
    pub(super) async fn next_part(&mut self) -> Result<Option<PartHeaders>, ApiError> {
        while self.next_piece().await.map_err(broken)?.is_some() {}
        let line = self.line().await.map_err(broken)?;
        if line.starts_with(b"--") {
            return Ok(None);
        }
        self.crlf = line.ends_with(b"\r");
        self.part_ended = false;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await.map_err(broken)?;
            if line.trim_ascii().is_empty() {
                break;
            }
            headers.extend_from_slice(&line);
            headers.push(b'\n');
            if headers.len() > MAX_HEADER_BYTES {
                return Err(ApiError::parse("The headers of a part are too long."));
            }
        }
        // Where there is no content, the delimiter begins with the end of the headers' last line.
        self.lead = if self.crlf { 2 } else { 1 };
        let mut buffer = BytesMut::from(if self.crlf { &b"\r\n"[..] } else { b"\n" });
        buffer.unsplit(std::mem::take(&mut self.buffer));
        self.buffer = buffer;
        Ok(Some(PartHeaders::parse(&headers)))
    }

    /// All of the part's content.
    pub(super) async fn whole_part(&mut self, limit: usize) -> Result<Bytes, ApiError> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next_piece().await.map_err(broken)? {
            if all.len() + piece.len() > limit {
                return Err(ApiError::too_large(format!(
                    "A part of the body exceeds {limit} bytes."
                )));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// The part's content as it arrives; it has to be the last part.
    pub(super) fn into_content(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        futures::stream::try_unfold(self, |mut parts| async move {
            if let Some(piece) = parts.next_piece().await? {
                return Ok(Some((piece, parts)));
            }
            if !parts.line().await?.starts_with(b"--") {
                return Err(malformed("there is a part too many"));
            }
            // What follows means nothing, but the connection can't be used again before it is read.
            while parts.source.next().await.transpose()?.is_some() {}
            Ok(None)
        })
    }

    /// The next bytes of the part's content; `None` when its delimiter has been taken.
    async fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        while !self.part_ended {
            let found = memmem::find(&self.buffer, &self.delimiter);
            let piece = match found {
                Some(at) => self.cut_at(at).await?,
                None => self.cut_before_delimiter().await?,
            };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// What looks like a delimiter is there: it is one if its line goes on as one.
    async fn cut_at(&mut self, at: usize) -> io::Result<Bytes> {
        let end = at + self.delimiter.len();
        while self.buffer.len() < end + 2 && self.fill().await? {}
        let is_delimiter = match self.buffer[end..] {
            [b'-', b'-', ..] | [b'\r' | b'\n' | b' ' | b'\t', ..] => true,
            _ => self.buffer.len() == end,
        };
        if !is_delimiter {
            return Ok(self.take(end));
        }
        let has_cr = self.crlf && at > 0 && self.buffer[at - 1] == b'\r';
        let piece = self.take(at - usize::from(has_cr));
        // The CR, if it was not within the lead, and the delimiter.
        let rest = memmem::find(&self.buffer, &self.delimiter).unwrap_or_default();
        self.buffer.advance(rest + self.delimiter.len());
        self.lead = 0;
        self.part_ended = true;
        Ok(piece)
    }

    /// No delimiter is there; one may have begun at the end of what has come so far.
    async fn cut_before_delimiter(&mut self) -> io::Result<Bytes> {
        let safe = self.buffer.len().saturating_sub(self.delimiter.len());
        if safe > 0 {
            return Ok(self.take(safe));
        }
        if self.fill().await? {
            return Ok(Bytes::new());
        }
        Err(malformed("its last boundary is missing"))
    }

    /// Takes the first bytes, without those that are no content.
    fn take(&mut self, count: usize) -> Bytes {
        let mut piece = self.buffer.split_to(count);
        let lead = self.lead.min(count);
        self.lead -= lead;
        piece.advance(lead);
        piece.freeze()
    }

    /// The rest of the line, without its line feed.
    async fn line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(1);
                return Ok(line);
            }
            if self.buffer.len() > MAX_HEADER_BYTES {
                return Err(malformed("a line is too long"));
            }
            if !self.fill().await? {
                return Ok(self.buffer.split().freeze());
            }
        }
    }

    /// Reads more; false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        match self.source.next().await.transpose()? {
            Some(more) => {
                self.buffer.extend_from_slice(&more);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

fn malformed(reason: &str) -> io::Error {
    let message = format!("the multipart body is malformed: {reason}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn broken(error: io::Error) -> ApiError {
    ApiError::parse(format!("Broken body: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a body that arrives in pieces of `size` bytes: content types and contents.
    async fn parts(body: &str, size: usize) -> Result<Vec<(String, String)>, ApiError> {
        let pieces: Vec<_> = body
            .as_bytes()
            .chunks(size)
            .map(Bytes::copy_from_slice)
            .collect();
        let source = futures::stream::iter(pieces.into_iter().map(Ok)).boxed();
        let mut related = Related::new(source, "==x");
        let mut found = Vec::new();
        while let Some(headers) = related.next_part().await? {
            let content = related.whole_part(1000).await?;
            let kind = headers.content_type().unwrap_or("none").to_owned();
            found.push((kind, String::from_utf8(content.to_vec()).unwrap()));
        }
        Ok(found)
    }

    #[tokio::test]
    async fn parts_by_table() {
        let crlf = "--==x\r\ncontent-type: a/b\r\n\r\n{}\r\n--==x\r\nContent-Type: c/d\r\n\r\none\r\ntwo\n\r\n--==x--\r\n";
        let lf =
            "--==x\nContent-Type: a/b\n\n{}\n--==x\nContent-Type: c/d\n\none\r\ntwo\n\n--==x--";
        let odd = "preamble\r\n--==x\r\n\r\n\r\n--==x \r\nA: b\r\n\r\n--==xy\r\n--==x\r\n\r\n--==x--epilogue";
        let none = || "none".to_owned();
        let two = vec![
            ("a/b".to_owned(), "{}".to_owned()),
            ("c/d".to_owned(), "one\r\ntwo\n".to_owned()),
        ];
        let odd_parts = vec![
            (none(), String::new()),
            (none(), "--==xy".to_owned()),
            (none(), String::new()),
        ];
        for (body, expected) in [
            (crlf, &two),
            (lf, &two),
            (odd, &odd_parts),
            ("--==x--", &vec![]),
        ] {
            for size in [1, 2, 3, 7, 1000] {
                assert_eq!(
                    &parts(body, size).await.unwrap(),
                    expected,
                    "{body:?} by {size}"
                );
            }
        }
    }

    #[tokio::test]
    async fn broken_bodies_are_refused() {
        for body in ["", "x", "--==x\r\n\r\nno end", "--==y\r\n\r\nx\r\n--==y--"] {
            assert!(parts(body, 3).await.is_err(), "{body:?} was taken");
        }
        let long = format!("--==x\r\n\r\n{}\r\n--==x--", "y".repeat(1001));
        assert!(parts(&long, 100).await.is_err());
    }

    #[test]
    fn boundaries_by_table() {
        for (content_type, expected) in [
            ("multipart/related; boundary=abc", Some("abc")),
            ("multipart/related; boundary=\"a b=c\"", Some("a b=c")),
            ("Multipart/Mixed; charset=x; BOUNDARY='=='", Some("==")),
            ("multipart/related", None),
            ("multipart/related; boundary=", None),
            ("text/plain; boundary=abc", None),
        ] {
            assert_eq!(
                boundary(content_type).as_deref(),
                expected,
                "{content_type}"
            );
        }
    }
}
