//! RFC 7617.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::HttpCredential;

/// The right `username:password`, hashed, so that comparing takes as long
/// whatever the length of what is compared.
pub struct Basic([u8; 32]);

impl Basic {
    pub fn new(credential: &HttpCredential) -> Self {
        let HttpCredential { username, password } = credential;
        Self(hash(format!("{username}:{password}").as_bytes()))
    }

    pub fn is_right(&self, shown: &str) -> bool {
        let shown = STANDARD.decode(shown).unwrap_or_default();
        hash(&shown).ct_eq(&self.0).into()
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
