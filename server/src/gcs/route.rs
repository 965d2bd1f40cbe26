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
    /// An object becomes another, in one request.
    Copy(Transfer),
    /// An object becomes another, in as many requests as it takes.
    Rewrite(Transfer),
    /// An object gets another name in its bucket.
    Move(Transfer),
    /// An object is made of others.
    Compose(ObjectId),
    /// A part of a bucket's configuration that has a path of its own.
    Configuration {
        /// Whose.
        bucket: String,
        /// The rest of the path.
        part: String,
    },
    /// A part of an object's configuration that has a path of its own.
    ObjectConfiguration {
        /// Whose.
        id: ObjectId,
        /// The rest of the path.
        part: String,
    },
    /// The account that the service acts as in a project.
    ServiceAccount,
}

/// From where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) source: ObjectId,
    pub(super) destination: ObjectId,
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
            [
                "b",
                from,
                "o",
                source,
                verb @ ("copyTo" | "rewriteTo"),
                "b",
                to,
                "o",
                destination,
            ] => {
                let transfer = Transfer {
                    source: object_id(from, source)?,
                    destination: object_id(to, destination)?,
                };
                match verb {
                    "copyTo" => Self::Copy(transfer),
                    _ => Self::Rewrite(transfer),
                }
            }
            ["b", bucket, "o", source, "moveTo", "o", destination] => Self::Move(Transfer {
                source: object_id(bucket, source)?,
                destination: object_id(bucket, destination)?,
            }),
            ["b", bucket, "o", object, "compose"] => Self::Compose(object_id(bucket, object)?),
            ["b", bucket, "o", object, ..] => Self::ObjectConfiguration {
                id: object_id(bucket, object)?,
                part: segments[4..].join("/"),
            },
            ["b", bucket, ..] => Self::Configuration {
                bucket: name(bucket)?,
                part: segments[2..].join("/"),
            },
            ["projects", _, "serviceAccount"] => Self::ServiceAccount,
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
                "/storage/v1/b/from/o/copyTo/rewriteTo/b/buck/o/x%2Fy",
                Surface::Plain,
                Route::Rewrite(Transfer {
                    source: ObjectId::new("from", "copyTo"),
                    destination: ObjectId::new("buck", "x/y"),
                }),
            ),
            (
                "/storage/v1/b/buck/o/x/compose",
                Surface::Plain,
                Route::Compose(ObjectId::new("buck", "x")),
            ),
            (
                "/storage/v1/b/buck/iam/testPermissions",
                Surface::Plain,
                Route::Configuration {
                    bucket: "buck".to_owned(),
                    part: "iam/testPermissions".to_owned(),
                },
            ),
            (
                "/b/buck/o/%F0%9F%98%80",
                Surface::Plain,
                object("\u{1f600}"),
            ),
        ] {
            assert_eq!(Route::parse(path).unwrap(), (surface, route), "{path}");
        }
        for path in ["/storage/v1/", "/storage/v1/c", "/storage/v1/b/buck/o/%FF"] {
            assert!(Route::parse(path).is_err(), "{path} was taken");
        }
    }
}
