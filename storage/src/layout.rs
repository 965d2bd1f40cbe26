//! How buckets and objects are laid out on a backend.
//!
//! ```text
//! buckets/BUCKET/bucket.json        the bucket's own metadata
//! buckets/BUCKET/objects/KEY        one object: its metadata as JSON, and which blob holds its bytes
//! buckets/BUCKET/noncurrent/KEY/GENERATION   an object that was replaced or deleted, where versions are kept
//! buckets/BUCKET/blobs/ID           immutable bytes
//! ```
//!
//! A write first stores its bytes under a new blob id that nothing refers to, and then replaces the
//! object's record in one step that every backend makes atomic. So a reader sees the old object or the
//! new one, with metadata that belongs to the bytes; an interrupted write is never seen. A blob that a
//! crash left without a record is removed by [`Store::sweep`](crate::Store::sweep): its id starts with
//! the id of the process that wrote it, which tells it from writes that are under way.
//!
//! `KEY` is the object's name, encoded so that every legal name maps to a path below `objects/`, no two
//! names share one, also where the file system folds case or normalises Unicode, and the name can be
//! read back:
//!
//! | in the name | in the path |
//! |---|---|
//! | `a-z 0-9 - _ = , @`, and `.` unless it starts a segment | itself |
//! | `A` to `Z` | `+a` to `+z` |
//! | any other byte | `!` and two hex digits |
//! | an empty segment, as in `a//b` | `+-` |
//! | a segment longer than a file name may be | several components; each but the last ends in `+` |
//! | the end of the name | a closing `!`, so that the objects `a` and `a/b` can both exist |

use object_store::path::Path;

/// The folder of all buckets.
pub(crate) const BUCKETS: &str = "buckets";

/// File systems allow 255 bytes; the rest is for suffixes that backends append while writing.
const MAX_COMPONENT_BYTES: usize = 200;

const HEX: &[u8; 16] = b"0123456789abcdef";

pub(crate) fn buckets() -> Path {
    Path::from(BUCKETS)
}

pub(crate) fn bucket_record(bucket: &str) -> Path {
    Path::from_iter([BUCKETS, bucket, "bucket.json"])
}

pub(crate) fn objects(bucket: &str) -> Path {
    Path::from_iter([BUCKETS, bucket, "objects"])
}

pub(crate) fn noncurrent(bucket: &str) -> Path {
    Path::from_iter([BUCKETS, bucket, "noncurrent"])
}

pub(crate) fn noncurrent_record(bucket: &str, name: &str, generation: i64) -> Path {
    let folder = extend(noncurrent(bucket), &encode(name));
    extend(folder, &generation.to_string())
}

pub(crate) fn blobs(bucket: &str) -> Path {
    Path::from_iter([BUCKETS, bucket, "blobs"])
}

pub(crate) fn blob(bucket: &str, id: &str) -> Path {
    Path::from_iter([BUCKETS, bucket, "blobs", id])
}

pub(crate) fn object_record(bucket: &str, name: &str) -> Path {
    extend(objects(bucket), &encode(name))
}

/// The folder that holds the records of every object whose name starts with `prefix`,
/// and perhaps of others.
pub(crate) fn objects_below(bucket: &str, prefix: &str) -> Path {
    below(objects(bucket), prefix)
}

/// What [`objects_below`] is for objects, for noncurrent generations.
pub(crate) fn noncurrent_below(bucket: &str, prefix: &str) -> Path {
    below(noncurrent(bucket), prefix)
}

fn below(base: Path, prefix: &str) -> Path {
    match prefix.rfind('/') {
        None => base,
        Some(end) => extend(base, &encode_folders(&prefix[..end])),
    }
}

/// The name of the object whose record is at `record`; `None` if it is no record of this bucket.
pub(crate) fn object_name(bucket: &str, record: &Path) -> Option<String> {
    decode(&key(&objects(bucket), record)?)
}

/// The name and the generation of the noncurrent object whose record is at `record`; `None` if it is
/// no record of this bucket.
pub(crate) fn noncurrent_name(bucket: &str, record: &Path) -> Option<(String, i64)> {
    let key = key(&noncurrent(bucket), record)?;
    let (key, generation) = key.rsplit_once('/')?;
    Some((decode(key)?, generation.parse().ok()?))
}

fn key(base: &Path, record: &Path) -> Option<String> {
    let parts: Vec<_> = record.prefix_match(base)?.collect();
    let key: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    Some(key.join("/"))
}

