//! Bodies and queries of requests.

use std::collections::HashMap;
use std::io::Read;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::CONTENT_ENCODING;
use serde_json::Value;

use super::errors::{ApiError, Code};

/// The largest request that Dataflow takes.
const MAX_BODY_BYTES: usize = 20 << 20;

/// The JSON object that a request carries.
///
/// # Errors
/// For what is too large, not what its encoding says, or no JSON object.
pub(super) async fn json(request: Request) -> Result<Value, ApiError> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    let encoding = encoding.map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
    let bytes = read(request.into_body()).await?;
    let bytes = match encoding.as_deref().map(str::trim) {
        None | Some("" | "identity") => bytes,
        Some("gzip" | "x-gzip") => unzip(&bytes)?,
        Some(other) => {
            let text = format!("the Content-Encoding {other:?} is not gzip");
            return Err(ApiError::invalid(text));
        }
    };
    match serde_json::from_slice(&bytes) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(ApiError::invalid(
            "Invalid JSON payload received. Root element must be a message.",
        )),
        Err(error) => Err(ApiError::invalid(format!(
            "Invalid JSON payload received. {error}"
        ))),
    }
}

async fn read(body: Body) -> Result<Bytes, ApiError> {
    to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| {
        let error: &dyn std::error::Error = &error;
        match error
            .source()
            .is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
        {
            true => too_large(),
            false => ApiError::invalid(format!("the request's body broke off: {error}")),
        }
    })
}

fn unzip(bytes: &[u8]) -> Result<Bytes, ApiError> {
    let mut plain = Vec::new();
    let limit = MAX_BODY_BYTES as u64 + 1;
    let read = GzDecoder::new(bytes).take(limit).read_to_end(&mut plain);
    read.map_err(|error| ApiError::invalid(format!("the request's body is no gzip: {error}")))?;
    match plain.len() > MAX_BODY_BYTES {
        true => Err(too_large()),
        false => Ok(plain.into()),
    }
}

fn too_large() -> ApiError {
    ApiError::new(
        Code::TooLarge,
        format!("Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes."),
    )
}

/// A query's parameters. Of one that is given twice, the last counts.
pub(super) struct Query(HashMap<String, String>);

impl Query {
    pub(super) fn of(request: &Request) -> Self {
        let text = request.uri().query().unwrap_or_default();
        Self(
            url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A size, of which 0 means the default.
    ///
    /// # Errors
    /// If it is no number, or a negative one.
    pub(super) fn size(&self, name: &str, default: usize, most: usize) -> Result<usize, ApiError> {
        match self.get(name).map(|text| (text, text.parse::<usize>())) {
            None | Some((_, Ok(0))) => Ok(default),
            Some((_, Ok(size))) => Ok(size.min(most)),
            Some((text, Err(_))) => Err(ApiError::invalid(format!(
                "Invalid value at '{name}' (TYPE_INT32), {text:?}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;

    use super::*;

    async fn sent(encoding: &str, body: Vec<u8>) -> Result<Value, ApiError> {
        let request = Request::builder().header(CONTENT_ENCODING, encoding);
        json(request.body(Body::from(body)).unwrap()).await
    }

    fn zipped(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn plain_and_zipped_objects_are_read() {
        let text = br#"{"a": 1}"#;
        for body in [
            sent("", text.to_vec()).await,
            sent("gzip", zipped(text)).await,
        ] {
            assert_eq!(body.unwrap(), json!({"a": 1}));
        }
    }

    #[tokio::test]
    async fn bad_bodies_are_told_apart() {
        let bomb = zipped(&vec![b' '; MAX_BODY_BYTES + 1]);
        let large = vec![b' '; MAX_BODY_BYTES + 1];
        for (encoding, body, code) in [
            ("", b"{".to_vec(), Code::InvalidArgument),
            ("", b"[]".to_vec(), Code::InvalidArgument),
            ("", large, Code::TooLarge),
            ("gzip", b"{}".to_vec(), Code::InvalidArgument),
            ("gzip", bomb, Code::TooLarge),
            ("br", b"{}".to_vec(), Code::InvalidArgument),
        ] {
            assert_eq!(sent(encoding, body).await.unwrap_err().code, code);
        }
    }
}
