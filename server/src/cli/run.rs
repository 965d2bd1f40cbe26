//! Starting the server as the command line wants it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use dataflume_driver::job::DriverOptions;

use super::arguments::Options;
use crate::clients;
use crate::runner::{PipelineRunner, RunnerOptions};
use crate::server::{DataLocation, Server, ServerOptions};

/// A server whose jobs are run by the driver.
///
/// `pythons` is what Python workers are made of, unless that is empty.
pub(super) async fn server(
    options: &Options,
    server: ServerOptions,
    pythons: Vec<PathBuf>,
) -> anyhow::Result<Server> {
    let runner = RunnerOptions {
        workers: options.workers(),
        num_workers: options.num_workers,
        worker_memory_bytes: options.worker_memory.map(|size| size.as_u64()),
        max_workers: options.max_workers,
        worker_variables: Vec::new(),
        pythons,
        warm_python_workers: options.warm_python_workers(),
        java_class_archives: options.java_class_archives,
        java_class_folder: java_class_folder(&server.data)?,
        docker_volumes: options.docker_volume.clone(),
        supervisor_exe: std::env::current_exe().context("the emulator's own file is not known")?,
        driver: options.driver(),
    };
    let started = Server::start(server, |context| {
        let services = clients::services(&context.endpoint).into_iter();
        let driver = DriverOptions {
            clock: context.clock,
            ..runner.driver
        };
        let runner = RunnerOptions {
            driver,
            worker_variables: services
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            ..runner
        };
        Arc::new(PipelineRunner::new(
            context.fn_api,
            context.instance,
            runner,
        ))
    });
    Ok(started.await?)
}

/// Below the data folder, if there is one that stays.
fn java_class_folder(data: &DataLocation) -> anyhow::Result<Option<PathBuf>> {
    match data {
        // Workers run elsewhere than in the emulator's current folder.
        DataLocation::Folder(folder) => Ok(Some(std::path::absolute(folder)?.join("java-classes"))),
        DataLocation::Ephemeral => Ok(None),
    }
}
