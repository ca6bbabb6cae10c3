//! SCRAM-SHA-256 and SCRAM-SHA-512 over HTTP: RFC 7804, RFC 5802, RFC 7677.
//!
//! The server keeps nothing for a handshake that is under way: what it needs
//! again goes to the client and comes back in `sid`, sealed. Only a handshake
//! that has succeeded is remembered, for as long as its seal holds, so that it
//! succeeds once: whoever has not proved the password costs no memory.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::digest::{Digest, OutputSizeUser};
use hmac::{Hmac, Mac};
use hyper::header::HeaderValue;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::config::HttpCredential;

/// As RFC 7677 asks for at least.
const ITERATIONS: u32 = 4096;

/// Seconds that a handshake may take. It is begun for each request, and a
/// large upload follows the last step in the same request.
const PATIENCE: u64 = 60;

/// Of a user name or a nonce.
const LONGEST: usize = 1024;

/// What one `Authorization` header leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The credential is right; the server's own proof.
    Known(Option<HeaderValue>),
    /// Not yet: the client has to answer this.
    Challenge(HeaderValue),
    Wrong,
}

/// One credential, for both mechanisms.
pub struct Scram {
    username: String,
    sha256: Keys<Sha256>,
    sha512: Keys<Sha512>,
    /// Of this process: seals `sid` and makes salts.
    secret: [u8; 32],
    /// Nonces of handshakes that succeeded, and when their seals end.
    spent: Mutex<HashMap<String, u64>>,
}

/// What the server needs of the password (RFC 5802, section 3).
struct Keys<D: OutputSizeUser> {
    salt: [u8; 16],
    stored: Vec<u8>,
    server: Vec<u8>,
    hash: std::marker::PhantomData<D>,
}

/// The hash functions that a mechanism can have.
trait Hash: Digest + OutputSizeUser {
    const MECHANISM: &'static str;

    fn hmac(key: &[u8], message: &[u8]) -> Vec<u8>;

    /// `Hi` of RFC 5802, which is PBKDF2 with one block.
    fn salted(password: &[u8], salt: &[u8]) -> Vec<u8>;
}

macro_rules! hash {
    ($hash:ty, $mechanism:literal, $size:literal) => {
        impl Hash for $hash {
            const MECHANISM: &'static str = $mechanism;

            fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
                // HMAC takes keys of any length.
                let Ok(mut mac) = Hmac::<$hash>::new_from_slice(key) else {
                    return vec![];
                };
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }

            fn salted(password: &[u8], salt: &[u8]) -> Vec<u8> {
                pbkdf2::pbkdf2_hmac_array::<$hash, $size>(password, salt, ITERATIONS).to_vec()
            }
        }
    };
}
hash!(Sha256, "SCRAM-SHA-256", 32);
hash!(Sha512, "SCRAM-SHA-512", 64);

impl<D: Hash> Keys<D> {
    fn new(password: &str, secret: &[u8; 32], username: &str) -> Self {
        let salt = salt::<D>(secret, username);
        let salted = D::salted(password.as_bytes(), &salt);
        let client = D::hmac(&salted, b"Client Key");
        Self {
            salt,
            stored: D::digest(&client).to_vec(),
            server: D::hmac(&salted, b"Server Key"),
            hash: std::marker::PhantomData,
        }
    }
}

/// Of any name, always the same: a stranger does not see which ones exist.
fn salt<D: Hash>(secret: &[u8; 32], username: &str) -> [u8; 16] {
    let made = Sha256::hmac(secret, format!("{}:{username}", D::MECHANISM).as_bytes());
    let mut salt = [0; 16];
    salt.copy_from_slice(&made[..16]);
    salt
}

impl Scram {
    pub fn new(credential: &HttpCredential) -> Self {
        let secret: [u8; 32] = rand::random();
        let username = prepared(&credential.username).into_owned();
        let password = prepared(&credential.password);
        Self {
            sha256: Keys::new(&password, &secret, &username),
            sha512: Keys::new(&password, &secret, &username),
            username,
            secret,
            spent: Mutex::default(),
        }
    }

    /// What follows from an `Authorization` header of this scheme.
    pub fn step(&self, scheme: &str, parameters: &str) -> Step {
        let step = if scheme.eq_ignore_ascii_case(Sha512::MECHANISM) {
            self.step_with(&self.sha512, parameters)
        } else if scheme.eq_ignore_ascii_case(Sha256::MECHANISM) {
            self.step_with(&self.sha256, parameters)
        } else {
            None
        };
        step.unwrap_or(Step::Wrong)
    }

    fn step_with<D: Hash>(&self, keys: &Keys<D>, parameters: &str) -> Option<Step> {
        let parameters = Parameters::parse(parameters)?;
        let data = STANDARD.decode(parameters.data).ok()?;
        let data = std::str::from_utf8(&data).ok()?;
        match parameters.sid {
            None => self.first(keys, data),
            Some(sid) => self.last(keys, sid, data),
        }
    }

