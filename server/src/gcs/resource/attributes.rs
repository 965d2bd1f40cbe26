//! What a client says about an object when it writes or changes one.

use std::collections::BTreeMap;

use dataflume_storage::{AttributesPatch, ContentAttributes, ExpectedContent};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::gcs::errors::ApiError;
use crate::gcs::hashes;

/// Of an object's resource, what is given back as it was set and changes nothing.
const WITHOUT_EFFECT: [&str; 4] = ["temporaryHold", "eventBasedHold", "retention", "contexts"];

/// The attributes of a new object. What the service sets itself is passed over.
pub(in crate::gcs) fn attributes(
    resource: &Map<String, Value>,
) -> Result<ContentAttributes, ApiError> {
    let mut attributes = ContentAttributes::default();
    patch(resource)?.apply(&mut attributes);
    Ok(attributes)
}

/// The change that a resource describes: what it leaves out stays, a null removes.
pub(in crate::gcs) fn patch(resource: &Map<String, Value>) -> Result<AttributesPatch, ApiError> {
    let text = |key: &str| -> Result<Option<Option<String>>, ApiError> {
        resource
            .get(key)
            .map(|value| text_or_null(key, value))
            .transpose()
    };
    let custom_time = text("customTime")?;
    if let Some(Some(time)) = &custom_time {
        OffsetDateTime::parse(time, &Rfc3339).map_err(|error| {
            ApiError::invalid(format!(
                "customTime {time:?} is no time as of RFC 3339: {error}."
            ))
        })?;
    }
    let (custom, clear_custom) = custom(resource.get("metadata"))?;
    Ok(AttributesPatch {
        content_type: text("contentType")?,
        content_encoding: text("contentEncoding")?,
        content_disposition: text("contentDisposition")?,
        content_language: text("contentLanguage")?,
        cache_control: text("cacheControl")?,
        custom_time,
        storage_class: text("storageClass")?,
        custom,
        clear_custom,
        extra: extra(resource),
        clear_extra: false,
    })
}

/// What is kept for the client and has no effect.
fn extra(resource: &Map<String, Value>) -> Map<String, Value> {
    let kept = resource
        .iter()
        .filter(|(key, _)| WITHOUT_EFFECT.contains(&key.as_str()));
    kept.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

type Custom = BTreeMap<String, Option<String>>;

fn custom(metadata: Option<&Value>) -> Result<(Custom, bool), ApiError> {
    match metadata {
        None => Ok((Custom::new(), false)),
        Some(Value::Null) => Ok((Custom::new(), true)),
        Some(Value::Object(entries)) => {
            let entries = entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), text_or_null(key, value)?)));
            Ok((entries.collect::<Result<_, ApiError>>()?, false))
        }
        Some(_) => Err(ApiError::invalid("metadata is not an object of strings.")),
    }
}

fn text_or_null(key: &str, value: &Value) -> Result<Option<String>, ApiError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        // The service's parser takes a scalar where it wants a string.
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(value) => Ok(Some(value.to_string())),
        _ => Err(ApiError::invalid(format!("{key} is not a string."))),
    }
}

/// Whether a resource says how an object is to be described, rather than only what it is called.
pub(in crate::gcs) fn sets_attributes(resource: &Map<String, Value>) -> bool {
    const ATTRIBUTES: [&str; 7] = [
        "contentType",
        "contentEncoding",
        "contentDisposition",
        "contentLanguage",
        "cacheControl",
        "customTime",
        "metadata",
    ];
    ATTRIBUTES.iter().any(|key| resource.contains_key(*key))
}

/// What a resource announces about the content that comes with it.
pub(in crate::gcs) fn expected(resource: &Map<String, Value>) -> Result<ExpectedContent, ApiError> {
    let text = |key| resource.get(key).and_then(Value::as_str);
    Ok(ExpectedContent {
        size: None,
        crc32c: text("crc32c").map(hashes::parse_crc32c).transpose()?,
        md5: text("md5Hash").map(hashes::parse_md5).transpose()?,
    })
}
