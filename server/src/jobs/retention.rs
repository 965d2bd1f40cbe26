//! What is kept of the jobs that have ended, and of pipelines that were never run.

use std::sync::Arc;

use super::job::Job;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retention {
    /// Jobs that have ended.
    pub(super) ended_jobs: usize,
    /// Their pipelines, in all.
    pub(super) pipeline_bytes: usize,
    /// Pipelines that wait to be run.
    pub(super) preparations: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            ended_jobs: 1000,
            pipeline_bytes: 256 << 20,
            preparations: 256,
        }
    }
}

/// How many of the jobs, in the order in which they came, are to be forgotten: given as indexes,
/// from the last to the first.
pub(super) fn surplus(jobs: &[Arc<Job>], limits: Retention) -> Vec<usize> {
    let mut count = 0;
    let mut bytes = 0;
    let mut surplus = Vec::new();
    for (index, job) in jobs.iter().enumerate().rev() {
        if job.state().is_terminal() {
            count += 1;
            bytes += job.pipeline_bytes();
            // The newest one is kept whatever its size.
            if count > 1 && (count > limits.ended_jobs || bytes > limits.pipeline_bytes) {
                surplus.push(index);
            }
        }
    }
    surplus
}

#[cfg(test)]
mod tests {
    use dataflume_proto::pipeline::Pipeline;

    use super::super::state::JobState;
    use super::*;

    fn job(id: &str, ended: bool) -> Arc<Job> {
        let pipeline = Pipeline {
            root_transform_ids: vec!["x".repeat(98)],
            ..Pipeline::default()
        };
        let job = Job::new(
            id.to_owned(),
            String::new(),
            Arc::new(pipeline),
            Default::default(),
            Default::default(),
        );
        assert_eq!(job.pipeline_bytes(), 100);
        if ended {
            job.report(JobState::Failed);
        }
        Arc::new(job)
    }

    #[test]
    fn the_oldest_ended_jobs_go() {
        let jobs = [
            job("a", true),
            job("b", false),
            job("c", true),
            job("d", true),
        ];
        let limits = |ended_jobs, pipeline_bytes| Retention {
            ended_jobs,
            pipeline_bytes,
            preparations: 0,
        };
        assert!(surplus(&jobs, limits(3, 300)).is_empty());
        assert_eq!(surplus(&jobs, limits(2, 300)), [0]);
        assert_eq!(surplus(&jobs, limits(3, 299)), [0]);
        assert_eq!(surplus(&jobs, limits(0, 0)), [2, 0]);
    }
}