    /// The client's first message: its name and a nonce.
    fn first<D: Hash>(&self, keys: &Keys<D>, message: &str) -> Option<Step> {
        // No channel binding, and nobody asks in another's name.
        let bare = message
            .strip_prefix("n,,")
            .or_else(|| message.strip_prefix("y,,"))?;
        let (name, nonce) = bare.strip_prefix("n=")?.split_once(",r=")?;
        let is_nonce = nonce.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if nonce.is_empty() || !is_nonce || bare.len() > LONGEST {
            return None;
        }
        let salt = match unescaped(name) == self.username {
            true => keys.salt,
            false => salt::<D>(&self.secret, name),
        };
        let own: [u8; 18] = rand::random();
        let answer = format!(
            "r={nonce}{},s={},i={ITERATIONS}",
            URL_SAFE_NO_PAD.encode(own),
            STANDARD.encode(salt)
        );
        let sid = self.seal::<D>(now() + PATIENCE, bare, &answer);
        let data = STANDARD.encode(&answer);
        HeaderValue::try_from(format!("{} sid={sid},data={data}", D::MECHANISM))
            .ok()
            .map(Step::Challenge)
    }

    /// The client's last message: the proof.
    fn last<D: Hash>(&self, keys: &Keys<D>, sid: &str, message: &str) -> Option<Step> {
        let Handshake {
            ends,
            first,
            answer,
        } = self.unseal::<D>(sid)?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let (binding, nonce) = without_proof.split_once(",r=")?;
        let expected_nonce = answer.strip_prefix("r=")?.split(',').next()?;
        // The client repeats what it said of channel binding.
        let is_whole = ["c=biws", "c=eSws"].contains(&binding) && nonce == expected_nonce;
        let signed = format!("{first},{answer},{without_proof}");
        let signature = D::hmac(&keys.stored, signed.as_bytes());
        let proof = STANDARD.decode(proof).ok()?;
        if proof.len() != signature.len() {
            return None;
        }
        let client: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let is_right = bool::from(D::digest(&client).ct_eq(&keys.stored[..]));
        let name = first.strip_prefix("n=")?.split(",r=").next()?;
        let is_user = bool::from(unescaped(name).as_bytes().ct_eq(self.username.as_bytes()));
        if !(is_whole && is_right && is_user && self.spend(nonce, ends)) {
            return None;
        }
        let own = D::hmac(&keys.server, signed.as_bytes());
        let data = STANDARD.encode(format!("v={}", STANDARD.encode(own)));
        let proof = HeaderValue::try_from(format!("sid={sid},data={data}")).ok();
        Some(Step::Known(proof))
    }

    /// Whether this handshake succeeds for the first time.
    fn spend(&self, nonce: &str, ends: u64) -> bool {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        spent.retain(|_, ends| *ends >= now);
        spent.insert(nonce.to_owned(), ends).is_none()
    }

    fn seal<D: Hash>(&self, ends: u64, first: &str, answer: &str) -> String {
        let content = format!("{}\n{ends}\n{first}\n{answer}", D::MECHANISM);
        let mut sealed = Sha256::hmac(&self.secret, content.as_bytes());
        sealed.extend_from_slice(content.as_bytes());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    fn unseal<D: Hash>(&self, sid: &str) -> Option<Handshake> {
        let sealed = URL_SAFE_NO_PAD.decode(sid).ok()?;
        let (seal, content) = sealed.split_at_checked(32)?;
        if !bool::from(Sha256::hmac(&self.secret, content).ct_eq(seal)) {
            return None;
        }
        let mut lines = std::str::from_utf8(content).ok()?.splitn(4, '\n');
        let mechanism = lines.next()?;
        let handshake = Handshake {
            ends: lines.next()?.parse().ok()?,
            first: lines.next()?.to_owned(),
            answer: lines.next()?.to_owned(),
        };
        (mechanism == D::MECHANISM && handshake.ends >= now()).then_some(handshake)
    }
}

/// What was said before.
struct Handshake {
    /// Seconds since 1970-01-01 UTC.
    ends: u64,
    /// The client's first message, without what it said of channel binding.
    first: String,
    answer: String,
}

/// `sid=…,data=…`, in any order, with or without quotes.
struct Parameters<'a> {
    sid: Option<&'a str>,
    data: &'a str,
}

impl<'a> Parameters<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (mut sid, mut data) = (None, None);
        for part in text.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            let value = value.trim_matches('"');
            match name.to_ascii_lowercase().as_str() {
                "sid" => sid = Some(value),
                "data" => data = Some(value),
                _ => {}
            }
        }
        Some(Self { sid, data: data? })
    }
}

/// A name with its commas and equals signs (RFC 5802, section 5.1).
fn unescaped(name: &str) -> String {
    name.replace("=2C", ",").replace("=3D", "=")
}

