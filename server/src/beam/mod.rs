//! Beam's Job API (`org.apache.beam.model.job_management.v1`) over the job service.

mod convert;
mod job_api;
mod metrics;
mod status;
mod streams;

pub use job_api::{ClientAuthority, JobApi};
