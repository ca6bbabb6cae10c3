//! Key ranges: the unit in which a store is listed, divided and resumed.
//!
//! A range is a day of a topic (`topic/year/month/day/` and everything below),
//! or what a folder above the days holds beside those (`topic/`: the objects
//! directly in it, and folders that are no year). Each key is in exactly one
//! range, and its text alone says in which. So parts need no listing of the
//! whole store, and nothing depends on the order in which a store lists.
//!
//! Ranges are read in the order of their names. The names of the topics, and the
//! ranges of a few topics, are in memory; the objects of a range are not.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Result, Subset, VerifyError};
use crate::retry::patiently;
use crate::store::{ObjectInfo, Page, Store, StoreError};

/// Folders of a key that make a range: topic, year, month and day.
const DEPTH: usize = 4;

/// Topics whose ranges are looked for at the same time.
const CONCURRENT_TOPICS: usize = 4;

/// Ranges whose first page is read at the same time; further pages of a range
/// are read one after another.
const CONCURRENT_RANGES: usize = 8;

/// The range of a key: the folders that the range's keys start with.
pub(super) fn range_of(key: &str) -> &str {
    let mut end = 0;
    for depth in 0..DEPTH {
        match key[end..].split_once('/') {
            Some((name, _)) if is_part_of_range(depth, name) => end += name.len() + 1,
            _ => break,
        }
    }
    &key[..end]
}

/// Whether a folder of this name at this depth is a topic, year, month or day.
fn is_part_of_range(depth: usize, name: &str) -> bool {
    let digits = match depth {
        0 => return true,
        1 => 4,
        _ => 2,
    };
    (1..=digits).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_day(range: &str) -> bool {
    range.matches('/').count() == DEPTH
}

/// Which ranges of a store are listed.
#[derive(Clone, Default)]
pub(super) struct Ranges {
    /// `None`: of all topics, and what is beside them.
    pub topics: Option<Vec<String>>,
    pub subset: Option<Subset>,
    /// Only those after this one.
    pub after: Option<String>,
}

/// Objects of one range.
#[derive(Debug, Default)]
pub(super) struct RangePage {
    pub objects: Vec<ObjectInfo>,
    /// The range, if this is its last page: then it and all before it have been
    /// listed.
    pub finished: Option<String>,
}

impl Ranges {
    fn has(&self, range: &str) -> bool {
        self.after.as_deref().is_none_or(|after| range > after)
            && self.subset.is_none_or(|subset| subset.has_name(range))
    }

    /// Whether a range with this prefix may be left.
    fn may_be_below(&self, prefix: &str) -> bool {
        let after = self.after.as_deref();
        after.is_none_or(|after| prefix > after || after.starts_with(prefix))
    }

    /// The ranges below a folder, and its own, in order.
    async fn below(self, store: Arc<dyn Store>, folder: String) -> Result<Vec<String>> {
        let mut ranges = vec![];
        // The next one is the last.
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            if is_day(&folder) {
                ranges.extend(Some(folder).filter(|day| self.has(day)));
                continue;
            }
            let (parts, has_others) = look_into(&store, &folder).await?;
            if has_others && self.has(&folder) {
                ranges.push(folder);
            }
            let left = parts.into_iter().filter(|part| self.may_be_below(part));
            folders.extend(left.rev());
        }
        Ok(ranges)
    }
}

/// The folders of a folder that are parts of ranges, and whether it holds
/// anything beside them.
async fn look_into(store: &Arc<dyn Store>, folder: &str) -> Result<(BTreeSet<String>, bool)> {
    let (mut parts, mut has_others) = (BTreeSet::new(), false);
    let mut next: Option<String> = None;
    loop {
        let list = || store.list_folder(folder, next.as_deref());
        let page = patiently(list, StoreError::is_passing).await?;
        has_others |= !page.objects.is_empty();
        for below in page.folders {
            if range_of(&below) == below {
                parts.insert(below);
            } else {
                has_others = true;
            }
        }
        next = page.next;
        if next.is_none() {
            return Ok((parts, has_others));
        }
    }
}

