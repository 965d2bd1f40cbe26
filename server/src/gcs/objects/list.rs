//! `objects.list`.

use axum::response::Response;
use dataflume_storage::ListRequest;
use serde_json::json;

use crate::gcs::call::Call;
use crate::gcs::errors::ApiError;
use crate::gcs::query::Query;
use crate::gcs::{answer, resource};

pub(super) async fn list(call: &Call, bucket: &str) -> Result<Response, ApiError> {
    call.buckets.use_bucket(bucket).await?;
    let page = call
        .buckets
        .store()
        .list(bucket, &request(&call.query)?)
        .await?;
    let mut shown = json!({"kind": "storage#objects"});
    if let Some(token) = page.next_page_token {
        shown["nextPageToken"] = json!(token);
    }
    if !page.prefixes.is_empty() {
        shown["prefixes"] = json!(page.prefixes);
    }
    if !page.objects.is_empty() {
        let items = page.objects.iter();
        shown["items"] = items
            .map(|object| resource::object(object, &call.links))
            .collect();
    }
    answer::json(call, shown)
}

fn request(query: &Query) -> Result<ListRequest, ApiError> {
    let text = |name| {
        query
            .get(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    Ok(ListRequest {
        prefix: text("prefix").unwrap_or_default(),
        delimiter: text("delimiter"),
        include_trailing_delimiter: query.flag("includeTrailingDelimiter")?,
        start_offset: text("startOffset"),
        end_offset: text("endOffset"),
        max_results: query.number("maxResults")?,
        page_token: text("pageToken"),
        versions: query.flag("versions")?,
        match_glob: text("matchGlob"),
    })
}
