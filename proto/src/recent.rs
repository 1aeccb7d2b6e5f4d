//! A bounded map that forgets what was used longest ago: in two generations, so that it never looks through what it holds.

use std::collections::HashMap;
use std::hash::Hash;

/// Holds at most a fixed number of entries. Those of the younger half are the ones used last.
#[derive(Debug)]
pub struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation_max: usize,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    /// A map of at most `count_max` entries, and at least two.
    pub fn new(count_max: usize) -> Self {
        let generation_max = (count_max / 2).max(1);
        Self { young: HashMap::new(), old: HashMap::new(), generation_max }
    }

    /// What is held under a key. Looking is no use of it.
    pub fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// What is held under a key; it is kept for longer.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get(key)
    }

    /// Holds a value under a key, in place of any other.
    pub fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.generation_max && !self.young.contains_key(&key) {
            // The young become the old, and the old are forgotten.
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Entries that are held.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let mut recent = Recent::new(10);
        recent.insert(0, "used");
        for number in 1..1000 {
            assert_eq!(recent.get(&0), Some(&"used"));
            recent.insert(number, "once");
            assert!(recent.len() <= 10);
        }
        assert_eq!(recent.peek(&1), None);
        assert_eq!(recent.peek(&999), Some(&"once"));
    }

    #[test]
    fn a_key_has_one_value() {
        let mut recent = Recent::new(2);
        assert!(recent.is_empty());
        recent.insert("a", 1);
        recent.insert("b", 2);
        recent.insert("a", 3);
        assert_eq!(recent.get(&"a"), Some(&3));
        assert_eq!(recent.len(), 2);
    }
}
