//! Offsets without a record: what the archiver's client says of them is confirmed
//! by the second reader, which has read the same offsets and found no record that
//! is not archived.

use std::ops::Range;

use crate::catalogue::{ReadInterval, StreamKey};
use crate::verify::{Result, Verifier};

impl Verifier {
    /// The second reader has read these offsets without a break, and each of their
    /// records is archived. `is_repaired`: some of them only now, so that intervals
    /// hold more records than were counted.
    pub(super) async fn confirm_holes(
        &self,
        stream: StreamKey,
        read: Range<i64>,
        is_repaired: bool,
    ) -> Result<()> {
        let key = stream.clone();
        let before = self
            .ask(move |catalogue| catalogue.positions().read_intervals(&key))
            .await?;
        let mut after: Vec<ReadInterval> = Vec::new();
        for interval in &before {
            let (from, to) = (interval.from.max(read.start), interval.to.min(read.end));
            let is_known = interval.is_confirmed() && !is_repaired;
            let parts = match from < to && !is_known {
                true => self.confirmed_parts(&stream, interval, from..to).await?,
                false => vec![*interval],
            };
            for part in parts {
                match after.last_mut() {
                    Some(last) if is_merged(last, &part) => {
                        last.to = part.to;
                        last.records += part.records;
                        last.holes_confirmed += part.holes_confirmed;
                    }
                    _ => after.push(part),
                }
            }
        }
        if after != before {
            // If an archiver has changed them meanwhile, the next run confirms them.
            self.ask(move |catalogue| {
                catalogue
                    .positions()
                    .confirm_holes(&stream, &before, &after)
            })
            .await?;
        }
        Ok(())
    }

    /// The interval before, within and after `read`, which lies in it. It stays
    /// whole if records of it are missing: their offsets are no holes.
    async fn confirmed_parts(
        &self,
        stream: &StreamKey,
        interval: &ReadInterval,
        read: Range<i64>,
    ) -> Result<Vec<ReadInterval>> {
        let was_confirmed = interval.holes_confirmed > 0;
        let mut parts = Vec::new();
        for offsets in [
            interval.from..read.start,
            read.clone(),
            read.end..interval.to,
        ] {
            if offsets.is_empty() {
                continue;
            }
            let mut part = ReadInterval {
                from: offsets.start,
                to: offsets.end,
                records: self.count_archived(stream, offsets.clone()).await?.offsets,
                holes_confirmed: 0,
            };
            if was_confirmed || offsets == read {
                part.holes_confirmed = part.holes();
            }
            parts.push(part);
        }
        let archived: i64 = parts.iter().map(|part| part.records).sum();
        Ok(match archived < interval.records {
            true => vec![*interval],
            false => parts,
        })
    }
}

/// Whether intervals that adjoin are kept as one.
fn is_merged(before: &ReadInterval, after: &ReadInterval) -> bool {
    let are_confirmed = before.is_confirmed() && after.is_confirmed();
    let are_unconfirmed = before.holes_confirmed == 0 && after.holes_confirmed == 0;
    before.to == after.from && (are_confirmed || are_unconfirmed)
}
