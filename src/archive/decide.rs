//! Whose UUID is it: what becomes of a delivery, given the owner of the UUID
//! that it asks for.

use uuid::Uuid;

use crate::catalogue::{Owner, StoredRow};
use crate::envelope;
use crate::record::{Delivery, Record, TopicId};

/// A delivery on its way to a UUID of its own.
pub(super) struct Candidate {
    pub delivery: Delivery,
    /// Of the topic that it was read of; `None` where the broker gives none.
    topic_id: Option<TopicId>,
    /// What the client asked for.
    pub client_uuid: Option<Uuid>,
    /// Which of the delivery's possible UUIDs it asks for now: the client's (if
    /// there is one), then derived ones.
    attempt: u32,
}

/// What becomes of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody owns the UUID: it can be claimed.
    Free,
    /// This delivery's claim stands: the record is to be stored.
    Mine,
    /// This very delivery has a row: nothing is to be done.
    Redelivery,
    /// The message has a row; this delivery repeats it, perhaps after the topic
    /// was deleted and created again.
    Retry,
    /// The message is claimed by a delivery that repeats it and has no row
    /// yet: look again later. `topic_id`: the holder's.
    Wait {
        holder: Delivery,
        topic_id: Option<TopicId>,
        age_ms: i64,
    },
    /// The UUID has a row that does not say which delivery it was: the object
    /// has to be compared.
    Compare(Box<StoredRow>),
    /// Another message owns the UUID, if only an equal one of an earlier topic of
    /// this name: the delivery needs another UUID.
    Taken,
}

impl Candidate {
    pub fn new(record: &Record, topic_id: Option<TopicId>) -> Self {
        Self {
            delivery: envelope::delivery(record),
            topic_id,
            client_uuid: envelope::client_uuid(&record.headers),
            attempt: 0,
        }
    }

    /// The UUID that the delivery asks for now.
    pub fn uuid(&self) -> Uuid {
        envelope::wanted_uuid(self.client_uuid, &self.delivery, self.attempt)
    }

    /// Asks for the next possible UUID, after [`Verdict::Taken`].
    pub fn next_uuid(&mut self) {
        self.attempt += 1;
    }

    fn asks_for_client_uuid(&self) -> bool {
        self.client_uuid.is_some() && self.attempt == 0
    }

    /// What becomes of the delivery when `owner` owns [`Candidate::uuid`].
    pub fn judge(&self, owner: Option<&Owner>) -> Verdict {
        let (holder, topic_id, claimed_for) = match owner {
            None => return Verdict::Free,
            Some(Owner::Claim {
                delivery,
                topic_id,
                age_ms,
            }) => (delivery.clone(), *topic_id, Some(*age_ms)),
            Some(Owner::Row(row)) => match row.row.delivery() {
                Some(delivery) => (delivery, row.row.topic_id(), None),
                None => return Verdict::Compare(row.clone()),
            },
        };
        let same = holder == self.delivery && TopicId::may_be_same(topic_id, self.topic_id);
        // Only a client can say that two deliveries are one message: without
        // its UUID equal content is still two messages.
        let repeats = self.asks_for_client_uuid() && holder.same_message(&self.delivery);
        match claimed_for {
            Some(_) if same => Verdict::Mine,
            None if same => Verdict::Redelivery,
            Some(age_ms) if repeats => Verdict::Wait {
                holder,
                topic_id,
                age_ms,
            },
            None if repeats => Verdict::Retry,
            _ => Verdict::Taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Header, TimestampType};

    fn record(offset: i64, value: &[u8], id: Option<[u8; 16]>) -> Record {
        Record {
            topic: "t".into(),
            partition: 0,
            offset,
            timestamp: 0,
            timestamp_type: TimestampType::Create,
            key: None,
            value: Some(value.to_vec()),
            headers: id
                .map(|id| Header {
                    name: b"_id".to_vec(),
                    value: Some(id.to_vec()),
                })
                .into_iter()
                .collect(),
        }
    }

    fn claim_of(record: &Record) -> Owner {
        Owner::Claim {
            delivery: envelope::delivery(record),
            topic_id: TopicId::new(1),
            age_ms: 5,
        }
    }

    #[test]
    fn a_claim_is_kept_by_its_delivery_and_waited_for_by_a_retry() {
        let first = record(0, b"v", Some([1; 16]));
        let retry = record(1, b"v", Some([1; 16]));
        let owner = claim_of(&first);
        assert_eq!(
            Candidate::new(&first, TopicId::new(1)).judge(Some(&owner)),
            Verdict::Mine
        );
        assert!(matches!(
            Candidate::new(&retry, TopicId::new(1)).judge(Some(&owner)),
            Verdict::Wait { age_ms: 5, .. }
        ));
    }

    #[test]
    fn another_message_with_the_same_client_uuid_gets_a_derived_one() {
        let first = record(0, b"v", Some([1; 16]));
        let other = record(1, b"w", Some([1; 16]));
        let mut candidate = Candidate::new(&other, TopicId::new(1));
        assert_eq!(candidate.judge(Some(&claim_of(&first))), Verdict::Taken);
        candidate.next_uuid();
        assert_eq!(
            candidate.uuid(),
            envelope::derived_uuid(&candidate.delivery, 0)
        );
        assert_eq!(candidate.judge(None), Verdict::Free);
    }

    #[test]
    fn equal_content_without_a_client_uuid_is_never_a_retry() {
        let first = record(0, b"v", None);
        let second = record(1, b"v", None);
        assert_eq!(
            Candidate::new(&second, TopicId::new(1)).judge(Some(&claim_of(&first))),
            Verdict::Taken
        );
    }

    /// Without a client UUID, an equal record of a recreated topic is a message of
    /// its own; with one it is a retry. An unknown topic id tells nothing.
    #[test]
    fn equal_record_of_a_recreated_topic_is_no_redelivery() {
        let judge = |record: &Record, topic_id| {
            Candidate::new(record, topic_id).judge(Some(&claim_of(record)))
        };
        let (plain, chosen) = (record(0, b"v", None), record(0, b"v", Some([1; 16])));
        assert_eq!(judge(&plain, TopicId::new(2)), Verdict::Taken);
        assert!(matches!(
            judge(&chosen, TopicId::new(2)),
            Verdict::Wait { .. }
        ));
        for topic_id in [None, TopicId::new(1)] {
            assert_eq!(judge(&plain, topic_id), Verdict::Mine);
            assert_eq!(judge(&chosen, topic_id), Verdict::Mine);
        }
    }
}
