//! Random bundles against a model that keeps everything in plain maps.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// Window and key.
type Cell = (i64, &'static str);

#[derive(Debug, Clone, Default)]
struct Model {
    bags: BTreeMap<Cell, Vec<u8>>,
    maps: BTreeMap<Cell, BTreeMap<Bytes, Vec<u8>>>,
    lists: BTreeMap<Cell, Vec<(i64, Bytes)>>,
}

#[derive(Debug, Clone)]
enum Op {
    Append(Cell, &'static str),
    Clear(Cell),
    Put(Cell, &'static str, &'static str),
    ClearKey(Cell, &'static str),
    ClearMap(Cell),
    Insert(Cell, Vec<(i64, &'static str)>),
    ClearRange(Cell, i64, i64),
    ClearList(Cell),
    /// Ends the bundle: it counts, or it failed.
    End(bool),
}

fn cell() -> impl Strategy<Value = Cell> {
    (0i64..2, prop::sample::select(vec!["a", "b", ""]))
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "x", "yy", "zzz"])
}

/// Map keys with bytes that have to be escaped.
fn map_key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "k", "k\0", "k\0\u{1}", "\0"])
}

fn sort_key() -> impl Strategy<Value = i64> {
    prop_oneof![-4i64..5, Just(i64::MIN), Just(i64::MAX - 1)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (cell(), word()).prop_map(|(c, w)| Op::Append(c, w)),
        1 => cell().prop_map(Op::Clear),
        4 => (cell(), map_key(), word()).prop_map(|(c, k, w)| Op::Put(c, k, w)),
        2 => (cell(), map_key()).prop_map(|(c, k)| Op::ClearKey(c, k)),
        1 => cell().prop_map(Op::ClearMap),
        4 => (cell(), prop::collection::vec((sort_key(), word()), 0..4))
            .prop_map(|(c, entries)| Op::Insert(c, entries)),
        3 => (cell(), sort_key(), sort_key()).prop_map(|(c, s, e)| Op::ClearRange(c, s, e)),
        1 => cell().prop_map(Op::ClearList),
        3 => prop::bool::weighted(0.7).prop_map(Op::End),
    ]
}

impl Model {
    fn apply(&mut self, op: &Op) {
        match op {
            Op::Append(cell, word) => {
                self.bags
                    .entry(*cell)
                    .or_default()
                    .extend_from_slice(&text(word));
            }
            Op::Clear(cell) => {
                self.bags.remove(cell);
            }
            Op::Put(cell, key, word) => {
                let map = self.maps.entry(*cell).or_default();
                map.entry(text(key))
                    .or_default()
                    .extend_from_slice(&text(word));
            }
            Op::ClearKey(cell, key) => {
                self.maps.entry(*cell).or_default().remove(&text(key));
            }
            Op::ClearMap(cell) => {
                self.maps.remove(cell);
            }
            Op::Insert(cell, entries) => {
                let list = self.lists.entry(*cell).or_default();
                list.extend(
                    entries
                        .iter()
                        .map(|(sort_key, word)| (*sort_key, entry(*sort_key, word))),
                );
                list.sort_by_key(|(sort_key, _)| *sort_key);
            }
            Op::ClearRange(cell, start, end) => {
                let list = self.lists.entry(*cell).or_default();
                list.retain(|(sort_key, _)| *sort_key < *start || *sort_key >= *end);
            }
            Op::ClearList(cell) => {
                self.lists.remove(cell);
            }
            Op::End(_) => {}
        }
    }

    fn list(&self, cell: Cell, range: std::ops::Range<i64>) -> Vec<u8> {
        let list = self.lists.get(&cell).into_iter().flatten();
        list.filter(|(key, _)| range.contains(key))
            .flat_map(|(_, entry)| entry.to_vec())
            .collect()
    }
}

fn perform(bundle: &BundleState, op: &Op) {
    match op {
        Op::Append((w, k), word) => append(bundle, &at(*w, k).bag("bag"), text(word)),
        Op::Clear((w, k)) => clear(bundle, &at(*w, k).bag("bag")),
        Op::Put((w, k), key, word) => append(bundle, &at(*w, k).map(&text(key)), text(word)),
        Op::ClearKey((w, k), key) => clear(bundle, &at(*w, k).map(&text(key))),
        Op::ClearMap((w, k)) => clear(bundle, &at(*w, k).map_keys()),
        Op::Insert((w, k), entries) => {
            let data: Vec<u8> = entries
                .iter()
                .flat_map(|(sort_key, word)| entry(*sort_key, word))
                .collect();
            append(bundle, &at(*w, k).list(None), data);
        }
        Op::ClearRange((w, k), start, end) => {
            clear(bundle, &at(*w, k).list(Some((*start, *end))));
        }
        Op::ClearList((w, k)) => clear(bundle, &at(*w, k).list(None)),
        Op::End(_) => {}
    }
}

/// Everything that can be read is as in the model.
fn compare(bundle: &BundleState, model: &Model) {
    for w in 0..2 {
        for k in ["a", "b", ""] {
            let (cell, at) = ((w, k), at(w, k));
            let bag = model.bags.get(&cell).cloned().unwrap_or_default();
            assert_eq!(get(bundle, &at.bag("bag")), bag, "bag {cell:?}");
            let map = model.maps.get(&cell).cloned().unwrap_or_default();
            let keys: Vec<u8> = map.keys().flat_map(|key| key.to_vec()).collect();
            assert_eq!(get(bundle, &at.map_keys()), keys, "keys {cell:?}");
            for key in ["", "k", "k\0", "k\0\u{1}", "\0"] {
                let values = map.get(&text(key)).cloned().unwrap_or_default();
                assert_eq!(
                    get(bundle, &at.map(&text(key))),
                    values,
                    "{key:?} of {cell:?}"
                );
            }
            let all = model.list(cell, i64::MIN..i64::MAX);
            assert_eq!(get(bundle, &at.list(None)), all, "list {cell:?}");
            for (start, end) in [(-2, 3), (0, 0), (3, -2), (i64::MIN, 0), (1, i64::MAX)] {
                let part = get(bundle, &at.list(Some((start, end))));
                assert_eq!(
                    part,
                    model.list(cell, start..end),
                    "{start}..{end} of {cell:?}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn state_is_what_the_model_says(ops in prop::collection::vec(op(), 0..60)) {
        let mut world = World::new();
        let mut committed = Model::default();
        let mut model = committed.clone();
        let mut bundle = world.bundle();
        for op in ops {
            perform(&bundle, &op);
            model.apply(&op);
            if let Op::End(good) = op {
                compare(&bundle, &model);
                if good {
                    world.commit(bundle);
                    committed = model.clone();
                } else {
                    model = committed.clone();
                }
                bundle = world.bundle();
                compare(&bundle, &model);
            }
        }
        compare(&bundle, &model);
    }
}
