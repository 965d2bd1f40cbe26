//! How long an answer waits for the job to end.
//!
//! SDKs ask at once and then in fixed intervals, so a short job's end is noticed late: Python sleeps
//! five seconds unless the very answer to its request to create the job says that it is done, Go
//! sleeps thirty unless its first look does, Java two after each. So the answers to them are held for a moment, and
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
/// The age of the job until which Java's looks are held: later, the seconds that it sleeps matter less than that a program which looks
/// for something else has its answer.
const JAVA_LOOKS_UNTIL: Duration = Duration::from_secs(10);

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
    let Some(client) = client(headers) else {
        return;
    };
    let asked = Asked {
        question,
        unbounded: view::is_unbounded(job),
        age: job.created().elapsed().unwrap_or_default(),
    };
    if let Some(limit) = limit(client, asked) {
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

/// What a client asks, and of what kind of job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    question: Question,
    /// It may end soon too, or never.
    unbounded: bool,
    age: Duration,
}

/// Clients that are known for how they wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Python,
    Go,
    Java,
}

fn client(headers: &HeaderMap) -> Option<Client> {
    let client = headers.get("x-goog-api-client")?.to_str().ok()?;
    let says = |word: &str| client.split(' ').any(|part| part.starts_with(word));
    // The generated client's transport, which the SDK uses.
    if says("gl-python/") && says("gapic/") {
        return Some(Client::Python);
    }
    if says("gl-go/") {
        return Some(Client::Go);
    }
    says("gl-java/").then_some(Client::Java)
}

/// A job of unbounded input is waited for only where the client has nothing else to do.
fn limit(client: Client, asked: Asked) -> Option<Duration> {
    match (client, asked.question) {
        (Client::Go, Question::Look) => Some(GO_LOOKS),
        (Client::Go, Question::Create) => None,
        _ if asked.unbounded => None,
        (Client::Python, Question::Create) => Some(PYTHON_CREATES),
        (Client::Python, Question::Look) => Some(PYTHON_LOOKS),
        (Client::Java, Question::Look) => JAVA_LOOKS_UNTIL.checked_sub(asked.age),
        (Client::Java, Question::Create) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: &str = "gl-python/3.11.2 rest/requests@2 gapic/0.13.0";
    const GO: &str = "gl-go/1.26 gdcl/0.297.0";
    const JAVA: &str = "gl-java/17 gdcl/2.0";

    const CREATE: Asked = Asked {
        question: Question::Create,
        unbounded: false,
        age: Duration::ZERO,
    };
    const LOOK: Asked = Asked {
        question: Question::Look,
        ..CREATE
    };

    fn held(by: &'static str, asked: Asked) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("x-goog-api-client", by.parse().unwrap());
        client(&headers).and_then(|client| limit(client, asked))
    }

    #[test]
    fn only_clients_that_sleep_are_held() {
        assert_eq!(held(PYTHON, CREATE), Some(PYTHON_CREATES));
        assert_eq!(held(PYTHON, LOOK), Some(PYTHON_LOOKS));
        assert_eq!(held(GO, CREATE), None);
        assert_eq!(held(GO, LOOK), Some(GO_LOOKS));
        assert_eq!(held("gl-python/3.11 gdcl/2", LOOK), None);
        assert_eq!(client(&HeaderMap::new()), None);
    }

    #[test]
    fn a_java_program_is_held_while_the_job_is_young() {
        let look = |seconds| Asked {
            age: Duration::from_secs(seconds),
            ..LOOK
        };
        assert_eq!(held(JAVA, CREATE), None);
        assert_eq!(held(JAVA, LOOK), Some(JAVA_LOOKS_UNTIL));
        assert_eq!(held(JAVA, look(8)), Some(Duration::from_secs(2)));
        assert_eq!(held(JAVA, look(11)), None);
    }

    #[test]
    fn programs_that_start_a_job_without_an_end_go_on() {
        let unbounded = |asked| Asked {
            unbounded: true,
            ..asked
        };
        for client in [PYTHON, JAVA] {
            assert_eq!(held(client, unbounded(CREATE)), None);
            assert_eq!(held(client, unbounded(LOOK)), None);
        }
        assert_eq!(held(GO, unbounded(LOOK)), Some(GO_LOOKS));
    }
}
