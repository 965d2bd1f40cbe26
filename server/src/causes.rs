//! Errors in words.

use std::error::Error;

/// The error and its causes, each that was not told by the one before. An HTTP client's own messages do not say what
/// lies below them, others do.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.ends_with(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_is_told_twice() {
        let cause = anyhow::anyhow!("no such file");
        let error = cause.context("the folder can't be used: no such file");
        let error = error.context("it can't start");
        assert_eq!(
            with_causes(error.as_ref()),
            "it can't start: the folder can't be used: no such file"
        );
    }
}
