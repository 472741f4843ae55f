//! Reading JSON with errors that name the path, and writing it one network block per line.

use std::io;

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, error::Category, ser::Formatter};

use crate::{ArchError, header::Header, wording};

/// Documents read at most from one stream.
const MAX_DOCUMENTS: usize = 1_000_000;

/// Parses a whole document; an error names the JSON path, what was found and what is allowed.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, header: Header) -> Result<T, ArchError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = next(&mut reader).map_err(|error| explain(text, 1, header).unwrap_or(error))?;
    reader.end().map_err(|error| ArchError::Parse {
        location: "after the document".to_owned(),
        reason: format!("{error}; one document is read here, so remove what follows"),
    })?;
    Ok(value)
}

/// Parses one or more documents that follow each other, such as JSON lines. An error in any but
/// the first says which it is.
pub(crate) fn parse_many<T: DeserializeOwned>(
    text: &str,
    header: Header,
    check: impl Fn(&T) -> Result<(), ArchError>,
) -> Result<Vec<T>, ArchError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut values: Vec<T> = Vec::new();
    while values.is_empty() || reader.end().is_err() {
        let number = values.len() + 1;
        let value = next(&mut reader)
            .map_err(|error| explain(text, number, header).unwrap_or(error))
            .and_then(|value: T| check(&value).map(|()| value));
        values.push(value.map_err(|error| match number {
            1 => error,
            _ => error.inside(&format!("document {number}")),
        })?);
        if values.len() > MAX_DOCUMENTS {
            let allowed = format!("at most {MAX_DOCUMENTS} documents");
            return Err(ArchError::value("the stream", "a longer one", allowed));
        }
    }
    Ok(values)
}

fn next<T: DeserializeOwned>(
    reader: &mut serde_json::Deserializer<serde_json::de::StrRead<'_>>,
) -> Result<T, ArchError> {
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let path = error.path().to_string();
        // What is broken before its key is known has the path `?`.
        let path = path.strip_suffix('?').unwrap_or(&path).trim_end_matches('.');
        let location = if path.is_empty() { "the document" } else { path }.to_owned();
        let reason = error.inner().to_string();
        let hint = match error.inner().classify() {
            Category::Eof => "; the text ends too early: copy it or make it again",
            Category::Syntax => "; is it the right file?",
            _ => "",
        };
        ArchError::Parse { location, reason: wording::plain(&reason) + hint }
    })
}

/// What is wrong with a document as a whole, which says more than the first key that does not fit: another kind
/// of file, or another version.
fn explain(text: &str, number: usize, header: Header) -> Option<ArchError> {
    #[derive(Deserialize)]
    struct Stated {
        #[serde(default)]
        format: Value,
        #[serde(default)]
        version: Value,
    }
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    documents.by_ref().take(number - 1).for_each(drop);
    let rest = text.get(documents.byte_offset()..)?.trim_start();
    if rest.starts_with('[') {
        return Some(ArchError::value(
            "the document",
            "a list",
            "an object; is it the right file?",
        ));
    }
    let mut reader = serde_json::Deserializer::from_str(rest);
    let Stated { format, version } = Stated::deserialize(&mut reader).ok()?;
    let other_kind = header.check_kind(format.as_str()?).err();
    other_kind.or_else(|| header.check(version.as_u64()?).err())
}

/// One line, for JSON lines.
pub(crate) fn line<T: Serialize>(value: &T) -> String {
    // Only maps with non-string keys and failing `Serialize` impls can fail here; the formats
    // have neither.
    serde_json::to_string(value).unwrap_or_default()
}

/// Indented, but with every object below the document itself, such as a block, on one line.
pub(crate) fn pretty<T: Serialize>(value: &T) -> String {
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut out, BlockPerLine::default());
    if value.serialize(&mut writer).is_err() {
        return String::new();
    }
    out.push(b'\n');
    String::from_utf8(out).unwrap_or_default()
}

#[derive(Default)]
struct BlockPerLine {
    /// Containers open now, and how many of the outer ones are spread over lines.
    depth: usize,
    spread: usize,
    empty: bool,
}

impl BlockPerLine {
    fn open<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        mark: &[u8],
        spread: bool,
    ) -> io::Result<()> {
        if self.spread == self.depth && spread {
            self.spread += 1;
        }
        self.depth += 1;
        self.empty = true;
        out.write_all(mark)
    }

    fn close<W: ?Sized + io::Write>(&mut self, out: &mut W, mark: &[u8]) -> io::Result<()> {
        let spread = self.spread == self.depth;
        self.depth -= 1;
        self.spread = self.spread.min(self.depth);
        if spread && !self.empty {
            self.new_line(out)?;
        }
        self.empty = false;
        out.write_all(mark)
    }

    fn separate<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.empty = false;
        if !first {
            out.write_all(b",")?;
        }
        if self.spread == self.depth {
            self.new_line(out)
        } else if first {
            Ok(())
        } else {
            out.write_all(b" ")
        }
    }

    fn new_line<W: ?Sized + io::Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }
}

impl Formatter for BlockPerLine {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[", true)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.separate(out, first)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        let document = self.depth == 0;
        self.open(out, b"{", document)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.separate(out, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}
