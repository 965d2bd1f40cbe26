//! The parameters behind the `?`.

use std::str::FromStr;

use super::errors::ApiError;

/// Decoded parameters, in the order in which they were sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        Self(
            url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The first parameter of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All parameters of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.0.iter().filter(move |(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter that has to be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        match self.get(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(ApiError::required(name)),
        }
    }

    /// A whole number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.get(name)
            .map(|value| value.parse())
            .transpose()
            .map_err(|_| {
                let value = self.get(name).unwrap_or_default();
                ApiError::invalid_parameter(name, value)
            })
    }

    /// `true` or `false`; false if it is absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false" | "False" | "0") => Ok(false),
            Some("true" | "True" | "1" | "") => Ok(true),
            Some(other) => Err(ApiError::invalid_parameter(name, other)),
        }
    }

    /// All parameters but those named, encoded again.
    pub(super) fn without(&self, names: &[&str]) -> url::form_urlencoded::Serializer<'_, String> {
        let mut encoded = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in &self.0 {
            if !names.contains(&key.as_str()) {
                encoded.append_pair(key, value);
            }
        }
        encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_by_type() {
        let query = Query::parse("a=1&b=x%2Fy+z&c=true&d=&e");
        assert_eq!(query.number::<i64>("a").unwrap(), Some(1));
        assert_eq!(query.get("b"), Some("x/y z"));
        assert!(query.number::<i64>("b").is_err());
        assert!(query.flag("c").unwrap() && query.flag("e").unwrap());
        assert!(!query.flag("missing").unwrap());
        assert!(query.flag("b").is_err());
        assert!(query.required("d").is_err() && query.required("missing").is_err());
        assert_eq!(query.without(&["a", "c", "d", "e"]).finish(), "b=x%2Fy+z");
    }
}
