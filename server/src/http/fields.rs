//! Partial responses: the `fields` parameter of Google's APIs.
//!
//! A selection is a comma-separated list of paths: `name`, `items/name`, `items(name,size)`,
//! `items/*/entity`. An array is selected from as each of its elements is.

use serde_json::{Map, Value};

/// A selection nests no deeper than this.
const MAX_DEPTH: usize = 32;

/// What to keep of an object; nothing below a field means all of it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, Fields)>);

impl Fields {
    /// Nothing, if the text is no selection.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser {
            rest: text,
            depth: 0,
        };
        parser.list().filter(|_| parser.rest.is_empty())
    }

    /// Keeps what is selected.
    pub(crate) fn select(&self, value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.select(item)).collect(),
            Value::Object(fields) if !self.0.is_empty() => self.select_fields(fields),
            other => other,
        }
    }

    fn select_fields(&self, fields: Map<String, Value>) -> Value {
        let mut kept = Map::new();
        for (key, value) in fields {
            let below: Vec<&Self> = self
                .0
                .iter()
                .filter(|(name, _)| *name == key || name == "*")
                .map(|(_, below)| below)
                .collect();
            if below.is_empty() {
                continue;
            }
            let all = below.iter().any(|fields| fields.0.is_empty());
            let together = Self(below.iter().flat_map(|fields| fields.0.clone()).collect());
            let value = if all { value } else { together.select(value) };
            kept.insert(key, value);
        }
        Value::Object(kept)
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn list(&mut self) -> Option<Fields> {
        let mut fields = vec![self.field()?];
        while self.take(',') {
            fields.push(self.field()?);
        }
        Some(Fields(fields))
    }

    fn field(&mut self) -> Option<(String, Fields)> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let end = self.rest.find(['/', ',', '(', ')']);
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let name = name.trim();
        if name.is_empty() {
            return None;
        }
        let name = name.to_owned();
        self.rest = rest;
        let below = if self.take('/') {
            Fields(vec![self.field()?])
        } else if self.take('(') {
            let below = self.list()?;
            if !self.take(')') {
                return None;
            }
            below
        } else {
            Fields::default()
        };
        self.depth -= 1;
        Some((name, below))
    }

    fn take(&mut self, expected: char) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selections_by_table() {
        let page = json!({
            "kind": "k",
            "items": [{"name": "a", "size": "1", "acl": {"x": 1, "y": 2}}, {"name": "b"}],
            "nextPageToken": "t",
        });
        for (fields, expected) in [
            ("kind", json!({"kind": "k"})),
            (
                "items/name,nextPageToken",
                json!({"items": [{"name": "a"}, {"name": "b"}], "nextPageToken": "t"}),
            ),
            (
                "items(name,size)",
                json!({"items": [{"name": "a", "size": "1"}, {"name": "b"}]}),
            ),
            (
                "items/name, items/size",
                json!({"items": [{"name": "a", "size": "1"}, {"name": "b"}]}),
            ),
            ("items/acl/x", json!({"items": [{"acl": {"x": 1}}, {}]})),
            ("items(acl(y))", json!({"items": [{"acl": {"y": 2}}, {}]})),
            ("items(size),items", json!({"items": page["items"]})),
            ("nothing", json!({})),
            ("*", page.clone()),
        ] {
            let selected = Fields::parse(fields).unwrap().select(page.clone());
            assert_eq!(selected, expected, "{fields}");
        }
    }

    #[test]
    fn bad_selections_are_refused() {
        let deep = "a/".repeat(40) + "a";
        for bad in [
            "", ",", "a,", "a(", "a()", "a)", "a/", "(a)", "a(b))", &deep,
        ] {
            assert!(Fields::parse(bad).is_none(), "{bad:?} was taken");
        }
    }
}
