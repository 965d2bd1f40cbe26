//! Which resource a path names.
//!
//! Paths are taken apart here and not by the router: verbs hang on names with a colon, and the Java
//! SDK leaves a location that it does not know empty.

use percent_encoding::percent_decode_str;

/// A resource, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) project: String,
    /// `None` where the path has none.
    pub(super) location: Option<String>,
    pub(super) resource: Resource,
}

/// What a path names within a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    Jobs,
    AllJobs,
    Job(String),
    Messages(String),
    Metrics(String),
    ExecutionDetails(String),
    StageDetails {
        job: String,
        stage: String,
    },
    /// A part of Dataflow that this emulator does not have.
    Missing(&'static str),
}

/// Reads the path below `/v1b3/`.
pub(super) fn parse(path: &str) -> Option<Target> {
    let decoded: Option<Vec<String>> = path
        .split('/')
        .map(|part| Some(percent_decode_str(part).decode_utf8().ok()?.into_owned()))
        .collect();
    let decoded = decoded?;
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let ["projects", project, rest @ ..] = parts.as_slice() else {
        return None;
    };
    let (location, rest) = match rest {
        ["locations", location, rest @ ..] => (Some(*location), rest),
        rest => (None, rest),
    };
    Some(Target {
        project: (*project).to_owned(),
        location: location
            .filter(|location| !location.is_empty())
            .map(str::to_owned),
        resource: resource(rest)?,
    })
}

fn resource(parts: &[&str]) -> Option<Resource> {
    let id = |id: &str| id.to_owned();
    Some(match parts {
        ["jobs"] => Resource::Jobs,
        ["jobs:aggregated"] => Resource::AllJobs,
        ["jobs", job] => match job.split_once(':') {
            None => Resource::Job(id(job)),
            Some((_, "snapshot")) => Resource::Missing("snapshots"),
            Some(_) => return None,
        },
        ["jobs", job, "messages"] => Resource::Messages(id(job)),
        ["jobs", job, "metrics"] => Resource::Metrics(id(job)),
        ["jobs", job, "executionDetails"] => Resource::ExecutionDetails(id(job)),
        ["jobs", job, "stages", stage, "executionDetails"] => Resource::StageDetails {
            job: id(job),
            stage: id(stage),
        },
        ["jobs", _, "snapshots"] | ["snapshots", ..] => Resource::Missing("snapshots"),
        ["jobs", _, first, ..] if first.starts_with("workItems") || first.starts_with("debug") => {
            Resource::Missing("the protocol between Dataflow's service and its own workers")
        }
        [first, ..] if first.starts_with("templates") || first.starts_with("flexTemplates") => {
            Resource::Missing("templates")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        let job = |id: &str| Some(Resource::Job(id.to_owned()));
        for (path, location, resource) in [
            ("projects/p/jobs", None, Some(Resource::Jobs)),
            (
                "projects/p/locations/l/jobs",
                Some("l"),
                Some(Resource::Jobs),
            ),
            ("projects/p/locations//jobs", None, Some(Resource::Jobs)),
            ("projects/p/jobs:aggregated", None, Some(Resource::AllJobs)),
            ("projects/p/locations/l/jobs/a%2Fb", Some("l"), job("a/b")),
            (
                "projects/p/jobs/j/messages",
                None,
                Some(Resource::Messages("j".to_owned())),
            ),
            (
                "projects/p/locations/l/jobs/j:snapshot",
                Some("l"),
                Some(Resource::Missing("snapshots")),
            ),
            (
                "projects/p/locations/l/flexTemplates:launch",
                Some("l"),
                Some(Resource::Missing("templates")),
            ),
            ("projects/p", None, None),
            ("projects/p/jobs/j/x", None, None),
            ("projects/p/jobs/j/", None, None),
            ("projects/p/jobs/j:x", None, None),
            ("", None, None),
        ] {
            let expected = resource.map(|resource| Target {
                project: "p".to_owned(),
                location: location.map(str::to_owned),
                resource,
            });
            assert_eq!(parse(path), expected, "{path}");
        }
    }
}
