//! Defects in words.

use std::fmt;

use super::defect::{Defect, Kind};
use crate::record::ContentDigest;

/// `kind: place: what is wrong`.
impl fmt::Display for Defect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.kind.name())?;
        match (&self.uuid, &self.key, &self.topic) {
            (Some(uuid), Some(key), _) => write!(out, "{uuid} at {key}: ")?,
            (None, Some(key), _) => write!(out, "{key}: ")?,
            (Some(uuid), None, Some(topic)) => write!(out, "{uuid} of topic {topic}: ")?,
            (None, None, Some(topic)) => write!(out, "topic {topic}: ")?,
            (_, None, None) => {}
        }
        self.kind.fmt(out)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |digest: &Option<ContentDigest>| {
            digest.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string())
        };
        match self {
            Self::MissingObject => write!(out, "the store has no such object"),
            Self::UnreadableObject { cause } => write!(out, "{cause}"),
            Self::WrongSize { object, catalogue } => {
                write!(out, "{object} bytes, the catalogue says {catalogue}")
            }
            Self::WrongCrc { object, catalogue } => {
                write!(
                    out,
                    "CRC-32 {object:08x}, the catalogue says {catalogue:08x}"
                )
            }
            Self::NotBson { cause }
            | Self::NotAMessage { cause }
            | Self::UnconfirmedObject { cause }
            | Self::IncompleteCatalogue { cause } => write!(out, "{cause}"),
            Self::SignatureInvalid { key } => write!(
                out,
                "the signature by key {key} is not the one of this row: row or signature were changed"
            ),
            Self::SignatureMissing => {
                write!(
                    out,
                    "the row was added after signing began, and has no signature"
                )
            }
            Self::SignatureKeyUnknown { key } => write!(
                out,
                "signed by key {key}, which is not configured: add it to ARCHIVE_SIGNING_KEYS_OLD"
            ),
            Self::WrongMessageCrc {
                value,
                annotation,
                catalogue,
            } => write!(
                out,
                "the value's CRC-32 is {value:08x}, its annotation says {annotation:08x}, \
                 the catalogue {catalogue:08x}"
            ),
            Self::WrongDigest {
                content,
                annotation,
                catalogue,
            } => write!(
                out,
                "tampered or damaged: the content's digest is {content}, its annotation says {}, the catalogue {}",
                known(annotation),
                known(catalogue)
            ),
            Self::Disagrees {
                field,
                object,
                catalogue,
            } => write!(out, "{field} is {object}, the catalogue says {catalogue}"),
            Self::OrphanObject { size } => {
                write!(out, "{size} bytes, no row of the catalogue has this key")
            }
            Self::ForeignObject { size } => {
                write!(out, "{size} bytes, not a key of the archive")
            }
            Self::Gap {
                partition,
                from,
                to,
                reason,
                acknowledged_at,
                ..
            } => {
                let why = match *reason {
                    "skipped" => "somebody skipped them",
                    "truncated" => {
                        "the log was truncated there, what was archived before is no longer in Kafka"
                    }
                    _ => "Kafka removed them before they were archived",
                };
                let known = match acknowledged_at {
                    Some(_) => " (acknowledged)",
                    None => "",
                };
                write!(
                    out,
                    "partition {partition} offsets {from} to {}: {why}{known}",
                    to - 1
                )
            }
            Self::Unaccounted {
                partition,
                from,
                to,
                missing,
            } => write!(
                out,
                "partition {partition} offsets {from} to {}: the catalogue lacks {missing} records that were archived",
                to - 1
            ),
            Self::NotArchived { partition, offset } => write!(
                out,
                "partition {partition} offset {offset}: Kafka has it, the archive has not"
            ),
            Self::UnstableRecords {
                partition,
                last_stable_offset,
                high_watermark,
                records,
            } => write!(
                out,
                "partition {partition}: a transaction is open, so {records} records, offsets {last_stable_offset} to {}, cannot be read or compared",
                high_watermark - 1
            ),
            Self::UnlikeKafka {
                partition,
                offset,
                field,
                kafka,
                catalogue,
            } => write!(
                out,
                "partition {partition} offset {offset}: {field} is {kafka}, the catalogue says {catalogue}"
            ),
            Self::RetryNotRecorded { partition, offset } => write!(
                out,
                "partition {partition} offset {offset}: it repeats this message, which the catalogue does not know"
            ),
            Self::ArchivedTwice {
                partition,
                offset,
                first,
                ..
            } => write!(
                out,
                "partition {partition} offset {offset}: this record is archived twice, the first time as {first}"
            ),
            Self::WrongCount { rows, topics } => {
                write!(out, "{rows} rows, the table topics says {topics}")
            }
            Self::WrongTimes { rows, topics } => write!(
                out,
                "the rows' times are {} to {}, the table topics says {} to {}",
                rows.0, rows.1, topics.0, topics.1
            ),
        }
    }
}
