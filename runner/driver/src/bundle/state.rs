//! What a bundle may ask for while it runs, and the timers it gets and sets.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dataflume_engine::{Bundle, BundleFailure, DataId, Work};
use dataflume_graph::plan::{ExecutableStage, KeyedStage, Stage};
use dataflume_harness::{InputChunk, StateHandler};
use dataflume_model::ids::KeyGroup;
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_proto::fn_execution::{
    StateGetResponse, StateRequest, state_key, state_request, state_response,
};

use super::late::Lateness;
use super::{BundleContext, Staged, data_failure};
use crate::clock::{SharedClock, now};
use crate::data::DataStore;
use crate::side_input::BundleSideInputs;
use crate::state::{BundleState, KeyedState, StateCoders};
use crate::timers::{BundleTimers, KeyedTimers};

/// The keyed side of a bundle. Stages without state and timers only look up side inputs.
pub(super) struct Keyed {
    handler: Arc<Handler>,
    timers: Option<Timers>,
    groups: BTreeSet<KeyGroup>,
    input_watermark: EventTime,
}

struct Timers {
    transform: String,
    bundle: BundleTimers,
    due: Vec<(String, Bytes)>,
    /// Set where processing time is that of a script.
    script_clock: Option<ProcessingTime>,
    clock: Arc<SharedClock>,
}

struct Handler {
    data: Arc<DataStore>,
    side_inputs: BundleSideInputs,
    user: Option<BundleState>,
}

impl Keyed {
    pub(super) fn new(
        context: &Arc<BundleContext>,
        stage: &Stage,
        executable: &ExecutableStage,
        bundle: &Bundle,
    ) -> Result<Self, BundleFailure> {
        let mut groups = BTreeSet::new();
        match &bundle.work {
            Work::Elements(pieces) => {
                groups.extend(pieces.iter().filter_map(|p| p.handle.key_group))
            }
            Work::Timers(due) => groups.extend(due.iter().copied()),
            Work::Impulse | Work::TestStreamEvent(_) | Work::Truncate(_) => {}
        }
        let handler = |user| {
            Arc::new(Handler {
                data: context.data.clone(),
                side_inputs: BundleSideInputs::new(context.side_inputs.clone(), stage.id),
                user,
            })
        };
        let Some(keyed) = &executable.keyed else {
            let input_watermark = bundle.input_watermark;
            return Ok(Self {
                handler: handler(None),
                timers: None,
                groups,
                input_watermark,
            });
        };
        let windowing = &context.plan.pcollection(super::input(stage)?).windowing;
        let user = KeyedState::new(
            context.store.clone(),
            stage.id,
            context.key_groups,
            keyed.key_coder.clone(),
            windowing,
            StateCoders::of(&executable.descriptor, &keyed.transform),
        );
        let timers = KeyedTimers::new(
            context.store.clone(),
            stage.id,
            context.key_groups,
            &keyed.timers,
            windowing,
            keyed.on_window_expiration.as_deref(),
        );
        let timers = Timers::new(context, stage, executable, keyed, &timers, bundle)?;
        Ok(Self {
            handler: handler(Some(user.bundle(bundle.id))),
            timers: Some(timers),
            groups,
            input_watermark: bundle.input_watermark,
        })
    }

    pub(super) fn handler(&self) -> Arc<dyn StateHandler> {
        self.handler.clone()
    }

    /// The bundle's own key groups, if its stage keeps state.
    pub(super) fn groups_with_state(&self) -> Option<impl Iterator<Item = KeyGroup>> {
        let user = self.handler.user.as_ref();
        user.map(|_| self.groups.iter().copied())
    }

    /// The timers that fire in this bundle.
    pub(super) fn timer_inputs(&self) -> Vec<InputChunk> {
        let Some(timers) = &self.timers else {
            return Vec::new();
        };
        let chunk = |(family, bytes): &(String, Bytes)| {
            InputChunk::timers(timers.transform.as_str(), family.as_str(), bytes.clone())
        };
        timers.due.iter().map(chunk).collect()
    }

    /// Takes timers that the SDK set or cleared.
    pub(super) fn absorb(
        &self,
        transform: &str,
        family: &str,
        bytes: &Bytes,
    ) -> Result<(), BundleFailure> {
        match &self.timers {
            Some(timers) if timers.transform == transform => {
                // Taken now, when all of them are set: rather a moment too early than too late.
                let now = now();
                let shown = timers
                    .script_clock
                    .unwrap_or_else(|| timers.clock.reading().at(now));
                let shift = shown.0.saturating_sub(now.0);
                let absorbed = timers.bundle.absorb_shifted(family, bytes, shift);
                absorbed.map_err(data_failure)
            }
            _ => Err(BundleFailure::Failed(format!(
                "the SDK set timers of {transform:?}, which has none"
            ))),
        }
    }

