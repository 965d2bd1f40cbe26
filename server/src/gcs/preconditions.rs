//! Conditions that a request puts on its effect.

use dataflume_storage::Preconditions;
use serde_json::{Map, Value};

use super::errors::ApiError;
use super::query::Query;

/// The conditions on the object (or bucket) that the request is about.
pub(super) fn of(query: &Query) -> Result<Preconditions, ApiError> {
    Ok(Preconditions {
        if_generation_match: query.number("ifGenerationMatch")?,
        if_generation_not_match: query.number("ifGenerationNotMatch")?,
        if_metageneration_match: query.number("ifMetagenerationMatch")?,
        if_metageneration_not_match: query.number("ifMetagenerationNotMatch")?,
    })
}

/// The conditions on the object that is copied.
pub(super) fn of_source(query: &Query) -> Result<Preconditions, ApiError> {
    Ok(Preconditions {
        if_generation_match: query.number("ifSourceGenerationMatch")?,
        if_generation_not_match: query.number("ifSourceGenerationNotMatch")?,
        if_metageneration_match: query.number("ifSourceMetagenerationMatch")?,
        if_metageneration_not_match: query.number("ifSourceMetagenerationNotMatch")?,
    })
}

/// The conditions on one of the objects that another is composed of.
pub(super) fn of_component(component: &Map<String, Value>) -> Result<Preconditions, ApiError> {
    let Some(conditions) = component.get("objectPreconditions") else {
        return Ok(Preconditions::default());
    };
    Ok(Preconditions {
        if_generation_match: int64(conditions, "ifGenerationMatch")?,
        ..Preconditions::default()
    })
}

/// A whole number as Google's JSON has it: in quotes, or not.
pub(super) fn int64(object: &Value, key: &str) -> Result<Option<i64>, ApiError> {
    let number = match object.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_i64(),
    };
    let wrong = || ApiError::invalid(format!("{key} is not a whole number."));
    number.map(Some).ok_or_else(wrong)
}
