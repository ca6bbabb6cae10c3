//! Objects that need no row of their own.

use std::collections::HashSet;

use super::objects::{Candidate, LOOK_UP};
use super::{Result, Verifier};

impl Verifier {
    /// Those that were not set aside.
    pub(super) async fn not_set_aside(
        &self,
        mut candidates: Vec<Candidate>,
    ) -> Result<Vec<Candidate>> {
        let keys = candidates.iter().map(|one| one.object.key.clone());
        let keys: Vec<String> = keys.collect();
        let mut known = HashSet::new();
        for part in keys.chunks(LOOK_UP) {
            let (bucket, part) = (self.store.bucket().to_owned(), part.to_vec());
            let found =
                self.ask(move |catalogue| catalogue.upkeep().which_set_aside(&bucket, &part));
            known.extend(found.await?);
        }
        candidates.retain(|one| !known.contains(&one.object.key));
        Ok(candidates)
    }

    /// Those that are no object of several messages: what such an object is
    /// called tells of none of them.
    pub(super) async fn not_packed<T: Send>(
        &self,
        mut objects: Vec<T>,
        key: impl Fn(&T) -> &str + Send,
    ) -> Result<Vec<T>> {
        let keys: Vec<String> = objects
            .iter()
            .map(|object| key(object).to_owned())
            .collect();
        let mut packed = HashSet::new();
        for part in keys.chunks(LOOK_UP) {
            let (bucket, keys) = (self.store.bucket().to_owned(), part.to_vec());
            let found = self.ask(move |catalogue| catalogue.packed(&bucket, &keys));
            packed.extend(found.await?);
        }
        objects.retain(|object| !packed.contains(key(object)));
        Ok(objects)
    }
}
