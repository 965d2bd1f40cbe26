//! Multimap state, which only newer Java SDKs' workers know, and committed metrics, which Java's portable client has no way to ask for.

use anyhow::{Result, ensure};
use dataflume_tests::{Prepared, expect};

use super::exec;

#[test]
fn java_remembers_in_multimaps_and_reads_committed_metrics() -> Result<()> {
    let finished = exec(
        "$PYTHON $PROGRAMS/objects.py put $TEXT my-bucket kinglear.txt
         java -cp $JAVA_CLASS_PATH dataflume.examples.WordPlaces {dataflow-options:java} \
            --input=gs://my-bucket/kinglear.txt --output=gs://my-bucket/out/places
         $PYTHON $PROGRAMS/objects.py show my-bucket out/",
    )?;
    let output = finished.output;
    let counts = expect::word_counts(&Prepared::get().text)?;
    let words: u64 = counts
        .iter()
        .filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok())
        .sum();
    // The program forgets this one.
    let remembered: Vec<_> = counts
        .iter()
        .filter(|line| !line.starts_with("the: "))
        .collect();
    ensure!(remembered.len() + 1 == counts.len(), "no \"the\" to forget");
    let is_count = |line: &&str| counts.binary_search(&(*line).to_owned()).is_ok();
    let mut found: Vec<_> = output.lines().filter(is_count).collect();
    found.sort_unstable();
    ensure!(found == remembered, "other places:\n{output}");
    for start in [
        "state DONE".to_owned(),
        format!("committed put {words}"),
        "committed places DistributionResult{".to_owned(),
        "committed letters StringSetResult{stringSet=[', a, b, c, ".to_owned(),
    ] {
        ensure!(
            output.lines().any(|line| line.starts_with(&start)),
            "no {start:?} in:\n{output}"
        );
    }
    let count = format!("count={words}, min=0");
    ensure!(output.contains(&count), "no {count:?} in:\n{output}");
    Ok(())
}