    /// Stages what the bundle did to state and timers.
    pub(super) fn finish(self, staged: &mut Staged) -> Result<(), BundleFailure> {
        let (Some(user), Some(timers)) = (&self.handler.user, &self.timers) else {
            return Ok(());
        };
        let mut groups = self.groups.clone();
        groups.extend(timers.bundle.groups());
        let list: Vec<KeyGroup> = groups.iter().copied().collect();
        user.collect_expired(&list, self.input_watermark, Some(&timers.bundle))
            .map_err(data_failure)?;
        user.write_into(&mut staged.writes).map_err(data_failure)?;
        timers
            .bundle
            .write_into(&mut staged.writes)
            .map_err(data_failure)?;
        for group in groups {
            let summary = timers.bundle.summary(group).map_err(data_failure)?;
            staged.effects.key_groups.push(summary);
        }
        Ok(())
    }
}

impl Timers {
    fn new(
        context: &BundleContext,
        stage: &Stage,
        executable: &ExecutableStage,
        keyed: &KeyedStage,
        timers: &KeyedTimers,
        work: &Bundle,
    ) -> Result<Self, BundleFailure> {
        let bundle = timers.bundle();
        let mut due = Vec::new();
        match &work.work {
            Work::Timers(groups) => {
                let timers = timers
                    .due(groups, work.input_watermark, work.processing_time)
                    .map_err(data_failure)?;
                bundle.fired(&timers);
                due.extend(timers.into_iter().map(|timer| (timer.family, timer.record)));
            }
            Work::Elements(pieces) if keyed.on_window_expiration.is_some() => {
                let lateness = Lateness::of(context, stage, executable, work)?;
                let codec = context.input_codec(stage)?;
                for piece in pieces {
                    for chunk in context.data.read(piece.handle.id).map_err(data_failure)? {
                        for element in codec.iter(&chunk.map_err(data_failure)?) {
                            let element = element.map_err(data_failure)?;
                            for window in element.windows() {
                                let window = window.map_err(data_failure)?;
                                if lateness.is_over(&window) {
                                    continue;
                                }
                                bundle
                                    .ensure_expiry_timer(element.key(), &window)
                                    .map_err(data_failure)?;
                            }
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(Self {
            transform: keyed.transform.clone(),
            bundle,
            due,
            script_clock: context.has_script().then_some(work.processing_time),
            clock: context.clock.clone(),
        })
    }
}

/// A page of what did not travel with a large group. Its token names the data, the continuation token
/// the chunk.
fn rest_of_group(
    data: &DataStore,
    token: &Bytes,
    continuation: &Bytes,
) -> Result<StateGetResponse, String> {
    let number = |bytes: &Bytes| <[u8; 8]>::try_from(&**bytes).map(u64::from_be_bytes);
    let page = match continuation.is_empty() {
        true => Ok(0),
        false => number(continuation),
    };
    let (Ok(id), Ok(page)) = (number(token), page) else {
        return Err(format!("{token:?} names no values of a group"));
    };
    let (id, page) = (DataId(id), page as usize);
    let (bytes, chunks) = data.page(id, page).map_err(|error| error.to_string())?;
    let next = page + 1;
    Ok(StateGetResponse {
        data: bytes,
        continuation_token: match next < chunks {
            true => Bytes::copy_from_slice(&(next as u64).to_be_bytes()),
            false => Bytes::new(),
        },
    })
}

#[async_trait]
impl StateHandler for Handler {
    async fn handle(&self, request: StateRequest) -> Result<state_response::Response, String> {
        if let (Some(key), Some(state_request::Request::Get(get))) =
            (&request.state_key, &request.request)
        {
            if let Some(state_key::Type::Runner(runner)) = &key.r#type {
                let page = rest_of_group(&self.data, &runner.key, &get.continuation_token);
                return page.map(state_response::Response::Get);
            }
            if let Some(answer) = self.side_inputs.get(key, &get.continuation_token) {
                return answer.map(state_response::Response::Get);
            }
        }
        match &self.user {
            Some(user) => user.handle(&request),
            None => Err(format!(
                "the stage has no user state, but {:?} was asked for",
                request.state_key
            )),
        }
    }
}
