//! `projects.locations.jobs.create`.

use std::time::SystemTime;

use rand::RngExt;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use super::errors::{ApiError, Code};
use super::request::JobRequest;
use super::routes::Target;
use super::{DataflowApi, enums, local_files, translate};
use crate::jobs::{PrepareRequest, Scope, Submission, Submitted, WorkerLogs};

/// The longest name of a job.
const MAX_NAME_BYTES: usize = 1024;

/// The largest job, as JSON.
const MAX_JOB_BYTES: usize = 10 << 20;

impl DataflowApi {
    /// Makes a job of the request and runs it.
    pub(super) async fn create(
        &self,
        target: &Target,
        mut body: Value,
    ) -> Result<Submitted, ApiError> {
        check_project(&target.project)?;
        let location = target.location.clone();
        let location = location.unwrap_or_else(|| super::DEFAULT_LOCATION.to_owned());
        check_location(&location)?;
        enums::normalize(&mut body)?;
        let request = read(&body)?;
        check_name(&request.name)?;
        check_size(&body)?;
        check_supported(&request)?;
        let mut submission = Submission {
            id: Some(new_id(SystemTime::now())),
            scope: Some(Scope {
                project: target.project.clone(),
                location,
            }),
            request_id: request
                .client_request_id
                .clone()
                .filter(|id| !id.is_empty()),
            exclusive_name: true,
            labels: request.labels.clone(),
            workers: translate::workers(&request.environment.worker_pools),
            // Dataflow sends them to Cloud Logging.
            worker_logs: WorkerLogs::InLog,
            warnings: Vec::new(),
            description: body,
        };
        // Before the pipeline is read: an answer that got lost costs nothing, and a name that is
        // taken is said at once.
        if let Some(job) = self.jobs.find_replayed(&submission, &request.name)? {
            let replayed = true;
            return Ok(Submitted { job, replayed });
        }
        let pipeline = translate::pipeline(self.store(), &request).await?;
        submission.warnings = local_files::check(&pipeline)?;
        let staged = self.artifacts.uploaded(&pipeline).await?;
        let prepare = PrepareRequest {
            name: request.name.clone(),
            pipeline,
            options: translate::options(&request.environment.sdk_pipeline_options),
            submission,
        };
        Ok(self.jobs.submit(prepare, staged.for_runner()).await?)
    }
}

/// Reads a job's JSON.
///
/// # Errors
/// If a field has not the type that it should have.
pub(super) fn read(body: &Value) -> Result<JobRequest, ApiError> {
    serde_json::from_value(body.clone())
        .map_err(|error| ApiError::invalid(format!("Invalid JSON payload received. {error}")))
}

/// The documented grammar has no underscores, but Beam's Go suite names its jobs on Dataflow after tests that have some.
fn check_name(name: &str) -> Result<(), ApiError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    let legal = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(plain)
        && !name.ends_with(['-', '_'])
        && name.len() <= MAX_NAME_BYTES;
    if legal {
        return Ok(());
    }
    Err(ApiError::not_created(
        Code::InvalidArgument,
        format!(
            "Name {:?} is invalid. A job's name consists of lowercase letters, digits, hyphens and \
             underscores, starts with a letter, ends with a letter or digit, and has at most {MAX_NAME_BYTES} \
             characters",
            name.chars().take(100).collect::<String>()
        ),
    ))
}

fn check_project(project: &str) -> Result<(), ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:_".contains(c);
    match !project.is_empty() && project.len() <= 100 && project.chars().all(plain) {
        true => Ok(()),
        false => Err(ApiError::invalid(format!(
            "{project:?} is no project id: letters, digits and -.:_ are what ids are made of"
        ))),
    }
}

fn check_location(location: &str) -> Result<(), ApiError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let legal = location.len() <= 63
        && location.starts_with(|c: char| c.is_ascii_lowercase())
        && location.chars().all(plain);
    match legal {
        true => Ok(()),
        false => Err(ApiError::not_created(
            Code::InvalidArgument,
            format!("{location:?} is no region: an example of one is us-central1"),
        )),
    }
}

fn check_size(body: &Value) -> Result<(), ApiError> {
    let size = body.to_string().len();
    match size <= MAX_JOB_BYTES {
        true => Ok(()),
        false => Err(ApiError::not_created(
            Code::InvalidArgument,
            format!(
                "The job graph is too large: the job has {size} bytes of JSON, of at most \
                 {MAX_JOB_BYTES}. Please try again with a smaller job graph, or split your job into \
                 two or more smaller jobs."
            ),
        )),
    }
}

fn check_supported(request: &JobRequest) -> Result<(), ApiError> {
    let present = |field: &Option<String>| field.as_ref().is_some_and(|text| !text.is_empty());
    if present(&request.replace_job_id) {
        return Err(ApiError::unsupported(
            "this emulator does not update running jobs (replaceJobId): cancel the job and submit \
             the new one without --update",
        ));
    }
    if present(&request.created_from_snapshot_id) {
        return Err(ApiError::unsupported(
            "this emulator has no snapshots (createdFromSnapshotId)",
        ));
    }
    Ok(())
}

/// An id as Dataflow forms them: when the job was made, and a number.
fn new_id(now: SystemTime) -> String {
    let format = format_description!("[year]-[month]-[day]_[hour]_[minute]_[second]");
    // Fails only for years that no clock shows.
    let time = OffsetDateTime::from(now).format(format).unwrap_or_default();
    let number =
        rand::rng().random_range(1_000_000_000_000_000_000..10_000_000_000_000_000_000_u64);
    format!("{time}-{number}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        let longest = "a".repeat(MAX_NAME_BYTES);
        for name in [
            "a",
            "a-b",
            "a_b",
            "wordcount-20260131",
            "a0",
            longest.as_str(),
        ] {
            check_name(name).unwrap();
        }
        let longer = "a".repeat(MAX_NAME_BYTES + 1);
        for name in [
            "",
            "A",
            "1a",
            "-a",
            "a-",
            "_a",
            "a_",
            "a.b",
            "ä",
            longer.as_str(),
        ] {
            assert!(check_name(name).is_err(), "{name:?} was accepted");
        }
    }

    #[test]
    fn places_that_can_not_be_are_refused() {
        for project in ["p", "my-project", "example.com:p"] {
            check_project(project).unwrap();
        }
        for project in ["", "a/b", "a b", "../x"] {
            assert!(check_project(project).is_err(), "{project:?} was accepted");
        }
        check_location("us-central1").unwrap();
        for location in ["", "US", "../x", "a_b", "1"] {
            assert!(
                check_location(location).is_err(),
                "{location:?} was accepted"
            );
        }
    }

    #[test]
    fn ids_begin_with_their_time() {
        let id = new_id(UNIX_EPOCH + Duration::from_secs(1_769_854_830));
        let number = id.strip_prefix("2026-01-31_10_20_30-").unwrap();
        assert_eq!(number.len(), 19);
        assert!(number.bytes().all(|digit| digit.is_ascii_digit()), "{id}");
    }
}
