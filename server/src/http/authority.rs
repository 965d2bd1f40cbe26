//! How a client addressed this server.

use axum::extract::Request;
use http::header::HOST;
use http::uri::Authority;

use crate::beam::ClientAuthority;

/// Notes the authority in the request's extensions, if it says a port.
pub(super) async fn note(mut request: Request) -> Request {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let parsed = host.and_then(|host| host.parse::<Authority>().ok());
    let authority = request.uri().authority().cloned().or(parsed);
    if let Some(authority) = authority.filter(|authority| authority.port().is_some()) {
        request
            .extensions_mut()
            .insert(ClientAuthority(authority.to_string()));
    }
    request
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn noted(uri: &str, host: Option<&str>) -> Option<String> {
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let request = note(request.body(Body::empty()).unwrap()).await;
        let authority = request.extensions().get::<ClientAuthority>();
        authority.map(|authority| authority.0.clone())
    }

    #[tokio::test]
    async fn an_authority_counts_if_it_has_a_port() {
        let all = [
            noted("http://localhost:1/x", None).await,
            noted("/x", Some("[::1]:2")).await,
            noted("http://localhost/x", None).await,
            noted("/x", Some("not an authority")).await,
            noted("/x", None).await,
        ];
        let expected = [Some("localhost:1"), Some("[::1]:2"), None, None, None];
        assert_eq!(all.each_ref().map(Option::as_deref), expected);
    }
}
