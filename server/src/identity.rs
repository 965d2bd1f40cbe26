//! What stands in for Google's identity services: the metadata server that machines of Google's
//! cloud have, and the endpoint at which a service account gets its tokens.
//!
//! Client libraries want credentials before they speak to anything. Here they get a token that says
//! nothing, without a name of the network being looked up. No request is ever checked for one.

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::dataflow::DEFAULT_LOCATION;

/// The project of clients that name none.
pub const DEFAULT_PROJECT: &str = "dataflume-local";

/// How the metadata server is told from others.
const FLAVOR: (HeaderName, HeaderValue) = (
    HeaderName::from_static("metadata-flavor"),
    HeaderValue::from_static("Google"),
);

/// Not the form of an address: for accounts that have one, Google's Python library asks a host of
/// Google's for the regions that the account may use.
const ACCOUNT: &str = "dataflume";

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The routes.
pub fn router() -> Router {
    Router::new()
        .route(
            "/",
            get(async || flavored("computeMetadata/\n".into_response())),
        )
        .route("/computeMetadata/v1/{*path}", get(metadata))
        .route("/token", post(async || Json(token())))
}

async fn metadata(Path(path): Path<String>) -> Response {
    match value(path.trim_end_matches('/')) {
        Some(Value::String(text)) => flavored(text.into_response()),
        Some(value) => flavored(Json(value).into_response()),
        None => flavored((StatusCode::NOT_FOUND, "not here\n").into_response()),
    }
}

/// What the metadata server says at a path below `computeMetadata/v1/`.
fn value(path: &str) -> Option<Value> {
    let (account, of_account) = match path.strip_prefix("instance/service-accounts/") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", ""),
    };
    Some(match (path, of_account) {
        ("project/project-id", _) => DEFAULT_PROJECT.into(),
        ("project/numeric-project-id", _) => "1".into(),
        ("universe/universe-domain", _) => "googleapis.com".into(),
        ("instance/zone", _) => format!("projects/1/zones/{DEFAULT_LOCATION}-a").into(),
        ("instance/region", _) => format!("projects/1/regions/{DEFAULT_LOCATION}").into(),
        _ if !["default", ACCOUNT].contains(&account) => return None,
        (_, "") => json!({"email": ACCOUNT, "aliases": ["default"], "scopes": [SCOPE]}),
        (_, "email") => ACCOUNT.into(),
        (_, "scopes") => SCOPE.into(),
        (_, "token") => token(),
        _ => return None,
    })
}

fn token() -> Value {
    json!({"access_token": "dataflume", "expires_in": 3600, "token_type": "Bearer"})
}

fn flavored(answer: Response) -> Response {
    ([FLAVOR], answer).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_values_or_are_not_there() {
        let email = "instance/service-accounts/default/email";
        assert_eq!(value(email), Some(ACCOUNT.into()));
        let account = value("instance/service-accounts/default").unwrap();
        assert_eq!(account["email"], ACCOUNT);
        let token = value("instance/service-accounts/default/token").unwrap();
        assert_eq!(token["token_type"], "Bearer");
        for path in [
            "",
            "x",
            "instance/service-accounts",
            "instance/service-accounts/other/token",
            "instance/service-accounts/default/x",
        ] {
            assert_eq!(value(path), None, "{path}");
        }
    }
}
