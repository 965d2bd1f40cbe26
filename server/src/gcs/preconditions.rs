//! Conditions that a request puts on its effect.

use dataflume_storage::Preconditions;

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
