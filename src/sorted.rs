//! A map in the order of its keys, in one piece of memory.
//!
//! Rooms are small, and new seats and sockets have the highest numbers: nearly all that is inserted
//! goes to the end. The tree of std finds things no faster at these sizes, and each kind of one is
//! eight kilobytes of the Worker.

/// The map.
#[derive(Clone, Debug)]
pub struct Sorted<K, V>(Vec<(K, V)>);

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Sorted<K, V> {
    /// Puts a value in, in the place of the one with the same key if there is one.
    pub fn insert(&mut self, key: K, value: V) {
        let place = match self.0.last() {
            Some((last, _)) if *last >= key => self.place(&key),
            _ => Err(self.0.len()),
        };
        match place {
            Ok(place) => {
                if let Some((_, known)) = self.0.get_mut(place) {
                    *known = value;
                }
            }
            Err(place) => self.0.insert(place, (key, value)),
        }
    }

    /// Takes a value out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        Some(self.0.remove(place).1)
    }

    /// The value with this key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// The value with this key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Is there none?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a key is, or where it would be.
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0
            .binary_search_by(|(known, _)| known.borrow().cmp(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_what_the_tree_of_std_is(steps in prop::collection::vec((0_u8..9, any::<bool>()), 0..40)) {
            let (mut sorted, mut tree) = (Sorted::default(), BTreeMap::new());
            for (n, (key, put)) in steps.into_iter().enumerate() {
                if put {
                    sorted.insert(key, n);
                    tree.insert(key, n);
                } else {
                    prop_assert_eq!(sorted.remove(&key), tree.remove(&key));
                }
                prop_assert!(sorted.keys().eq(tree.keys()) && sorted.values().eq(tree.values()));
                prop_assert_eq!(sorted.get(&key), tree.get(&key));
            }
        }
    }
}
