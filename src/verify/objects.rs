//! Store → catalogue: every object's row.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::defect::{Defect, Kind};
use super::{Findings, IN_FLIGHT_MS, Result, SUSPECTS, Verifier};
use crate::catalogue::StoredRow;
use crate::store::{ObjectInfo, Page};

/// Pages whose rows are looked up at once.
const AT_ONCE: usize = 4;

/// UUIDs looked up in one question.
const LOOK_UP: usize = 1_000;

/// An object in the place of a message's.
struct Candidate {
    uuid: Uuid,
    object: ObjectInfo,
}

/// The objects of a page that have no row.
#[derive(Default)]
struct Rowless {
    young: u64,
    old: Vec<Candidate>,
    foreign: Vec<ObjectInfo>,
}

impl Verifier {
    /// Gives how many objects there are, and how many are in flight.
    pub(super) async fn check_objects(&self, findings: &Findings) -> Result<(u64, u64)> {
        self.progress.turn_backwards();
        let (mut in_flight, mut suspects) = (0, vec![]);
        for prefix in self.prefixes() {
            let mut pages = self
                .pages(&prefix)
                .map_ok(|page| self.rowless(page))
                .try_buffer_unordered(AT_ONCE)
                .boxed();
            while let Some(rowless) = pages.try_next().await? {
                in_flight += rowless.young;
                for object in rowless.foreign {
                    let kind = Kind::ForeignObject { size: object.size };
                    let bucket = self.store.bucket();
                    let defect = Defect::of_object(bucket, object.key, None, kind);
                    findings.tell(defect).await?;
                }
                suspects.extend(rowless.old);
                if suspects.len() >= SUSPECTS {
                    self.look_up_again(&mut suspects, findings).await?;
                }
            }
        }
        self.look_up_again(&mut suspects, findings).await?;
        Ok((self.progress.snapshot().objects, in_flight))
    }

    /// Keys start with their topic.
    fn prefixes(&self) -> Vec<String> {
        match &self.filter.topics {
            None => vec![String::new()],
            Some(topics) => topics.iter().map(|topic| format!("{topic}/")).collect(),
        }
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> impl Stream<Item = Result<Page>> + Send + 'a {
        stream::try_unfold(Some(None::<String>), move |from| async move {
            let Some(from) = from else { return Ok(None) };
            let page = self.list(prefix, from.as_deref()).await?;
            let next = page.next.clone().map(Some);
            Ok(Some((page, next)))
        })
    }

    async fn rowless(&self, page: Page) -> Result<Rowless> {
        self.progress.objects(page.objects.len());
        let (mut candidates, mut foreign) = (vec![], vec![]);
        for object in page.objects {
            match uuid_of(&object.key) {
                Some(uuid) => candidates.push(Candidate { uuid, object }),
                None => foreign.push(object),
            }
        }
        let mut rowless = Rowless {
            foreign: self.not_packed(foreign, |object| &object.key).await?,
            ..Rowless::default()
        };
        let now = now();
        for candidate in self.without_row(candidates).await? {
            match now.saturating_sub(candidate.object.modified) < IN_FLIGHT_MS {
                true => rowless.young += 1,
                false => rowless.old.push(candidate),
            }
        }
        Ok(rowless)
    }

    /// Those of which no row says that its object lies there.
    async fn without_row(&self, mut candidates: Vec<Candidate>) -> Result<Vec<Candidate>> {
        let mut places = HashMap::new();
        for part in candidates.chunks(LOOK_UP) {
            let uuids: Vec<Uuid> = part.iter().map(|candidate| candidate.uuid).collect();
            let rows = self.ask(move |catalogue| catalogue.fetch(&uuids)).await?;
            let place = |StoredRow { row, .. }: StoredRow| (row.uuid, (row.bucket, row.key));
            places.extend(rows.into_iter().map(place));
        }
        let bucket = self.store.bucket();
        candidates.retain(|Candidate { uuid, object }| {
            let place = places.get(uuid);
            !place.is_some_and(|(of, key)| of == bucket && *key == object.key)
        });
        self.not_packed(candidates, |candidate| &candidate.object.key)
            .await
    }

    /// Those that are no object of several messages: what such an object is
    /// called tells of none of them.
    async fn not_packed<T: Send>(
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

    /// Their rows may have been committed since: only what still has none is a
    /// defect.
    async fn look_up_again(
        &self,
        suspects: &mut Vec<Candidate>,
        findings: &Findings,
    ) -> Result<()> {
        for Candidate { uuid, object } in self.without_row(std::mem::take(suspects)).await? {
            let kind = Kind::OrphanObject { size: object.size };
            let bucket = self.store.bucket();
            let defect = Defect::of_object(bucket, object.key, Some(uuid), kind);
            findings.tell(defect).await?;
        }
        Ok(())
    }
}

/// Whose object a key is for: it ends in `/<uuid>.bson`, or in
/// `/<uuid>-<number>.bson` where that place was taken.
fn uuid_of(key: &str) -> Option<Uuid> {
    let (_, name) = key.rsplit_once('/')?;
    let stem = name.strip_suffix(".bson")?;
    let (uuid, rest) = stem.split_at_checked(36)?;
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_ours = rest.is_empty() || rest.strip_prefix('-').is_some_and(is_number);
    Uuid::try_parse(uuid).ok().filter(|_| is_ours)
}

/// Ms since 1970-01-01 UTC, by this machine's clock.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::envelope::object_key;

    #[test]
    fn a_key_that_is_no_message_s_is_foreign() {
        let uuid = "6b6e6f77-6e2d-6461-7461-2d7575696431";
        for key in [
            "alerts/2023/11/14/notes.txt".to_owned(),
            format!("{uuid}.bson"),
            format!("t/2023/1/1/{uuid}"),
            format!("t/2023/1/1/{uuid}-.bson"),
            format!("t/2023/1/1/{uuid}-copy.bson"),
            format!("t/2023/1/1/{uuid}2.bson"),
            "t/2023/1/1/größer-als-gedacht-und-noch-mehr-ä.bson".to_owned(),
        ] {
            assert_eq!(uuid_of(&key), None, "{key}");
        }
    }

    #[test]
    fn keys_with_an_hour_and_keys_beside_a_taken_place_are_messages() {
        let uuid = Uuid::from_u128(7);
        assert_eq!(uuid_of(&format!("t/2023/1/1/23/{uuid}.bson")), Some(uuid));
        assert_eq!(uuid_of(&format!("t/2023/1/1/{uuid}-2.bson")), Some(uuid));
    }

    proptest! {
        #[test]
        fn every_key_that_is_written_is_recognised(
            topic in "[a-zA-Z0-9._-]{1,40}",
            timestamp: i64,
            uuid: u128,
        ) {
            let uuid = Uuid::from_u128(uuid);
            prop_assert_eq!(uuid_of(&object_key(&topic, timestamp, uuid)), Some(uuid));
        }

        #[test]
        fn no_key_panics(key in "\\PC{0,60}|/\\PC{30,45}\\.bson") {
            uuid_of(&key);
        }
    }
}
