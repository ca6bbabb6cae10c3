//! What is remembered of an entity that was sent.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::entities::Position;

/// Bytes of a mark.
pub const MARK_BYTES: usize = 8;

/// The first eight bytes of SHA-256 over id and `modified`. Two of a million
/// entities share one with a chance of 1 in 37 million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub [u8; MARK_BYTES]);

impl Mark {
    pub fn of(id: &Uuid, modified: &Position) -> Self {
        let digest = Sha256::new()
            .chain_update(id.as_bytes())
            .chain_update(modified.as_str().as_bytes())
            .finalize();
        let mut mark = [0; MARK_BYTES];
        mark.copy_from_slice(&digest[..MARK_BYTES]);
        Self(mark)
    }

    /// Marks one after another.
    pub fn join(marks: &[Mark]) -> Vec<u8> {
        marks.iter().flat_map(|mark| mark.0).collect()
    }

    /// The inverse of [`Mark::join`]; what is left over is left out.
    pub fn split(bytes: &[u8]) -> impl Iterator<Item = Mark> {
        let (whole, _) = bytes.as_chunks::<MARK_BYTES>();
        whole.iter().map(|mark| Mark(*mark))
    }
}
