//! Listing objects.

use std::collections::BTreeSet;

use futures::TryStreamExt;

use super::Store;
use super::glob::Glob;
use super::record::Record;
use crate::error::{Error, Result};
use crate::layout;
use crate::metadata::ObjectMetadata;
use crate::names;

/// Cloud Storage's limit, and what it takes if none is asked for.
const MAX_PAGE: usize = 1000;

/// Which objects to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Only names that start so.
    pub prefix: String,
    /// Names that contain this after the prefix are shown once, as a prefix that ends in it.
    pub delimiter: Option<String>,
    /// Shows an object whose name ends in the only delimiter also as an object.
    pub include_trailing_delimiter: bool,
    /// Only names that are this or come after it.
    pub start_offset: Option<String>,
    /// Only names that come before this.
    pub end_offset: Option<String>,
    /// Objects and prefixes per page: 1 to 1000; 1000 if absent or more.
    pub max_results: Option<usize>,
    /// Where the page before ended.
    pub page_token: Option<String>,
    /// Shows noncurrent generations too.
    pub versions: bool,
    /// Only names that match this pattern: `?`, `*` (not beyond a `/`), `**`, `[a-z]`, `{one,other}`.
    pub match_glob: Option<String>,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The objects, by name in the order of its UTF-8 bytes, and by generation.
    pub objects: Vec<ObjectMetadata>,
    /// The prefixes, in the same order.
    pub prefixes: Vec<String>,
    /// Asks for the next page; absent on the last one.
    pub next_page_token: Option<String>,
}

/// An entry of a listing, in its order: a prefix comes after the object of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    name: String,
    is_prefix: bool,
    /// The current one, which is the latest, has [`CURRENT`].
    generation: i64,
}

/// Stands for the current generation, whichever it is.
const CURRENT: i64 = i64::MAX;

impl Store {
    /// One page of the bucket's objects.
    ///
    /// The listing keeps no more than a page in memory, and passes over all names that the
    /// prefix's folders hold.
    ///
    /// # Errors
    /// [`Error::BucketNotFound`], [`Error::InvalidArgument`] for a token that is none.
    pub async fn list(&self, bucket: &str, request: &ListRequest) -> Result<ListPage> {
        names::validate_bucket(bucket)?;
        self.inner.existing_bucket(bucket).await?;
        let limit = request.max_results.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
        let after = request.page_token.as_deref().map(Entry::from_token);
        let after = after.transpose()?;
        let mut entries = self
            .first_entries(bucket, request, after.as_ref(), limit + 1)
            .await?;
        let more = entries.len() > limit;
        if more {
            entries.pop_last();
        }
        let next_page_token = more.then(|| entries.last().map(Entry::to_token)).flatten();
        let mut page = ListPage {
            next_page_token,
            ..ListPage::default()
        };
        for entry in entries {
            if entry.is_prefix {
                page.prefixes.push(entry.name);
                continue;
            }
            let path = match entry.generation {
                CURRENT => layout::object_record(bucket, &entry.name),
                generation => layout::noncurrent_record(bucket, &entry.name, generation),
            };
            // An object that was deleted since its name was read is left out.
            let Some(record) = self.inner.read_json::<Record>(&path).await? else {
                continue;
            };
            // A crash may have left a generation as both.
            let key = |object: &ObjectMetadata| (object.id.name.clone(), object.generation);
            if page.objects.last().map(key) != Some(key(&record.object)) {
                page.objects.push(record.object);
            }
        }
        Ok(page)
    }

    async fn first_entries(
        &self,
        bucket: &str,
        request: &ListRequest,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<BTreeSet<Entry>> {
        let glob = request.match_glob.as_deref().map(Glob::parse).transpose()?;
        let backend = &self.inner.backend;
        let mut entries = BTreeSet::new();
        let mut found = |name: &str, generation: i64| {
            if glob.as_ref().is_some_and(|glob| !glob.matches(name)) {
                return;
            }
            for entry in request.entries(name, generation).into_iter().flatten() {
                if after.is_none_or(|last| entry > *last) {
                    entries.insert(entry);
                }
            }
            while entries.len() > limit {
                entries.pop_last();
            }
        };
        let folder = layout::objects_below(bucket, &request.prefix);
        let mut records = backend.list(Some(&folder));
        while let Some(record) = records.try_next().await? {
            if let Some(name) = layout::object_name(bucket, &record.location) {
                found(&name, CURRENT);
            }
        }
        if request.versions {
            let folder = layout::noncurrent_below(bucket, &request.prefix);
            let mut records = backend.list(Some(&folder));
            while let Some(record) = records.try_next().await? {
                if let Some((name, generation)) = layout::noncurrent_name(bucket, &record.location)
                {
                    found(&name, generation);
                }
            }
        }
        Ok(entries)
    }
}

impl ListRequest {
    /// What an object of this name adds to the listing.
    fn entries(&self, name: &str, generation: i64) -> [Option<Entry>; 2] {
        let in_offsets = self
            .start_offset
            .as_deref()
            .is_none_or(|start| name >= start)
            && self.end_offset.as_deref().is_none_or(|end| name < end);
        let (Some(rest), true) = (name.strip_prefix(&self.prefix), in_offsets) else {
            return [None, None];
        };
        let delimiter = self.delimiter.as_deref().filter(|text| !text.is_empty());
        let cut = delimiter.and_then(|text| rest.find(text).map(|at| at + text.len()));
        let object = Entry {
            name: name.to_owned(),
            is_prefix: false,
            generation,
        };
        match cut {
            None => [Some(object), None],
            Some(cut) => {
                let also = self.include_trailing_delimiter && cut == rest.len();
                let prefix = Entry {
                    name: format!("{}{}", self.prefix, &rest[..cut]),
                    is_prefix: true,
                    generation: CURRENT,
                };
                [also.then_some(object), Some(prefix)]
            }
        }
    }
}

impl Entry {
    fn to_token(&self) -> String {
        let kind = if self.is_prefix { 'p' } else { 'o' };
        hex::encode(format!("{kind}{} {}", self.generation, self.name))
    }

    fn from_token(token: &str) -> Result<Self> {
        let invalid = || Error::InvalidArgument(format!("{token:?} is no page token"));
        let text = hex::decode(token).map_err(|_| invalid())?;
        let text = String::from_utf8(text).map_err(|_| invalid())?;
        let (is_prefix, rest) = match (text.strip_prefix('p'), text.strip_prefix('o')) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(invalid()),
        };
        let (generation, name) = rest.split_once(' ').ok_or_else(invalid)?;
        Ok(Self {
            name: name.to_owned(),
            is_prefix,
            generation: generation.parse().map_err(|_| invalid())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_give_their_entry_back() {
        for is_prefix in [false, true] {
            let entry = Entry {
                name: "é /p/".to_owned(),
                is_prefix,
                generation: 17,
            };
            assert_eq!(Entry::from_token(&entry.to_token()).unwrap(), entry);
        }
        for bad in ["", "zz", "61", "p/"] {
            assert!(Entry::from_token(bad).is_err(), "{bad:?} was taken");
        }
    }
}
