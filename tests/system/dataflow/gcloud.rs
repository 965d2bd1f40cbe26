//! Google's own commands, where this machine has them, with what `exec` sets and nothing else.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{PLACE, exec};

/// Whether the command is there. It comes from no registry that the tests could install it from.
fn there(command: &str) -> bool {
    let there = Command::new(command).arg("version").output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("NOT RUN: there is no {command} on this machine");
    }
    there
}

#[test]
fn gcloud_watches_jobs_and_ends_them() -> Result<()> {
    if !there("gcloud") {
        return Ok(());
    }
    let finished = exec(&format!(
        "dataflow() {{ gcloud dataflow jobs \"$@\" --project=my-project --region=us-central1; }}
         first=$($PYTHON $PROGRAMS/endless.py {PLACE} --job_name=first)
         second=$($PYTHON $PROGRAMS/endless.py {PLACE} --job_name=second)
         until dataflow list --status=active --format='value(name,state)' | grep -c Running | grep -qx 2; do sleep 0.2; done
         dataflow describe $first --format='value(name,currentState,type)'
         dataflow describe $second --full --format='value(environment.sdkPipelineOptions.options.jobName)' >/dev/null
         dataflow update-options $first --min-num-workers=1 --max-num-workers=2 --format='value(runtimeUpdatableParams.maxNumWorkers)'
         gcloud beta dataflow metrics list $first --project=my-project --region=us-central1 --format='value(name.name)' | grep -x TotalVcpuTime
         dataflow drain $first
         dataflow cancel $second
         until dataflow list --status=terminated --format='value(state)' | sort | paste -s | grep -x 'Cancelled.Drained'; do sleep 0.2; done
         dataflow describe none || echo refused $?"
    ))?;
    for line in [
        "first\tJOB_STATE_RUNNING\tJOB_TYPE_STREAMING",
        "2",
        "TotalVcpuTime",
        "Cancelled\tDrained",
        "refused 1",
    ] {
        ensure!(
            finished.output.lines().any(|found| found == line),
            "no {line:?} in:\n{}",
            finished.output
        );
    }
    Ok(())
}

#[test]
fn gcloud_and_gsutil_move_objects() -> Result<()> {
    if !there("gcloud") || !there("gsutil") {
        return Ok(());
    }
    let finished = exec(
        "folder=$(mktemp -d); cd $folder; trap 'rm -r $folder' EXIT
         seq 100000 > numbers
         gcloud storage cp numbers gs://first/a/numbers
         gcloud storage cat gs://first/a/numbers | cmp - numbers
         gcloud storage cp gs://first/a/numbers gs://second/b/numbers
         gcloud storage objects describe gs://second/b/numbers --format='value(size)'
         gsutil cp gs://second/b/numbers back
         cmp back numbers
         gsutil ls gs://second/b
         gsutil rsync -r gs://second gs://third
         gcloud storage rm -r gs://second
         gsutil rm -r gs://first
         gsutil ls",
    )?;
    let size = (1..=100_000)
        .map(|n: u32| n.to_string().len() + 1)
        .sum::<usize>();
    let lines: Vec<_> = finished.output.lines().collect();
    for line in [&size.to_string(), "gs://second/b/numbers", "gs://third/"] {
        ensure!(lines.contains(&line), "no {line:?} in:\n{lines:#?}");
    }
    for gone in ["gs://first/", "gs://second/"] {
        ensure!(!lines.contains(&gone), "{gone} is there:\n{lines:#?}");
    }
    Ok(())
}
