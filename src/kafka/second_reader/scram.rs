//! The client's side of SCRAM (RFC 5802, without channel binding).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// A server that asks for more iterations is not believed.
const MAX_ITERATIONS: u32 = 1_000_000;

/// One authentication: [`Scram::first`], [`Scram::last`], [`Scram::confirm`].
pub(super) struct Scram<'a> {
    username: &'a str,
    password: &'a str,
    is_512: bool,
    nonce: String,
    server_signature: Vec<u8>,
}

impl<'a> Scram<'a> {
    pub fn new(username: &'a str, password: &'a str, is_512: bool) -> Self {
        Self {
            username,
            password,
            is_512,
            nonce: STANDARD.encode(rand::random::<[u8; 24]>()),
            server_signature: vec![],
        }
    }

    fn first_bare(&self) -> String {
        let username = self.username.replace('=', "=3D").replace(',', "=2C");
        format!("n={username},r={}", self.nonce)
    }

    /// The client's first message.
    pub fn first(&self) -> String {
        format!("n,,{}", self.first_bare())
    }

    /// The client's last message, the answer to the server's first.
    pub fn last(&mut self, server_first: &[u8]) -> Result<String, String> {
        let wrong = || "the broker's SCRAM challenge cannot be read".to_owned();
        let text = std::str::from_utf8(server_first).map_err(|_| wrong())?;
        let field = |name: &str| {
            let mut fields = text.split(',');
            fields.find_map(|field| field.strip_prefix(name))
        };
        let nonce = field("r=").ok_or_else(wrong)?;
        let salt = STANDARD.decode(field("s=").ok_or_else(wrong)?);
        let salt = salt.map_err(|_| wrong())?;
        let iterations: u32 = field("i=").and_then(|i| i.parse().ok()).ok_or_else(wrong)?;
        if !nonce.starts_with(&self.nonce) || !(1..=MAX_ITERATIONS).contains(&iterations) {
            return Err(wrong());
        }
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{text},{without_proof}", self.first_bare());
        let mut salted = vec![0; if self.is_512 { 64 } else { 32 }];
        let password = self.password.as_bytes();
        if self.is_512 {
            pbkdf2::pbkdf2_hmac::<Sha512>(password, &salt, iterations, &mut salted);
        } else {
            pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, iterations, &mut salted);
        }
        let client_key = self.mac(&salted, b"Client Key")?;
        let stored_key = match self.is_512 {
            true => Sha512::digest(&client_key).to_vec(),
            false => Sha256::digest(&client_key).to_vec(),
        };
        let signature = self.mac(&stored_key, signed.as_bytes())?;
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(k, s)| k ^ s)
            .collect();
        let server_key = self.mac(&salted, b"Server Key")?;
        self.server_signature = self.mac(&server_key, signed.as_bytes())?;
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Whether the server knows the password too.
    pub fn confirm(&self, server_last: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(server_last);
        let mut fields = text.split(',');
        let signature = fields
            .find_map(|field| field.strip_prefix("v="))
            .and_then(|encoded| STANDARD.decode(encoded).ok());
        match signature {
            Some(signature) if bool::from(signature.ct_eq(&self.server_signature)) => Ok(()),
            _ => Err("the broker did not prove that it knows the password".to_owned()),
        }
    }

    fn mac(&self, key: &[u8], message: &[u8]) -> Result<Vec<u8>, String> {
        if self.is_512 {
            let mac = Hmac::<Sha512>::new_from_slice(key).map_err(|error| error.to_string())?;
            Ok(mac.chain_update(message).finalize().into_bytes().to_vec())
        } else {
            let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string())?;
            Ok(mac.chain_update(message).finalize().into_bytes().to_vec())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677.
    #[test]
    fn scram_sha_256_gives_the_proof_of_the_rfc() {
        let mut scram = Scram::new("user", "pencil", false);
        scram.nonce = "rOprNGfwEbeRWgbNEkqO".into();
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let last = scram.last(
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        );
        assert_eq!(
            last.as_deref(),
            Ok(
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
            )
        );
        let confirmed = scram.confirm(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(confirmed, Ok(()));
        assert!(scram.confirm(b"v=AAAA").is_err());
        assert!(scram.confirm(b"e=other-error").is_err());
    }

    #[test]
    fn foreign_nonce_is_refused() {
        let mut scram = Scram::new("user", "pencil", true);
        assert!(scram.last(b"r=other,s=AAAA,i=4096").is_err());
    }
}
