//! What the examples have to find, computed without Beam, in another language than the pipelines.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The lines that a word count of the text writes, sorted.
///
/// # Errors
/// If the text cannot be read.
pub fn word_counts(text: &Path) -> Result<Vec<String>> {
    counted(text, str::to_owned)
}

/// The lines that `packaged` writes: how many words have each length; sorted.
///
/// # Errors
/// If the text cannot be read.
pub fn word_lengths(text: &Path) -> Result<Vec<String>> {
    counted(text, |word| word.len().to_string())
}

fn counted(text: &Path, key: impl Fn(&str) -> String) -> Result<Vec<String>> {
    let text = fs::read_to_string(text)?;
    let mut counts = BTreeMap::new();
    for word in text
        .split(|c: char| !c.is_ascii_alphabetic() && c != '\'')
        .filter(|word| !word.is_empty())
    {
        *counts.entry(key(word)).or_insert(0_u64) += 1;
    }
    Ok(sorted(
        counts
            .into_iter()
            .map(|(key, count)| format!("{key}: {count}")),
    ))
}

/// The lines that `weather` writes, sorted.
///
/// # Errors
/// If the data cannot be read.
pub fn weather(data: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(data)?;
    let days = text.lines().skip(1).map(day).collect::<Result<Vec<_>>>()?;
    let total: i64 = days.iter().map(|day| day.1[1]).sum();
    let mut months: BTreeMap<&str, Vec<[i64; 4]>> = BTreeMap::new();
    for (month, measures) in &days {
        months.entry(month).or_default().push(*measures);
    }
    let count = i64::try_from(days.len())?;
    Ok(months
        .into_iter()
        .map(|(month, days)| summary(month, &days, total, count))
        .collect())
}

/// Month, and precipitation, highest, lowest, wind in tenths, read from the digits alone: no floating point.
fn day(line: &str) -> Result<(String, [i64; 4])> {
    let fields: Vec<_> = line.split(',').collect();
    ensure!(fields.len() == 6, "{line:?} has {} columns", fields.len());
    let month = fields[0].get(..7).context("no date")?.replace('/', "-");
    let mut measures = [0; 4];
    for (measure, field) in measures.iter_mut().zip(&fields[1..5]) {
        let (whole, tenth) = field.split_once('.').unwrap_or((field, "0"));
        ensure!(tenth.len() == 1, "{field:?} is not in tenths");
        *measure = format!("{whole}{tenth}").parse()?;
    }
    Ok((month, measures))
}

fn summary(month: &str, days: &[[i64; 4]], total: i64, count: i64) -> String {
    let column = |index: usize| days.iter().map(move |day| day[index]);
    let measures = [
        column(0).sum::<i64>(),
        column(1).max().unwrap_or_default(),
        column(2).min().unwrap_or_default(),
        column(3).max().unwrap_or_default(),
    ]
    .map(|tenths| {
        format!(
            "{}{}.{}",
            if tenths < 0 { "-" } else { "" },
            tenths.abs() / 10,
            tenths.abs() % 10
        )
    });
    let wet = column(0).filter(|rain| *rain > 0).count();
    let warm = column(1).filter(|highest| highest * count > total).count();
    format!("{month},{},{wet},{},{warm}", days.len(), measures.join(","))
}

/// All lines of the files whose path begins like this, sorted.
///
/// # Errors
/// If there is no such file.
pub fn lines_of(prefix: &Path) -> Result<Vec<String>> {
    let folder = prefix.parent().context("a path without a folder")?;
    let name = prefix
        .file_name()
        .context("a path without a name")?
        .to_string_lossy();
    let shard = format!("{name}-");
    let mut lines = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file == *name || file.starts_with(&shard) {
            files += 1;
            lines.extend(fs::read_to_string(entry.path())?.lines().map(str::to_owned));
        }
    }
    ensure!(files > 0, "nothing was written to {}", prefix.display());
    Ok(sorted(lines.into_iter()))
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.collect();
    lines.sort_unstable();
    lines
}
