//! How long an answer waits for the job to end.
//!
//! SDKs ask at once and then in fixed intervals, so a short job's end is noticed late: Python sleeps
//! five seconds unless the very answer to its request to create the job says that it is done, Go
//! sleeps thirty unless its first look does. So the answers to them are held for a moment, and
//! given when the job ends.

use std::time::Duration;

use http::HeaderMap;
use prost_types::value::Kind;

use super::view;
use crate::jobs::Job;

/// For the answer to a request to create a job.
const PYTHON_CREATES: Duration = Duration::from_secs(4);
/// Less than the five seconds that Python sleeps in any case.
const PYTHON_LOOKS: Duration = Duration::from_secs(4);
/// Of the thirty seconds that Go sleeps between looks.
const GO_LOOKS: Duration = Duration::from_secs(20);

/// The runner with which Python's tests run on Dataflow.
const PYTHON_TESTS: &str = "TestDataflowRunner";

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Create,
    Look,
}

/// Waits for the job's end, as long as it is worth to this client.
pub(super) async fn wait(job: &Job, headers: &HeaderMap, question: Question) {
    if let Some(limit) = limit(headers, question, view::is_unbounded(job)) {
        // Whichever comes first is fine.
        let _ = tokio::time::timeout(limit, job.ended()).await;
    }
}

/// Whether the client looks until it sees the job run, and waits then, as Python's runner of tests does. It asks for the reason of a
/// failure only while it waits.
pub(super) fn looks_before_it_waits(job: &Job, headers: &HeaderMap) -> bool {
    let runner = job.options().fields.get("beam:option:runner:v1");
    let runner = runner.and_then(|runner| runner.kind.as_ref());
    let is_of_tests =
        matches!(runner, Some(Kind::StringValue(name)) if name.ends_with(PYTHON_TESTS));
    is_of_tests && client(headers) == Some(Client::Python)
}

/// Clients that are known for how they wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Python,
    Go,
}

fn client(headers: &HeaderMap) -> Option<Client> {
    let client = headers.get("x-goog-api-client")?.to_str().ok()?;
    let says = |word: &str| client.split(' ').any(|part| part.starts_with(word));
    // The generated client's transport, which the SDK uses.
    if says("gl-python/") && says("gapic/") {
        return Some(Client::Python);
    }
    says("gl-go/").then_some(Client::Go)
}

/// A job of unbounded input may end soon too, or never: its answer is held where the client has nothing else to do.
fn limit(headers: &HeaderMap, question: Question, unbounded: bool) -> Option<Duration> {
    match (client(headers)?, question) {
        (Client::Python, _) if unbounded => None,
        (Client::Python, Question::Create) => Some(PYTHON_CREATES),
        (Client::Python, Question::Look) => Some(PYTHON_LOOKS),
        (Client::Go, Question::Look) => Some(GO_LOOKS),
        (Client::Go, Question::Create) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clients_that_sleep_are_held() {
        let limit = |client: &'static str, question| {
            let mut headers = HeaderMap::new();
            headers.insert("x-goog-api-client", client.parse().unwrap());
            limit(&headers, question, false)
        };
        let python = "gl-python/3.11.2 rest/requests@2 gapic/0.13.0";
        assert_eq!(limit(python, Question::Create), Some(PYTHON_CREATES));
        assert_eq!(limit(python, Question::Look), Some(PYTHON_LOOKS));
        let go = "gl-go/1.26 gdcl/0.297.0";
        assert_eq!(limit(go, Question::Create), None);
        assert_eq!(limit(go, Question::Look), Some(GO_LOOKS));
        assert_eq!(limit("gl-java/17 gdcl/2.0", Question::Look), None);
        assert_eq!(limit("gl-python/3.11 gdcl/2", Question::Look), None);
        assert_eq!(super::limit(&HeaderMap::new(), Question::Look, false), None);
    }

    #[test]
    fn programs_that_start_a_job_without_an_end_go_on() {
        let limit = |client: &'static str, question| {
            let mut headers = HeaderMap::new();
            headers.insert("x-goog-api-client", client.parse().unwrap());
            limit(&headers, question, true)
        };
        let python = "gl-python/3.11.2 rest/requests@2 gapic/0.13.0";
        assert_eq!(limit(python, Question::Create), None);
        assert_eq!(limit(python, Question::Look), None);
        assert_eq!(
            limit("gl-go/1.26 gdcl/0.297.0", Question::Look),
            Some(GO_LOOKS)
        );
    }
}
