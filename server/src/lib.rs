//! The Dataflume server: API adapters, command line, wiring.
//!
//! [`jobs`] is the job service, which knows no public API. [`beam`] is Beam's Job API over it,
//! [`dataflow`] Dataflow's REST API; [`artifacts`] is the staging of what jobs need, [`gcs`] Cloud
//! Storage's API over the [`buckets`]; all are served, with the Fn API that workers connect to, by
//! [`http`] on one port. [`identity`] is what clients ask for credentials, [`clients`] what points
//! them here, [`cli`] the `dataflume` command.
//!
//! What it is not: it runs no pipeline itself. That is the business of the driver, behind
//! [`jobs::JobRunner`].
//!
//! Start at [`server::Server`], which puts all of it together.

pub mod artifacts;
pub mod beam;
pub mod buckets;
mod causes;
pub mod cli;
pub mod clients;
mod clock;
pub mod dataflow;
pub mod gcs;
pub mod http;
pub mod identity;
pub mod jobs;
pub mod runner;
pub mod server;
pub mod supervise;
