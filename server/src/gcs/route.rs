//! What a path means.

use dataflume_storage::ObjectId;
use percent_encoding::percent_decode_str;

use super::errors::ApiError;

/// Through which door a request comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    /// `/storage/v1`: metadata, and content with `alt=media`.
    Plain,
    /// `/upload/storage/v1`: content comes in.
    Upload,
    /// `/download/storage/v1`: content goes out.
    Download,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// All buckets.
    Buckets,
    /// A bucket.
    Bucket(String),
    /// All objects of a bucket.
    Objects(String),
    /// An object.
    Object(ObjectId),
}

/// The doors, longest first: each is tried on what the path starts with.
const SURFACES: [(&str, Surface); 7] = [
    ("/resumable/upload/storage/v1/", Surface::Upload),
    ("/upload/storage/v1/", Surface::Upload),
    ("/download/storage/v1/", Surface::Download),
    ("/storage/v1/", Surface::Plain),
    ("/upload/", Surface::Upload),
    ("/download/", Surface::Download),
    ("/", Surface::Plain),
];

impl Route {
    /// Reads a path as it was sent: a `/` within a name is there as `%2F`.
    pub(super) fn parse(path: &str) -> Result<(Surface, Self), ApiError> {
        let (surface, rest) = SURFACES
            .iter()
            .find_map(|(prefix, surface)| Some((*surface, path.strip_prefix(prefix)?)))
            .ok_or_else(|| ApiError::no_such_path(path))?;
        let segments: Vec<&str> = rest.split('/').collect();
        let route = match segments[..] {
            ["b"] => Self::Buckets,
            ["b", bucket] => Self::Bucket(name(bucket)?),
            ["b", bucket, "o"] => Self::Objects(name(bucket)?),
            ["b", bucket, "o", object] => Self::Object(object_id(bucket, object)?),
            _ => return Err(ApiError::no_such_path(path)),
        };
        Ok((surface, route))
    }
}

fn object_id(bucket: &str, object: &str) -> Result<ObjectId, ApiError> {
    Ok(ObjectId::new(name(bucket)?, name(object)?))
}

fn name(segment: &str) -> Result<String, ApiError> {
    match percent_decode_str(segment).decode_utf8() {
        Ok(name) => Ok(name.into_owned()),
        Err(_) => Err(ApiError::invalid(format!(
            "The name {segment} is not encoded UTF-8."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_by_table() {
        let object = |name: &str| Route::Object(ObjectId::new("buck", name));
        for (path, surface, route) in [
            ("/storage/v1/b", Surface::Plain, Route::Buckets),
            ("/b", Surface::Plain, Route::Buckets),
            (
                "/storage/v1/b/buck",
                Surface::Plain,
                Route::Bucket("buck".to_owned()),
            ),
            (
                "/upload/storage/v1/b/buck/o",
                Surface::Upload,
                Route::Objects("buck".to_owned()),
            ),
            (
                "/upload/b/buck/o",
                Surface::Upload,
                Route::Objects("buck".to_owned()),
            ),
            (
                "/storage/v1/b/buck/o/a%2Fb%20c",
                Surface::Plain,
                object("a/b c"),
            ),
            (
                "/download/storage/v1/b/buck/o/..%2F..%2Fx",
                Surface::Download,
                object("../../x"),
            ),
            (
                "/b/buck/o/%F0%9F%98%80",
                Surface::Plain,
                object("\u{1f600}"),
            ),
        ] {
            assert_eq!(Route::parse(path).unwrap(), (surface, route), "{path}");
        }
        for path in [
            "/storage/v1/",
            "/storage/v1/c",
            "/storage/v1/b/buck/p",
            "/storage/v1/b/buck/o/a/b",
            "/storage/v1/b/buck/o/%FF",
        ] {
            assert!(Route::parse(path).is_err(), "{path} was taken");
        }
    }
}
