//! Bounded tries: sets of paths, cut short where there are too many.

use dataflume_proto::pipeline::{BoundedTrie, BoundedTrieNode};

/// What SDKs use when a trie does not say how many paths it may have.
const DEFAULT_BOUND: usize = 100;

/// Longer paths are cut short: a trie is written as messages within messages, and readers of protocol buffers refuse
/// those that are nested more than a hundred deep.
const LONGEST_PATH: usize = 40;

/// Adds the paths of another trie, then cuts until no more are left than both allow.
pub(super) fn merge(into: &mut BoundedTrie, other: &BoundedTrie) {
    if is_empty(other) {
        return;
    }
    if is_empty(into) {
        *into = other.clone();
        return;
    }
    let bound = bound(into).min(bound(other));
    let mut root = root(into);
    merge_nodes(&mut root, &self::root(other));
    while paths(&root) > bound && cut(&mut root) {}
    *into = BoundedTrie {
        bound: bound as i32,
        root: Some(root),
        singleton: Vec::new(),
    };
}

fn is_empty(trie: &BoundedTrie) -> bool {
    trie.root.is_none() && trie.singleton.is_empty()
}

fn bound(trie: &BoundedTrie) -> usize {
    usize::try_from(trie.bound)
        .ok()
        .filter(|bound| *bound > 0)
        .unwrap_or(DEFAULT_BOUND)
}

/// The trie as nodes: a single path is written in a form of its own.
fn root(trie: &BoundedTrie) -> BoundedTrieNode {
    if let Some(root) = &trie.root {
        return root.clone();
    }
    let leaf = BoundedTrieNode {
        truncated: trie.singleton.len() > LONGEST_PATH,
        ..BoundedTrieNode::default()
    };
    let path = trie.singleton.iter().take(LONGEST_PATH);
    path.rev().fold(leaf, |child, segment| BoundedTrieNode {
        truncated: false,
        children: [(segment.clone(), child)].into(),
    })
}

fn merge_nodes(into: &mut BoundedTrieNode, other: &BoundedTrieNode) {
    if into.truncated {
        return;
    }
    if other.truncated {
        truncate(into);
        return;
    }
    for (segment, child) in &other.children {
        match into.children.get_mut(segment) {
            Some(same) => merge_nodes(same, child),
            None => {
                into.children.insert(segment.clone(), child.clone());
            }
        }
    }
}

fn truncate(node: &mut BoundedTrieNode) {
    node.truncated = true;
    node.children.clear();
}

fn paths(node: &BoundedTrieNode) -> usize {
    node.children.values().map(paths).sum::<usize>().max(1)
}

/// Cuts where most paths go: down to a node with leaves only. False if there is nothing to cut.
fn cut(node: &mut BoundedTrieNode) -> bool {
    // Of several, the last in order, so that the result does not depend on how a map is laid out.
    let widest = node
        .children
        .iter_mut()
        .max_by_key(|(segment, child)| (paths(child), (*segment).clone()));
    match widest {
        None => false,
        Some((_, child)) if paths(child) > 1 => cut(child),
        Some(_) => {
            truncate(node);
            true
        }
    }
}
