//! The constants of `urn.rs` against the texts that enum values of the wheel stand for.

use std::collections::BTreeMap;

/// Where `urn.rs` says that a constant is from, and its text.
fn constants(source: &str) -> Vec<(String, String)> {
    let mut constants = Vec::new();
    let mut document = "";
    // A long constant's text may be on the next line.
    let joined = source.replace(" =\n", " = ");
    for line in joined.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// `") {
            document = text.trim_end_matches(['.', '`']);
        } else if let Some(constant) = line.strip_prefix("pub const ") {
            let (name, value) = constant.split_once(": &str = ").unwrap_or((constant, ""));
            let value = value.trim().trim_matches(['"', ';']);
            // A comment that names another constant is as wrong as another text.
            let from = if document.rsplit('.').next() == Some(name) {
                document
            } else {
                name
            };
            constants.push((from.to_owned(), value.to_owned()));
            document = "";
        }
    }
    constants
}

/// What is not in the wheel, or reads differently there.
pub(crate) fn differences(source: &str, wheel: &str) -> Vec<String> {
    let mut theirs: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, text) in wheel.lines().filter_map(|line| line.split_once('\t')) {
        // Without the package: names of messages are unique across Beam's.
        let start = name
            .find(|c: char| c.is_ascii_uppercase())
            .unwrap_or_default();
        theirs.insert(&name[start..], text);
    }
    let check = |(from, text): (String, String)| match theirs.get(&*from) {
        None => Some(format!("{from} is not theirs")),
        Some(their) if *their != text => Some(format!("{from} is {text:?}, theirs is {their:?}")),
        Some(_) => None,
    };
    let constants = constants(source);
    assert!(
        !constants.is_empty(),
        "urn.rs declares no constant that could be read"
    );
    constants.into_iter().filter_map(check).collect()
}

#[test]
fn differences_are_named() {
    let source = "
        /// `A.Enum.GOOD`.
        pub const GOOD: &str = \"beam:good:v1\";
        /// `A.Enum.OTHER`.
        pub const OTHER: &str = \"beam:other:v1\";
        /// `A.Enum.GOOD`.
        pub const ASTRAY: &str = \"beam:good:v1\";
        /// `A.Enum.GONE`.
        pub const GONE: &str =
            \"beam:gone:v1\";
        /// `A.Enum.LONG`.
        pub const LONG: &str =
            \"beam:long:v1\";";
    let wheel = "org.beam.A.Enum.GOOD\tbeam:good:v1\norg.beam.A.Enum.OTHER\tbeam:other:v2\norg.beam.A.Enum.LONG\tbeam:long:v1\n";
    let expected = [
        "A.Enum.OTHER is \"beam:other:v1\", theirs is \"beam:other:v2\"",
        "ASTRAY is not theirs",
        "A.Enum.GONE is not theirs",
    ];
    assert_eq!(differences(source, wheel), expected);
}
