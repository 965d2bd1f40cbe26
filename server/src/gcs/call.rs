//! A request, taken apart.

use axum::body::Body;
use axum::extract::Request;
use http::header::HOST;
use http::{HeaderMap, HeaderName, Method};

use super::errors::ApiError;
use super::query::Query;
use super::resource::Links;
use crate::buckets::Buckets;

/// Clients that can't send every method name the one they mean.
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// A request, and what it is about to be done with.
pub(super) struct Call {
    pub(super) buckets: Buckets,
    pub(super) method: Method,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) links: Links,
}

impl Call {
    /// The request without its body, and its body.
    pub(super) fn new(buckets: Buckets, request: Request) -> (Self, Body) {
        let (parts, body) = request.into_parts();
        let authority = parts.uri.authority().map(|authority| authority.as_str());
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let links = Links::to(authority.or(host).unwrap_or("localhost"));
        let meant = parts.headers.get(METHOD_OVERRIDE);
        let meant = meant.and_then(|value| Method::from_bytes(value.as_bytes()).ok());
        let call = Self {
            buckets,
            method: match meant {
                Some(meant) if parts.method == Method::POST => meant,
                _ => parts.method,
            },
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            headers: parts.headers,
            links,
        };
        (call, body)
    }

    /// A header's value, if it is text.
    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What to answer where the path has no such method.
    pub(super) fn no_such_method(&self) -> ApiError {
        ApiError::no_such_method(&self.method)
    }
}
