//! Making an archive: a virtual machine that loads the classes of a list, writes them down, and runs nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::debug;

use super::super::super::launch::{Launch, Supervised, make_scratch};
use super::super::super::output::{Lines, OutputStream, Tail, WorkerLogSink};
use super::super::super::{PoolError, boot};
use super::super::java::{COLLECTOR, class_path_arguments};
use super::super::tools::find_program;
use super::store::Shelf;
use super::{FOLDER, JavaClasses, Recording};

/// Whoever else wants the processor gets it.
const NICE: [&str; 3] = ["nice", "-n", "19"];

/// Makes the shelf's archive, if the workers have got far enough.
pub(super) async fn make(
    classes: &JavaClasses,
    shelf: &Shelf,
    recording: &Recording,
) -> Result<bool, PoolError> {
    let io_error = PoolError::io(shelf.folder());
    let choosing = shelf.clone();
    match tokio::task::spawn_blocking(move || choosing.choose_list()).await {
        Ok(Ok(true)) => {}
        Ok(Err(error)) => return Err(io_error(error)),
        Ok(Ok(false)) | Err(_) => return Ok(false),
    }
    let class_path = class_path_arguments(shelf.folder(), &recording.class_path).await?;
    let mut dump = dump_arguments(shelf);
    dump.extend(class_path.iter().cloned());
    run(classes, &recording.launcher, dump).await?;
    // One that can't be used is not kept.
    let mut check = check_arguments(shelf);
    check.extend(class_path);
    check.push("-version".into());
    run(classes, &recording.launcher, check).await?;
    shelf.finish().map_err(PoolError::io(shelf.folder()))?;
    classes.tidy();
    Ok(true)
}

fn dump_arguments(shelf: &Shelf) -> Vec<OsString> {
    let with_path = super::argument;
    vec![
        "-Xshare:dump".into(),
        // The end of the emulator ends it at once, whatever it does.
        "-Xrs".into(),
        "-Xlog:cds=error".into(),
        // The only collector whose virtual machine archives objects.
        "-XX:+UseG1GC".into(),
        with_path("-XX:SharedClassListFile=", &shelf.list()),
        with_path("-XX:SharedArchiveFile=", &shelf.unfinished()),
    ]
}

fn check_arguments(shelf: &Shelf) -> Vec<OsString> {
    vec![
        "-Xshare:on".into(),
        "-Xrs".into(),
        COLLECTOR.into(),
        super::argument("-XX:SharedArchiveFile=", &shelf.unfinished()),
    ]
}

/// Runs Java to its end, or to that of the emulator.
async fn run(
    classes: &JavaClasses,
    launcher: &Path,
    arguments: Vec<OsString>,
) -> Result<(), PoolError> {
    let folder = classes.context.instance.job_scratch(FOLDER);
    make_scratch(&folder).await?;
    let mut variables = boot::machine_variables();
    variables.extend(boot::folder_variables(&folder));
    let (program, arguments) = gently(launcher, arguments);
    let process = Supervised::start(
        &classes.context,
        Launch {
            program,
            arguments,
            variables,
            folder,
            lines: Lines {
                worker_id: "archive".to_owned(),
                sink: Arc::new(Log),
                tail: Tail::default(),
            },
            reads_input: false,
        },
    )?;
    let exit = tokio::select! {
        exit = process.exited() => exit,
        () = classes.closed.cancelled() => {
            process.stop().await;
            return Err(PoolError::ShutDown);
        }
    };
    match exit.success {
        true => Ok(()),
        false => Err(PoolError::Install {
            what: "an archive of classes".to_owned(),
            output: exit.reason,
        }),
    }
}

fn gently(launcher: &Path, arguments: Vec<OsString>) -> (PathBuf, Vec<OsString>) {
    let [nice, option, value] = NICE;
    match find_program(Path::new(nice)) {
        Some(nice) => {
            let before = [option.into(), value.into(), launcher.into()];
            (nice, before.into_iter().chain(arguments).collect())
        }
        None => (launcher.to_owned(), arguments),
    }
}

/// What Java says about classes that it leaves out.
struct Log;

impl WorkerLogSink for Log {
    fn line(&self, _: &str, _: OutputStream, line: &str) {
        debug!("making an archive of classes: {line}");
    }
}