/// RFC 4013; what it does not allow stays as it is.
fn prepared(text: &str) -> Cow<'_, str> {
    stringprep::saslprep(text).unwrap_or(Cow::Borrowed(text))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scram() -> Scram {
        Scram::new(&HttpCredential {
            username: "user,=é".to_owned(),
            password: "pencil".to_owned(),
        })
    }

    fn encoded(message: &str) -> String {
        STANDARD.encode(message)
    }

    /// The server's answer to a first message: sid and text.
    fn begin<D: Hash>(scram: &Scram, name: &str) -> (String, String) {
        let data = encoded(&format!("n,,n={name},r=abc"));
        let Step::Challenge(header) = scram.step(D::MECHANISM, &format!("data={data}")) else {
            panic!("no challenge");
        };
        let header = header.to_str().expect("text");
        let parameters = header.strip_prefix(D::MECHANISM).expect("its own scheme");
        let parameters = Parameters::parse(parameters.trim()).expect("sid and data");
        let answer = STANDARD.decode(parameters.data).expect("base64");
        let answer = String::from_utf8(answer).expect("text");
        (parameters.sid.expect("a sid").to_owned(), answer)
    }

    /// What a client answers that believes in `password`; and what it expects
    /// of the server.
    fn finish<D: Hash>(name: &str, password: &str, answer: &str) -> (String, String) {
        let part = |key: &str| {
            let mut parts = answer.split(',');
            parts
                .find_map(|part| part.strip_prefix(key))
                .expect("a part")
                .to_owned()
        };
        let salt = STANDARD.decode(part("s=")).expect("base64");
        let salted = D::salted(password.as_bytes(), &salt);
        let client = D::hmac(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={}", part("r="));
        let signed = format!("n={name},r=abc,{answer},{without_proof}");
        let signature = D::hmac(&D::digest(&client), signed.as_bytes());
        let proof: Vec<u8> = client.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let message = format!("{without_proof},p={}", STANDARD.encode(proof));
        let server = D::hmac(&D::hmac(&salted, b"Server Key"), signed.as_bytes());
        (
            encoded(&message),
            encoded(&format!("v={}", STANDARD.encode(server))),
        )
    }

    fn handshake_succeeds_once<D: Hash>() {
        let (scram, name) = (scram(), "user=2C=3Dé");
        let (sid, answer) = begin::<D>(&scram, name);
        let (message, server) = finish::<D>(name, "pencil", &answer);
        let last = format!("sid={sid},data={message}");
        let proof = format!("sid={sid},data={server}");
        let known = Step::Known(Some(HeaderValue::try_from(proof).expect("text")));
        assert_eq!(scram.step(D::MECHANISM, &last), known);
        assert_eq!(scram.step(D::MECHANISM, &last), Step::Wrong, "said again");
    }

    #[test]
    fn who_knows_the_password_is_known_once_for_each_handshake() {
        handshake_succeeds_once::<Sha256>();
        handshake_succeeds_once::<Sha512>();
    }

    #[test]
    fn a_wrong_password_name_or_seal_is_refused() {
        let (scram, name) = (scram(), "user=2C=3Dé");
        let last = |name: &str, password: &str| {
            let (sid, answer) = begin::<Sha512>(&scram, name);
            (sid, finish::<Sha512>(name, password, &answer).0)
        };
        let step = |sid: &str, data: &str| {
            scram.step(Sha512::MECHANISM, &format!("sid={sid},data={data}"))
        };
        let (sid, data) = last(name, "Pencil");
        assert_eq!(step(&sid, &data), Step::Wrong);
        let (sid, data) = last("other", "pencil");
        assert_eq!(step(&sid, &data), Step::Wrong);
        let (sid, data) = last(name, "pencil");
        let other_letter = if sid.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{other_letter}{}", &sid[1..]);
        assert_eq!(step(&forged, &data), Step::Wrong);
        let other = scram.step(Sha256::MECHANISM, &format!("sid={sid},data={data}"));
        assert_eq!(other, Step::Wrong);
        assert!(matches!(step(&sid, &data), Step::Known(_)));
    }

    #[test]
    fn a_name_that_does_not_exist_looks_like_one_that_does() {
        let scram = scram();
        let salt_of = |name| {
            let (_, answer) = begin::<Sha512>(&scram, name);
            answer.split(",s=").nth(1).expect("a salt").to_owned()
        };
        assert_eq!(salt_of("stranger"), salt_of("stranger"));
        assert_ne!(salt_of("stranger"), salt_of("other"));
    }

    /// RFC 7677, section 3.
    #[test]
    fn the_keys_are_those_of_the_published_example() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let salted = Sha256::salted(b"pencil", &salt);
        let signed = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                      r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                      s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                      c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server = Sha256::hmac(&Sha256::hmac(&salted, b"Server Key"), signed.as_bytes());
        assert_eq!(
            STANDARD.encode(server),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }
}
