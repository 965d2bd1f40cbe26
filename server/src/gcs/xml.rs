//! The download paths of the XML API: `/BUCKET/OBJECT`, with nothing before the bucket's name.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use dataflume_storage::{Error, ObjectId, Preconditions};
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::call::Call;
use super::download::{self, Api};
use super::errors::ApiError;
use crate::buckets::Buckets;

/// Answers a read of an object in a bucket that exists. Any other request is given back.
pub(super) async fn serve(buckets: &Buckets, request: Request) -> Result<Response, Box<Request>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let id = object_id(request.uri().path()).filter(|_| is_read);
    let Some(id) = id else {
        return Err(Box::new(request));
    };
    match buckets.store().bucket(&id.bucket).await {
        Err(Error::BucketNotFound { .. } | Error::InvalidName { .. }) => {
            return Err(Box::new(request));
        }
        Err(error) => return Ok(refusal(error.into(), &id)),
        Ok(_) => {}
    }
    let (call, _) = Call::new(buckets.clone(), request);
    let answered = match conditions(&call) {
        Ok(conditions) => download::media(&call, &id, conditions, Api::Xml).await,
        Err(error) => Err(error),
    };
    Ok(answered.unwrap_or_else(|error| refusal(error, &id)))
}

fn object_id(path: &str) -> Option<ObjectId> {
    let (bucket, name) = path.strip_prefix('/')?.split_once('/')?;
    let decode = |text| percent_decode_str(text).decode_utf8().ok();
    let (bucket, name) = (decode(bucket)?, decode(name)?);
    (!name.is_empty()).then(|| ObjectId::new(bucket, name))
}

/// In this API, conditions are headers.
fn conditions(call: &Call) -> Result<Preconditions, ApiError> {
    let number = |name: &'static str| {
        let text = call.header(name);
        text.map(|text| {
            text.parse()
                .map_err(|_| ApiError::invalid_parameter(name, text))
        })
        .transpose()
    };
    Ok(Preconditions {
        if_generation_match: number("x-goog-if-generation-match")?,
        if_generation_not_match: number("x-goog-if-generation-not-match")?,
        if_metageneration_match: number("x-goog-if-metageneration-match")?,
        if_metageneration_not_match: number("x-goog-if-metageneration-not-match")?,
    })
}

/// An error as this API tells it.
fn refusal(error: ApiError, id: &ObjectId) -> Response {
    if error.is_not_modified() {
        return error.into_response();
    }
    let (code, message) = match error.status {
        StatusCode::NOT_FOUND => ("NoSuchKey", "The specified key does not exist."),
        StatusCode::PRECONDITION_FAILED => ("PreconditionFailed", error.message.as_str()),
        StatusCode::BAD_REQUEST => ("InvalidArgument", error.message.as_str()),
        _ => ("ServiceUnavailable", error.message.as_str()),
    };
    let details = match error.status {
        StatusCode::NOT_FOUND => format!("No such object: {}/{}", id.bucket, id.name),
        _ => error.message.clone(),
    };
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code>\
         <Message>{}</Message><Details>{}</Details></Error>",
        escape(message),
        escape(&details)
    );
    let content_type = [(CONTENT_TYPE, "application/xml; charset=UTF-8")];
    (error.status, content_type, body).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_by_table() {
        for (path, expected) in [
            ("/buck/a/b", Some(ObjectId::new("buck", "a/b"))),
            ("/buck/a%2Fb", Some(ObjectId::new("buck", "a/b"))),
            ("/buck//a", Some(ObjectId::new("buck", "/a"))),
            ("/buck/", None),
            ("/buck", None),
            ("/", None),
            ("/buck/%FF", None),
        ] {
            assert_eq!(object_id(path), expected, "{path}");
        }
    }
}