fn extend(base: Path, key: &str) -> Path {
    // Encoded keys hold only characters that `Path` leaves alone.
    base.parts().chain(key.split('/').map(Into::into)).collect()
}

/// Encodes an object name as a relative path. See the [module's documentation](self).
#[must_use]
pub fn encode(name: &str) -> String {
    let (folders, leaf) = match name.rfind('/') {
        Some(slash) => (Some(&name[..slash]), &name[slash + 1..]),
        None => (None, name),
    };
    let mut key = String::with_capacity(name.len() + 8);
    if let Some(folders) = folders {
        key.push_str(&encode_folders(folders));
        key.push('/');
    }
    encode_segment(leaf, &mut key);
    key.push('!');
    key
}

fn encode_folders(folders: &str) -> String {
    let mut key = String::with_capacity(folders.len() + 8);
    for (index, segment) in folders.split('/').enumerate() {
        if index > 0 {
            key.push('/');
        }
        match segment {
            "" => key.push_str("+-"),
            segment => encode_segment(segment, &mut key),
        }
    }
    key
}

fn encode_segment(segment: &str, key: &mut String) {
    let mut component_bytes = 0;
    for (index, byte) in segment.bytes().enumerate() {
        if component_bytes >= MAX_COMPONENT_BYTES {
            key.push_str("+/");
            component_bytes = 0;
        }
        let before = key.len();
        encode_byte(byte, index == 0, key);
        component_bytes += key.len() - before;
    }
}

fn encode_byte(byte: u8, starts_segment: bool, key: &mut String) {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'=' | b',' | b'@' => key.push(byte.into()),
        // A component that starts a continuation must not begin with a dot either.
        b'.' if !starts_segment && !key.ends_with('/') => key.push('.'),
        b'A'..=b'Z' => {
            key.push('+');
            key.push(byte.to_ascii_lowercase().into());
        }
        _ => {
            key.push('!');
            key.push(HEX[usize::from(byte >> 4)].into());
            key.push(HEX[usize::from(byte & 15)].into());
        }
    }
}

/// The name that [`encode`] makes `key` of; `None` for a path that is no encoded name.
#[must_use]
pub fn decode(key: &str) -> Option<String> {
    let mut name = Vec::with_capacity(key.len());
    let mut components = key.strip_suffix('!')?.split('/').peekable();
    while let Some(component) = components.next() {
        let folder_ends_here = match component.strip_suffix('+') {
            Some(start) => {
                decode_component(start, &mut name)?;
                false
            }
            None if component == "+-" => true,
            None => {
                decode_component(component, &mut name)?;
                true
            }
        };
        if folder_ends_here && components.peek().is_some() {
            name.push(b'/');
        }
    }
    let name = String::from_utf8(name).ok()?;
    (encode(&name) == key).then_some(name)
}

fn decode_component(component: &str, name: &mut Vec<u8>) -> Option<()> {
    let mut bytes = component.bytes();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'+' => bytes.next()?.to_ascii_uppercase(),
            b'!' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            plain => plain,
        });
    }
    Some(())
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_keys() {
        let long = "x".repeat(201);
        let continued = format!("{}+/x!", "x".repeat(200));
        for (name, key) in [
            ("a", "a!"),
            ("a/b.txt", "a/b.txt!"),
            ("a/", "a/!"),
            ("/", "+-/!"),
            ("a//b", "a/+-/b!"),
            ("../../x", "!2e./!2e./x!"),
            (".hidden", "!2ehidden!"),
            ("README.md", "+r+e+a+d+m+e.md!"),
            ("50%!+#1", "50!25!21!2b!231!"),
            ("é", "!c3!a9!"),
            (long.as_str(), continued.as_str()),
        ] {
            assert_eq!(encode(name), key, "encoding {name:?}");
            assert_eq!(decode(key).as_deref(), Some(name), "decoding {key:?}");
        }
    }

    #[test]
    fn paths_that_are_no_encoded_name() {
        for key in [
            "a", "A!", "a b!", "!zz!", "!61!", "!c3!", "../a!", "+", "a/+!",
        ] {
            assert_eq!(decode(key), None, "{key:?} was decoded");
        }
    }

    #[test]
    fn a_record_path_gives_its_name_back() {
        let path = object_record("bucket", "A/../b//c#1");
        assert_eq!(path.as_ref(), "buckets/bucket/objects/+a/!2e./b/+-/c!231!");
        assert_eq!(object_name("bucket", &path).as_deref(), Some("A/../b//c#1"));
        assert_eq!(object_name("other", &path), None);
    }
}
