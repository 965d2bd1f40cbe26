//! Which bucket and object names Cloud Storage allows.

use crate::error::{Error, Result};

/// The longest object name, in bytes of UTF-8.
pub const MAX_OBJECT_NAME_BYTES: usize = 1024;

const SHOWN_CHARS: usize = 80;

/// Checks a bucket name against Cloud Storage's rules.
///
/// Names that contain `goog` are reserved by Google but not refused here: test set-ups use them.
///
/// # Errors
/// [`Error::InvalidName`] with the rule that the name breaks.
pub fn validate_bucket(name: &str) -> Result<()> {
    match broken_bucket_rule(name) {
        None => Ok(()),
        Some(reason) => Err(invalid("bucket", name, reason)),
    }
}

/// Checks an object name against Cloud Storage's rules: nearly everything is allowed.
///
/// # Errors
/// [`Error::InvalidName`] with the rule that the name breaks.
pub fn validate_object(name: &str) -> Result<()> {
    match broken_object_rule(name) {
        None => Ok(()),
        Some(reason) => Err(invalid("object", name, reason)),
    }
}

fn broken_bucket_rule(name: &str) -> Option<&'static str> {
    let labels = || name.split('.');
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.len() < 3 || name.len() > 222 {
        return Some("it must have 3 to 63 characters, or up to 222 with dots");
    }
    if !name
        .chars()
        .all(|c| alphanumeric(c) || matches!(c, '-' | '_' | '.'))
    {
        return Some("only lower-case letters, digits, '-', '_' and '.' are allowed");
    }
    if !name.starts_with(alphanumeric) || !name.ends_with(alphanumeric) {
        return Some("it must start and end with a letter or digit");
    }
    if labels().any(|label| label.is_empty() || label.len() > 63) {
        return Some("each part between dots must have 1 to 63 characters");
    }
    if labels().count() == 4 && labels().all(|label| label.parse::<u8>().is_ok()) {
        return Some("it must not look like an IP address");
    }
    None
}

fn broken_object_rule(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it must not be empty");
    }
    if name.len() > MAX_OBJECT_NAME_BYTES {
        return Some("it must not exceed 1024 bytes of UTF-8");
    }
    if name.contains(['\r', '\n']) {
        return Some("carriage return and line feed are not allowed");
    }
    if name == "." || name == ".." {
        return Some("it must not be '.' or '..'");
    }
    if name.starts_with(".well-known/acme-challenge/") {
        return Some("it must not start with '.well-known/acme-challenge/'");
    }
    None
}

fn invalid(kind: &'static str, name: &str, reason: &'static str) -> Error {
    let mut shown: String = name.chars().take(SHOWN_CHARS).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    Error::InvalidName {
        kind,
        name: shown,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_rules() {
        let long = "a".repeat(64);
        let dotted = format!("{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63));
        for good in [
            "abc",
            "my-bucket_1",
            "0.example.com",
            "a..b".replace("..", ".x.").as_str(),
            &dotted,
        ] {
            validate_bucket(good).unwrap();
        }
        for bad in [
            "",
            "ab",
            "Abc",
            "-abc",
            "abc-",
            "a..b",
            "a/b",
            "../x",
            "192.168.1.1",
            "naïve",
            &long,
        ] {
            assert!(validate_bucket(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn object_rules() {
        let longest = "x".repeat(MAX_OBJECT_NAME_BYTES);
        let too_long = "é".repeat(MAX_OBJECT_NAME_BYTES / 2 + 1);
        for good in [
            "a",
            "a//b",
            "../../x",
            "a/",
            "/",
            "./.",
            ".well-known/x",
            "\u{1f600}",
            &longest,
        ] {
            validate_object(good).unwrap();
        }
        for bad in [
            "",
            ".",
            "..",
            "a\nb",
            "a\r",
            ".well-known/acme-challenge/x",
            &too_long,
        ] {
            assert!(validate_object(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn an_error_shows_the_start_of_a_long_name() {
        let error = validate_object(&"y".repeat(5000)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("yyy…") && text.len() < 200, "{text}");
    }
}
