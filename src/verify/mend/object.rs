//! Where the object of a message may lie, and where its bytes go when they are
//! stored again.

use std::collections::BTreeSet;

use jiff::{Timestamp, tz::Offset};

use crate::catalogue::Row;
use crate::envelope::{key_beside, object_key};
use crate::store::{Put, StoreError};
use crate::verify::objects::uuid_of;
use crate::verify::{Result, Verifier};

/// Keys beside a message's own at which an object is looked for.
const BESIDE: u32 = 4;

/// Keys that are tried for bytes that are stored again.
const ALTERNATIVES: u32 = 100;

/// The keys under which the object of this message may lie, by this program's
/// rule, by archive-core's, and beside either.
pub(super) fn places(row: &Row) -> Vec<String> {
    let own = object_key(&row.topic, row.timestamp, row.uuid);
    let hourly = hourly_key(row, &own);
    let named = (uuid_of(&row.key) == Some(row.uuid)).then(|| row.key.clone());
    let mut seen = BTreeSet::new();
    [named, Some(own), hourly]
        .into_iter()
        .flatten()
        .flat_map(|key| (1..=BESIDE).map(move |n| key_beside(&key, n)))
        .filter(|key| seen.insert(key.clone()))
        .collect()
}

/// archive-core's keys have the hour after the day.
fn hourly_key(row: &Row, own: &str) -> Option<String> {
    let time = Timestamp::from_millisecond(row.timestamp).ok()?;
    let hour = Offset::UTC.to_datetime(time).hour();
    let (folder, name) = own.rsplit_once('/')?;
    Some(format!("{folder}/{hour}/{name}"))
}

impl Verifier {
    /// Stores bytes of a message's object again, where it was or else beside it,
    /// and gives the key. Nothing is replaced.
    pub(in crate::verify) async fn store_again(&self, row: &Row, bytes: &[u8]) -> Result<String> {
        let is_named = uuid_of(&row.key) == Some(row.uuid) && row.bucket == self.store.bucket();
        let key = match is_named {
            true => row.key.clone(),
            false => object_key(&row.topic, row.timestamp, row.uuid),
        };
        if self.is_dry_run() {
            return Ok(key);
        }
        for number in 1..=ALTERNATIVES {
            let key = key_beside(&key, number);
            let put = || self.store.put_new(&key, bytes.to_vec());
            let put = crate::retry::patiently(put, StoreError::is_passing).await?;
            if put == Put::Stored {
                return Ok(key);
            }
            if self.bytes_at(self.store.bucket(), &key).await?.as_deref() == Some(bytes) {
                return Ok(key);
            }
        }
        let cause = format!("{ALTERNATIVES} other objects lie where {key} should be");
        let store = self.store.name().to_owned();
        Err(StoreError::Refused { store, cause }.into())
    }
}
