//! Store → catalogue: every object's row.

use std::collections::HashMap;

use uuid::Uuid;

use super::ahead::Ahead;
use super::clock::now;
use super::defect::{Defect, Kind};
use super::finding::{Findings, Repair};
use super::logbook::Logbook;
use super::place::Place;
use super::ranges::RangePage;
use super::{Result, SUSPECTS, Verifier};
use crate::catalogue::StoredRow;
use crate::store::ObjectInfo;

/// UUIDs looked up in one question.
pub(super) const LOOK_UP: usize = 1_000;

/// An object in the place of a message's.
pub(super) struct Candidate {
    pub uuid: Uuid,
    pub object: ObjectInfo,
}

/// The objects of a page that have no row.
#[derive(Default)]
pub(super) struct Rowless {
    /// How many were looked at.
    objects: usize,
    young: u64,
    old: Vec<Candidate>,
    foreign: Vec<ObjectInfo>,
    /// The range that ends with this page.
    finished: Option<String>,
}

impl Rowless {
    /// Objects that it holds.
    pub fn held(&self) -> usize {
        self.old.len() + self.foreign.len()
    }
}

impl Verifier {
    pub(super) async fn check_objects(
        &self,
        listed: &mut Ahead,
        log: &mut Logbook,
        findings: &Findings,
    ) -> Result<()> {
        self.progress.turn_backwards();
        let mut suspects = vec![];
        while let Some(rowless) = listed.next().await? {
            self.progress.objects(rowless.objects);
            log.saved.in_flight += rowless.young;
            for object in self.not_packed(rowless.foreign, |one| &one.key).await? {
                self.tell_of_foreign(object, findings).await?;
            }
            suspects.extend(rowless.old);
            // What is counted at the end of a range is not counted again.
            let is_save_due = rowless.finished.is_some() && self.is_save_due(log);
            if suspects.len() >= SUSPECTS || is_save_due {
                self.look_up_again(&mut suspects, findings).await?;
            }
            if is_save_due {
                let range = rowless.finished;
                self.save(log, findings, Place::Objects { range }).await;
            }
        }
        self.look_up_again(&mut suspects, findings).await
    }

    async fn tell_of_foreign(&self, object: ObjectInfo, findings: &Findings) -> Result<()> {
        let kind = Kind::ForeignObject { size: object.size };
        let defect = Defect::of_object(self.store.bucket(), object.key, None, kind);
        let why = "it is nothing of the archive's: move it to where it belongs";
        let repair = self.mending.as_ref().map(|_| Repair::impossible(why));
        findings.tell_of(vec![defect], repair).await
    }

    pub(super) async fn rowless(&self, page: RangePage) -> Result<Rowless> {
        let (mut candidates, mut foreign) = (vec![], vec![]);
        let objects = page.objects.len();
        for object in page.objects {
            match uuid_of(&object.key) {
                Some(uuid) => candidates.push(Candidate { uuid, object }),
                None => foreign.push(object),
            }
        }
        let mut rowless = Rowless {
            objects,
            foreign: self.not_packed(foreign, |object| &object.key).await?,
            finished: page.finished,
            ..Rowless::default()
        };
        let now = now();
        for candidate in self.without_row(candidates).await? {
            match now.saturating_sub(candidate.object.modified) < self.in_flight_ms {
                true => rowless.young += 1,
                false => rowless.old.push(candidate),
            }
        }
        Ok(rowless)
    }

    /// Those of which no row says that its object lies there, and that were not
    /// set aside.
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
        let candidates = self.not_set_aside(candidates).await?;
        self.not_packed(candidates, |candidate| &candidate.object.key)
            .await
    }

    /// Their rows may have been committed since: only what still has none is a
    /// defect.
    async fn look_up_again(
        &self,
        suspects: &mut Vec<Candidate>,
        findings: &Findings,
    ) -> Result<()> {
        for candidate in self.without_row(std::mem::take(suspects)).await? {
            let repair = self.mend_orphan(&candidate).await?;
            let Candidate { uuid, object } = candidate;
            let kind = Kind::OrphanObject { size: object.size };
            let bucket = self.store.bucket();
            let defect = Defect::of_object(bucket, object.key, Some(uuid), kind);
            findings.tell_of(vec![defect], repair).await?;
        }
        Ok(())
    }
}

/// Whose object a key is for: it ends in `/<uuid>.bson`, or in
/// `/<uuid>-<number>.bson` where that place was taken.
pub(super) fn uuid_of(key: &str) -> Option<Uuid> {
    let (_, name) = key.rsplit_once('/')?;
    let stem = name.strip_suffix(".bson")?;
    let (uuid, rest) = stem.split_at_checked(36)?;
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_ours = rest.is_empty() || rest.strip_prefix('-').is_some_and(is_number);
    Uuid::try_parse(uuid).ok().filter(|_| is_ours)
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
