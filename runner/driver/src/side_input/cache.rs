//! Which side inputs a worker may keep from bundle to bundle.
//!
//! Those that have their last elements by the time they are first read: what is bounded is never late, and a window that shows nothing
//! before its end is read after it. Others change while they are read, and a worker that resumes one bundle's page in another bundle
//! would mix two panes.

use dataflume_graph::plan::{Plan, SideInput, Stage};
use dataflume_proto::fn_execution::process_bundle_request::{CacheToken, cache_token};

use super::may_show_early;

/// A side input that stays as it is has one token, which is never taken back.
const TOKEN: &[u8] = b"as it stays";

pub(super) fn tokens(plan: &Plan, stage: &Stage) -> Vec<CacheToken> {
    let lasting = stage.side_inputs.iter().filter(|side| stays(plan, side));
    lasting.map(token).collect()
}

fn stays(plan: &Plan, side: &SideInput) -> bool {
    let mut pcollections = side.pcollections.iter().map(|id| plan.pcollection(*id));
    pcollections.all(|each| each.bounded && !may_show_early(&each.windowing.trigger))
}

fn token(side: &SideInput) -> CacheToken {
    CacheToken {
        r#type: Some(cache_token::Type::SideInput(cache_token::SideInput {
            transform_id: side.transform.clone(),
            side_input_id: side.tag.clone(),
        })),
        token: TOKEN.into(),
    }
}
