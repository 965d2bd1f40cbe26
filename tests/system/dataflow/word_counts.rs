//! The same word count in each SDK, from bucket to bucket, with its metrics read back through the SDK.

use anyhow::{Context, Result, ensure};
use dataflume_tests::{Prepared, expect};

use super::{PLACE, exec};

/// What the program prints, in any SDK: the counter of its words, attempted and committed, by the name that its user gave the step.
fn counts_words(program: &str, step: &str) -> Result<String> {
    let finished = exec(&format!(
        "$PYTHON $PROGRAMS/objects.py put $TEXT my-bucket kinglear.txt
         {program} --input=gs://my-bucket/kinglear.txt --output=gs://my-bucket/out/counts
         $PYTHON $PROGRAMS/objects.py show my-bucket out/"
    ))?;
    let output = finished.output;
    let expected = expect::word_counts(&Prepared::get().text)?;
    let is_count = |line: &&str| expected.binary_search(&(*line).to_owned()).is_ok();
    let mut found: Vec<_> = output.lines().filter(is_count).collect();
    found.sort_unstable();
    ensure!(found == expected, "other counts:\n{output}");
    let words = expected.iter().map(|line| count_of(line));
    let words: u64 = words.sum::<Result<u64>>()?;
    for line in [
        format!("counter {step} wordcount {words} {words}"),
        format!("distribution {words} 1"),
    ] {
        ensure!(
            output.lines().any(|found| found == line),
            "no {line:?} in:\n{output}"
        );
    }
    Ok(output)
}

fn count_of(line: &str) -> Result<u64> {
    let (_, count) = line.rsplit_once(": ").context("no count")?;
    Ok(count.parse()?)
}

#[test]
fn python() -> Result<()> {
    let output = counts_words(&format!("$PYTHON $PROGRAMS/word_count.py {PLACE}"), "Split")?;
    for text in [
        "state DONE",
        "watched",
        "ElementCount",
        "TotalVcpuTime",
        "TotalShuffleDataProcessed",
    ] {
        ensure!(output.contains(text), "no {text:?} in:\n{output}");
    }
    Ok(())
}

#[test]
fn go() -> Result<()> {
    let program =
        "$GO_PROGRAMS/dataflow {dataflow-options:go} --worker_binary=$GO_PROGRAMS/dataflow";
    counts_words(program, "main.split")?;
    Ok(())
}

#[test]
fn java() -> Result<()> {
    let program =
        "java -cp $JAVA_CLASS_PATH dataflume.examples.CountedWords {dataflow-options:java}";
    let output = counts_words(program, "Split/ParMultiDo(Split)")?;
    ensure!(output.contains("state DONE"), "{output}");
    Ok(())
}
