//! Values as files and variables spell them.

use std::path::PathBuf;

use crate::support::broker::{Access, Credential};

/// The file of `hop-local-auth`.
pub fn auth_file(address: &str, access: Access, credential: &Credential) -> String {
    let Credential {
        username,
        password,
        ca,
    } = credential;
    let (protocol, mechanism) = match access {
        Access::SaslPlaintext(mechanism) => ("SASL_PLAINTEXT", mechanism),
        Access::SaslSsl(mechanism) => ("SASL_SSL", mechanism),
        Access::Plaintext => unreachable!("PLAINTEXT has no credential"),
    };
    format!(
        "[[auth]]\nusername = {username:?}\npassword = {password:?}\nhostname = {address:?}\n\
         protocol = {protocol:?}\nmechanism = {mechanism:?}\nssl_ca_location = {ca:?}\n"
    )
}

pub fn quoted(text: &str) -> String {
    format!("{text:?}")
}

pub fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().expect("UTF-8")
}

/// A value of the configuration as the environment has it.
pub fn as_variable(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(list) => {
            let words: Vec<String> = list.iter().map(as_variable).collect();
            words.join(",")
        }
        toml::Value::Table(table) => {
            let pairs: Vec<String> = table
                .iter()
                .map(|(name, value)| format!("{name}={}", as_variable(value)))
                .collect();
            pairs.join(",")
        }
        other => other.to_string(),
    }
}
