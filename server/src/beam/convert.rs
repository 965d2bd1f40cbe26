//! The job service's types as Beam's messages.

use dataflume_proto::job;
use dataflume_proto::job::job_message::MessageImportance;
use dataflume_proto::job::job_state::Enum as WireState;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::jobs::{Importance, Job, JobMessage, JobState, StateEvent};

pub(super) fn state(state: JobState) -> WireState {
    match state {
        JobState::Stopped => WireState::Stopped,
        JobState::Starting => WireState::Starting,
        JobState::Running => WireState::Running,
        JobState::Draining => WireState::Draining,
        JobState::Updating => WireState::Updating,
        JobState::Cancelling => WireState::Cancelling,
        JobState::Done => WireState::Done,
        JobState::Failed => WireState::Failed,
        JobState::Cancelled => WireState::Cancelled,
        JobState::Drained => WireState::Drained,
        JobState::Updated => WireState::Updated,
    }
}

pub(super) fn state_event(event: StateEvent) -> job::JobStateEvent {
    job::JobStateEvent {
        state: state(event.state).into(),
        timestamp: Some(event.time.into()),
    }
}

pub(super) fn message(message: &JobMessage) -> job::JobMessage {
    let importance = match message.importance {
        Importance::Debug => MessageImportance::JobMessageDebug,
        Importance::Detailed => MessageImportance::JobMessageDetailed,
        Importance::Basic => MessageImportance::JobMessageBasic,
        Importance::Warning => MessageImportance::JobMessageWarning,
        Importance::Error => MessageImportance::JobMessageError,
    };
    let time = OffsetDateTime::from(message.time);
    job::JobMessage {
        message_id: message.id.to_string(),
        // Fails only for years that no clock shows.
        time: time.format(&Rfc3339).unwrap_or_default(),
        importance: importance.into(),
        message_text: message.text.clone(),
    }
}

pub(super) fn info(source: &Job) -> job::JobInfo {
    job::JobInfo {
        job_id: source.id().to_owned(),
        job_name: source.name().to_owned(),
        pipeline_options: Some(source.options().clone()),
        state: state(source.state()).into(),
    }
}