/// The pages of the ranges, in the order of the ranges; the objects of a range
/// come in any order.
pub(super) fn listing(
    store: &Arc<dyn Store>,
    ranges: Ranges,
) -> BoxStream<'static, Result<RangePage>> {
    let (store, of_topics) = (store.clone(), store.clone());
    stream::once(first_ranges(store.clone(), ranges.clone()))
        .map_ok(move |(first, topics)| {
            let (ranges, store) = (ranges.clone(), of_topics.clone());
            let below = stream::iter(topics)
                .map(move |topic| in_background(ranges.clone().below(store.clone(), topic)));
            let below = below.buffered(CONCURRENT_TOPICS);
            stream::iter(first.map(|range| Ok(vec![range]))).chain(below)
        })
        .try_flatten()
        .map_ok(|ranges| stream::iter(ranges.into_iter().map(Ok)))
        .try_flatten()
        .map_ok(move |range| {
            let mut listing = RangeListing::begin(store.clone(), range);
            in_background(async move {
                let first = listing.next_page().await?;
                Ok((listing, first))
            })
        })
        .try_buffered(CONCURRENT_RANGES)
        .map_ok(|(listing, first)| {
            let rest = stream::try_unfold(listing, |mut listing| async move {
                let page = listing.next_page().await?;
                Ok(page.map(|page| (page, listing)))
            });
            stream::iter(first.map(Ok)).chain(rest)
        })
        .try_flatten()
        .boxed()
}

/// The range of what is beside the topics, and the folders of the topics.
async fn first_ranges(
    store: Arc<dyn Store>,
    ranges: Ranges,
) -> Result<(Option<String>, Vec<String>)> {
    let (topics, has_others) = match &ranges.topics {
        Some(topics) => (topics.iter().map(|t| format!("{t}/")).collect(), false),
        None => look_into(&store, "").await?,
    };
    let beside = Some(String::new()).filter(|range| has_others && ranges.has(range));
    let topics = topics
        .into_iter()
        .filter(|topic| ranges.may_be_below(topic));
    Ok((beside, topics.collect()))
}

/// Runs a request also while nobody polls for its answer, which would time out.
async fn in_background<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(VerifyError::Broken)?
}

/// The listing of one range.
struct RangeListing {
    store: Arc<dyn Store>,
    range: String,
    /// What is left to list; the next one is the last.
    left: Vec<Listed>,
}

/// One request of a listing: a prefix and the page of it.
enum Listed {
    Everything(String, Option<String>),
    Folder(Option<String>),
}

impl RangeListing {
    fn begin(store: Arc<dyn Store>, range: String) -> Self {
        let first = match is_day(&range) {
            true => Listed::Everything(range.clone(), None),
            false => Listed::Folder(None),
        };
        Self {
            store,
            range,
            left: vec![first],
        }
    }

