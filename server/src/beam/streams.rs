//! A job's history as the streams of Beam's Job API.

use dataflume_proto::job::job_message::MessageImportance;
use dataflume_proto::job::job_messages_response::Response as Content;
use dataflume_proto::job::{JobMessage, JobMessagesResponse, JobStateEvent};
use futures::stream::{self, BoxStream, StreamExt};
use tonic::Status;

use super::convert;
use crate::jobs::{Entry, Job, Listener};

/// Every state, ending with the terminal one.
pub(super) fn states(job: &Job) -> BoxStream<'static, Result<JobStateEvent, Status>> {
    let states = entries(job).filter_map(async |entry| match entry {
        Entry::State(event) => Some(Ok(convert::state_event(event))),
        Entry::Message(_) | Entry::Forgotten => None,
    });
    states.boxed()
}

/// Every state and message. It ends after the terminal state and not before: a client that sees no
/// state at the end may take the job for a success.
pub(super) fn messages(job: &Job) -> BoxStream<'static, Result<JobMessagesResponse, Status>> {
    let messages = entries(job).map(|entry| {
        let content = match entry {
            Entry::State(event) => Content::StateResponse(convert::state_event(event)),
            Entry::Message(message) => Content::MessageResponse(convert::message(&message)),
            Entry::Forgotten => Content::MessageResponse(JobMessage {
                importance: MessageImportance::JobMessageDetailed.into(),
                message_text: "(messages that were here are no longer kept)".to_owned(),
                ..JobMessage::default()
            }),
        };
        Ok(JobMessagesResponse {
            response: Some(content),
        })
    });
    messages.boxed()
}

fn entries(job: &Job) -> impl stream::Stream<Item = Entry> + Send + 'static {
    stream::unfold(job.listen(), async |mut listener: Listener| {
        let entry = listener.next().await?;
        Some((entry, listener))
    })
}
