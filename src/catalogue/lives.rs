//! Which life of a topic a row belongs to: the lives of one partition, in order.
//!
//! A topic that is deleted and created again has its offsets once more. Its id
//! (KIP-516) tells the lives apart; rows of older archives and of older brokers
//! have none. Of those, a row belongs to a later life than all rows before it as
//! soon as one of them, or itself, has an offset that was there already.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::stream::Mark;

/// One life: a topic id, serial numbers of rows without one, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Life {
    topic_id: Option<Uuid>,
    /// Rows without a topic id, [from, to) by serial number.
    unnamed: Option<(i64, i64)>,
}

impl Life {
    pub fn has(&self, mark: &Mark) -> bool {
        match mark.topic_id {
            Some(id) => self.topic_id == Some(id),
            None => self
                .unnamed
                .is_some_and(|(from, to)| (from..to).contains(&mark.serial)),
        }
    }
}

/// Finds the lives of a partition whose marks come in the order of their offsets.
#[derive(Debug, Default)]
pub(super) struct LifeScan {
    offset: Option<i64>,
    /// Of the marks at that offset: serial numbers of those without a topic id,
    /// and the ids of the others.
    unnamed: Vec<i64>,
    ids: Vec<Uuid>,
    /// The smallest serial number of the first, second, … row without a topic id
    /// at any offset: where the first, second, … unnamed life begins.
    starts: Vec<i64>,
    named: BTreeMap<Uuid, Named>,
}

#[derive(Debug)]
struct Named {
    first_serial: i64,
    earliest: i64,
    /// The greatest serial number of a row without a topic id that has an offset
    /// of this life.
    shares_offset_with: Option<i64>,
}

impl LifeScan {
    pub fn add(&mut self, mark: &Mark) {
        if self.offset != Some(mark.offset) {
            self.close_offset();
            self.offset = Some(mark.offset);
        }
        let Some(id) = mark.topic_id else {
            self.unnamed.push(mark.serial);
            return;
        };
        self.ids.push(id);
        let named = self.named.entry(id).or_insert(Named {
            first_serial: mark.serial,
            earliest: mark.timestamp,
            shares_offset_with: None,
        });
        named.first_serial = named.first_serial.min(mark.serial);
        named.earliest = named.earliest.min(mark.timestamp);
    }

    fn close_offset(&mut self) {
        self.unnamed.sort_unstable();
        for (number, serial) in self.unnamed.iter().enumerate() {
            match self.starts.get_mut(number) {
                Some(start) => *start = (*start).min(*serial),
                None => self.starts.push(*serial),
            }
        }
        let last = self.unnamed.last().copied();
        for id in self.ids.drain(..) {
            if let Some(named) = self.named.get_mut(&id) {
                named.shares_offset_with = named.shares_offset_with.max(last);
            }
        }
        self.unnamed.clear();
    }

    /// Lives without a topic id come first. Serial numbers up to
    /// `rebuilt_through` come from a rebuild and say nothing: such lives are in
    /// the order of their earliest records. Only when all of a partition was
    /// scanned (`is_whole`) can it be told that the last life without a topic id
    /// and the first one with an id are the same.
    pub fn lives(mut self, rebuilt_through: i64, is_whole: bool) -> Vec<Life> {
        self.close_offset();
        let ends = self.starts.iter().skip(1).copied().chain([i64::MAX]);
        let mut lives: Vec<Life> = self
            .starts
            .iter()
            .zip(ends)
            .map(|(from, to)| Life {
                topic_id: None,
                unnamed: Some((*from, to)),
            })
            .collect();
        let mut named: Vec<(&Uuid, &Named)> = self.named.iter().collect();
        named.sort_by_key(|(id, named)| match named.first_serial <= rebuilt_through {
            true => (false, named.earliest, **id),
            false => (true, named.first_serial, **id),
        });
        for (number, (id, named)) in named.into_iter().enumerate() {
            // The life in which the archive began to know topic ids: no offset of
            // it is in the part before that too.
            let continued = lives.last_mut().filter(|last| {
                let from = last.unnamed.map_or(i64::MAX, |(from, _)| from);
                is_whole
                    && number == 0
                    && named.shares_offset_with.is_none_or(|serial| serial < from)
            });
            match continued {
                Some(last) => last.topic_id = Some(*id),
                None => lives.push(Life {
                    topic_id: Some(*id),
                    unnamed: None,
                }),
            }
        }
        lives
    }
}