    async fn next_page(&mut self) -> Result<Option<RangePage>> {
        let Some(next) = self.left.pop() else {
            return Ok(None);
        };
        let list = || async {
            match &next {
                Listed::Everything(prefix, page) => self.store.list(prefix, page.as_deref()).await,
                Listed::Folder(page) => self.store.list_folder(&self.range, page.as_deref()).await,
            }
        };
        let Page {
            objects,
            folders,
            next: page,
        } = patiently(list, StoreError::is_passing).await?;
        if page.is_some() {
            self.left.push(match next {
                Listed::Everything(prefix, _) => Listed::Everything(prefix, page),
                Listed::Folder(_) => Listed::Folder(page),
            });
        }
        // Folders that are a part of other ranges are listed with those.
        let own = folders
            .into_iter()
            .filter(|folder| range_of(folder) == self.range);
        let own = own.map(|folder| Listed::Everything(folder, None));
        self.left.extend(own);
        Ok(Some(RangePage {
            objects,
            finished: self.left.is_empty().then(|| self.range.clone()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use proptest::prelude::*;

    use super::*;
    use crate::store::{Location, Put};

    /// A store that lists in the order of its vector, three names a page.
    struct Unordered(Vec<String>);

    #[async_trait]
    impl Store for Unordered {
        fn bucket(&self) -> &str {
            "bucket"
        }

        fn name(&self) -> &str {
            "unordered"
        }

        async fn check(&self) -> std::result::Result<(), StoreError> {
            Ok(())
        }

        async fn put_new(&self, _: &str, _: Vec<u8>) -> std::result::Result<Put, StoreError> {
            Ok(Put::Exists)
        }

        async fn get(&self, _: &Location) -> std::result::Result<Vec<u8>, StoreError> {
            Ok(vec![])
        }

        async fn head(&self, _: &str, key: &str) -> std::result::Result<ObjectInfo, StoreError> {
            Ok(object(key))
        }

        async fn list(
            &self,
            prefix: &str,
            page: Option<&str>,
        ) -> std::result::Result<Page, StoreError> {
            let found = self.0.iter().filter(|key| key.starts_with(prefix));
            Ok(three(found.cloned().collect(), page))
        }

        async fn list_folder(
            &self,
            folder: &str,
            page: Option<&str>,
        ) -> std::result::Result<Page, StoreError> {
            let mut names: Vec<String> = vec![];
            for key in self.0.iter().filter(|key| key.starts_with(folder)) {
                let name = match key[folder.len()..].find('/') {
                    Some(end) => &key[..=folder.len() + end],
                    None => key,
                };
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
            Ok(three(names, page))
        }
    }

    fn object(key: &str) -> ObjectInfo {
        ObjectInfo {
            key: key.to_owned(),
            size: 0,
            modified: 0,
        }
    }

    fn three(names: Vec<String>, page: Option<&str>) -> Page {
        let begin: usize = page.map_or(0, |page| page.parse().expect("a page"));
        let next = Some(begin + 3).filter(|next| *next < names.len());
        let names = names.into_iter().skip(begin).take(3);
        let (folders, keys): (Vec<_>, Vec<_>) = names.partition(|name| name.ends_with('/'));
        Page {
            objects: keys.iter().map(|key| object(key)).collect(),
            folders,
            next: next.map(|next| next.to_string()),
        }
    }

    /// All pages.
    fn list(keys: &[String], ranges: Ranges) -> Vec<RangePage> {
        let store: Arc<dyn Store> = Arc::new(Unordered(keys.to_vec()));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let pages = listing(&store, ranges).try_collect();
        runtime.block_on(pages).expect("a listing")
    }

    fn keys_of(pages: &[RangePage]) -> Vec<String> {
        let objects = pages.iter().flat_map(|page| &page.objects);
        let mut keys: Vec<String> = objects.map(|object| object.key.clone()).collect();
        keys.sort();
        keys
    }

    fn keys() -> impl Strategy<Value = Vec<String>> {
        let key = "([ab]|a-)?/?((20)?1[12]|x)?/?(1|01|123)?/?([12]|y)?/?(5/)?[ab]?k";
        let sets = prop::collection::btree_set(key, 0..40);
        let unordered = sets.prop_map(|keys| keys.into_iter().collect::<Vec<_>>());
        unordered.prop_shuffle()
    }

    #[test]
    fn range_is_a_day_of_a_topic_or_what_lies_beside_its_parts() {
        for (key, range) in [
            ("t/2026/11/28/x.bson", "t/2026/11/28/"),
            ("t/2026/11/28/23/x.bson", "t/2026/11/28/"),
            ("t/0/0/0/x.bson", "t/0/0/0/"),
            ("t/2026/11/x.bson", "t/2026/11/"),
            ("t/2026/november/28/x.bson", "t/2026/"),
            ("t/20261/1/1/x.bson", "t/"),
            ("t/notes.txt", "t/"),
            ("README", ""),
            ("/x", "/"),
            ("", ""),
        ] {
            assert_eq!(range_of(key), range, "{key}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_object_is_listed_once_and_each_range_finished_after_its_objects(keys in keys()) {
            let pages = list(&keys, Ranges::default());
            let mut sorted = keys.clone();
            sorted.sort();
            prop_assert_eq!(keys_of(&pages), sorted);
            let mut finished = String::new();
            for page in &pages {
                for object in &page.objects {
                    let range = range_of(&object.key);
                    prop_assert!(finished.is_empty() || range > finished.as_str());
                    prop_assert!(page.finished.as_deref().is_none_or(|last| last == range));
                }
                finished = page.finished.clone().unwrap_or(finished);
            }
        }

        #[test]
        fn listing_continues_after_any_range(keys in keys(), at in any::<prop::sample::Index>()) {
            let pages = list(&keys, Ranges::default());
            let ends: Vec<usize> = (0..pages.len()).filter(|n| pages[*n].finished.is_some()).collect();
            prop_assume!(!ends.is_empty());
            let end = ends[at.index(ends.len())];
            let after = pages[end].finished.clone();
            let rest = list(&keys, Ranges { after, ..Ranges::default() });
            prop_assert_eq!(keys_of(&rest), keys_of(&pages[end + 1..]));
        }

        #[test]
        fn parts_divide_the_objects_of_some_topics(keys in keys()) {
            let topics = Some(vec!["a".to_owned(), "b".to_owned()]);
            let mut found = vec![];
            for part in 1..=3 {
                let subset = Some(format!("{part}/3").parse().expect("a part"));
                let ranges = Ranges { topics: topics.clone(), subset, after: None };
                found.extend(keys_of(&list(&keys, ranges)));
            }
            found.sort();
            let is_wanted = |key: &&String| key.starts_with("a/") || key.starts_with("b/");
            let mut wanted: Vec<String> = keys.iter().filter(is_wanted).cloned().collect();
            wanted.sort();
            prop_assert_eq!(found, wanted);
        }
    }
}
