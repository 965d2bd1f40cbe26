//! Cloud Storage's patterns for object names.

use regex::Regex;

use crate::error::{Error, Result};

/// A pattern: `?` is one character and `*` any number of them, but no `/`; `**` is anything;
/// `[a-z]` and `[!a-z]` are one of these, or none of these; `{one,other}` is either.
#[derive(Debug, Clone)]
pub(super) struct Glob(Regex);

impl Glob {
    pub(super) fn parse(pattern: &str) -> Result<Self> {
        let invalid = |reason: String| {
            Error::InvalidArgument(format!("{pattern:?} is no pattern of names: {reason}"))
        };
        let regex = translate(pattern).map_err(|reason| invalid(reason.to_owned()))?;
        let regex = Regex::new(&regex).map_err(|error| invalid(error.to_string()))?;
        Ok(Self(regex))
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

fn translate(pattern: &str) -> Result<String, &'static str> {
    let mut regex = String::from("(?s)^");
    let mut characters = pattern.chars().peekable();
    let mut alternatives = 0;
    while let Some(character) = characters.next() {
        match character {
            '*' if characters.next_if_eq(&'*').is_some() => regex.push_str(".*"),
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '{' => {
                alternatives += 1;
                regex.push_str("(?:");
            }
            '}' if alternatives > 0 => {
                alternatives -= 1;
                regex.push(')');
            }
            ',' if alternatives > 0 => regex.push('|'),
            '[' => {
                regex.push('[');
                if characters.next_if_eq(&'!').is_some() {
                    regex.push('^');
                }
                loop {
                    match characters.next().ok_or("a [ is not closed")? {
                        ']' => break,
                        '-' => regex.push('-'),
                        inside => regex.push_str(&regex::escape(&inside.to_string())),
                    }
                }
                regex.push(']');
            }
            '\\' => {
                let literal = characters.next().ok_or("it ends in a backslash")?;
                regex.push_str(&regex::escape(&literal.to_string()));
            }
            literal => regex.push_str(&regex::escape(&literal.to_string())),
        }
    }
    regex.push('$');
    if alternatives > 0 {
        return Err("a { is not closed");
    }
    Ok(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_by_table() {
        for (pattern, matching, others) in [
            ("**.txt", &["a.txt", "a/b.txt"][..], &["a.txt/b", "txt"][..]),
            (
                "a/*.txt",
                &["a/b.txt", "a/.txt"],
                &["a/b/c.txt", "b/a/b.txt"],
            ),
            ("a?c", &["abc", "aéc"], &["a/c", "ac"]),
            ("a/**/c", &["a/b/c", "a/b/b/c"], &["a/c"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "-x"]),
            ("[!a-c]x", &["dx"], &["ax"]),
            ("{a,b*}.x", &["a.x", "bb.x"], &["c.x", "a,b.x"]),
            ("a\\*", &["a*"], &["ab"]),
            ("a.b(", &["a.b("], &["aXb("]),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            for name in matching {
                assert!(glob.matches(name), "{pattern} and {name}");
            }
            for name in others {
                assert!(!glob.matches(name), "{pattern} and {name}");
            }
        }
        for bad in ["[a", "{a", "a\\", "[b-a]"] {
            assert!(Glob::parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
