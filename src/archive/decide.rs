//! Whose UUID is it: what becomes of a delivery, given the owner of the UUID
//! that it asks for.

use uuid::Uuid;

use crate::catalogue::{Owner, StoredRow};
use crate::envelope;
use crate::record::{Delivery, Record};

/// A delivery on its way to a UUID of its own.
pub(super) struct Candidate {
    pub delivery: Delivery,
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
    /// The message has a row; this delivery repeats it.
    Retry,
    /// The message is claimed by a delivery that repeats it and has no row
    /// yet: look again later.
    Wait { holder: Delivery, age_ms: i64 },
    /// The UUID has a row that does not say which delivery it was: the object
    /// has to be compared.
    Compare(Box<StoredRow>),
    /// Another message owns the UUID: the delivery needs another one.
    Taken,
}

impl Candidate {
    pub fn new(record: &Record) -> Self {
        Self {
            delivery: envelope::delivery(record),
            client_uuid: envelope::client_uuid(&record.headers),
            attempt: 0,
        }
    }

    /// The UUID that the delivery asks for now.
    pub fn uuid(&self) -> Uuid {
        match (self.client_uuid, self.attempt) {
            (Some(client), 0) => client,
            (Some(_), later) => envelope::derived_uuid(&self.delivery, later - 1),
            (None, attempt) => envelope::derived_uuid(&self.delivery, attempt),
        }
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
        let (holder, claimed_for) = match owner {
            None => return Verdict::Free,
            Some(Owner::Claim { delivery, age_ms }) => (delivery.clone(), Some(*age_ms)),
            Some(Owner::Row(row)) => match row.row.delivery() {
                Some(delivery) => (delivery, None),
                None => return Verdict::Compare(row.clone()),
            },
        };
        let same = holder == self.delivery;
        // Only a client can say that two deliveries are one message: without
        // its UUID equal content is still two messages.
        let repeats = self.asks_for_client_uuid() && holder.same_message(&self.delivery);
        match claimed_for {
            Some(_) if same => Verdict::Mine,
            None if same => Verdict::Redelivery,
            Some(age_ms) if repeats => Verdict::Wait { holder, age_ms },
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
            age_ms: 5,
        }
    }

    #[test]
    fn a_claim_is_kept_by_its_delivery_and_waited_for_by_a_retry() {
        let first = record(0, b"v", Some([1; 16]));
        let retry = record(1, b"v", Some([1; 16]));
        let owner = claim_of(&first);
        assert_eq!(Candidate::new(&first).judge(Some(&owner)), Verdict::Mine);
        assert!(matches!(
            Candidate::new(&retry).judge(Some(&owner)),
            Verdict::Wait { age_ms: 5, .. }
        ));
    }

    #[test]
    fn another_message_with_the_same_client_uuid_gets_a_derived_one() {
        let first = record(0, b"v", Some([1; 16]));
        let other = record(1, b"w", Some([1; 16]));
        let mut candidate = Candidate::new(&other);
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
            Candidate::new(&second).judge(Some(&claim_of(&first))),
            Verdict::Taken
        );
    }
}
