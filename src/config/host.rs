//! A broker's address as people write it.

use std::fmt;

/// A broker's address; an IPv6 address keeps its brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub name: String,
    pub port: u16,
}

impl Host {
    /// `name`, `name:port`, `[address]` or `[address]:port`; the error says
    /// what is wrong and what to do.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, String> {
        let (name, port) = match split_port(text) {
            (name, None) => (name, default_port),
            (name, Some(port)) => match port.parse() {
                Ok(port) if port > 0 => (name, port),
                _ => return Err(format!("{text:?} must end in a port from 1 to 65535")),
            },
        };
        let address = name
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let sound = match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !name.is_empty() && name.chars().all(legal),
        };
        if !sound {
            return Err(format!(
                "{text:?} is not a host: write it like kafka.example.org, \
                 kafka.example.org:9092 or [::1]:9092"
            ));
        }
        Ok(Host {
            name: name.to_owned(),
            port,
        })
    }
}

/// What stands in front of the last colon outside of brackets, and behind it.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.name, self.port)
    }
}
