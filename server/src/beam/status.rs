//! Errors as gRPC statuses.

use tonic::{Code, Status};

use crate::jobs::JobError;

/// A status travels in a header, of which clients take about 8 KiB in all, percent-encoded.
const MAX_TEXT_BYTES: usize = 5000;

/// The job service's error, as clients see it.
pub(super) fn of(error: &JobError) -> Status {
    let code = match error {
        JobError::UnknownJob(_) | JobError::UnknownPreparation(_) => Code::NotFound,
        JobError::AlreadyRun(_) | JobError::NameInUse { .. } => Code::AlreadyExists,
        JobError::Refused(_) => Code::InvalidArgument,
        JobError::NotDrainable { .. } => Code::FailedPrecondition,
        JobError::ShuttingDown => Code::Unavailable,
        JobError::CheckFailed(_) => Code::Internal,
    };
    Status::new(code, shortened(&error.to_string()))
}

/// The text, cut where clients would otherwise refuse all of it.
fn shortened(text: &str) -> String {
    let mut bytes = 0;
    for (index, c) in text.char_indices() {
        // What percent-encoding makes of it.
        bytes += match c {
            ' '..='~' if c != '%' => 1,
            _ => 3 * c.len_utf8(),
        };
        if bytes > MAX_TEXT_BYTES {
            let rest = text[index..].chars().count();
            return format!(
                "{} [... {rest} more characters are in the emulator's log]",
                &text[..index]
            );
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_texts_are_cut() {
        let fits = "a".repeat(MAX_TEXT_BYTES);
        assert_eq!(shortened(&fits), fits);
        let cut = shortened(&"ä".repeat(MAX_TEXT_BYTES));
        assert!(cut.starts_with('ä') && cut.ends_with("in the emulator's log]"));
        assert!(cut.chars().filter(|c| *c == 'ä').count() == MAX_TEXT_BYTES / 6);
    }
}
