//! From which site a request comes, and whether it names this server: a browser
//! asks on behalf of whatever page it shows.

use std::net::{IpAddr, Ipv6Addr};

use hyper::StatusCode;
use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::http::request::Parts;

use super::problem::Problem;

/// What a browser says of the page that asks
/// (<https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Host names that requests may name. An attacker's own name that resolves to
/// this address (DNS rebinding) makes this server part of the attacker's site,
/// and is refused. IP addresses and localhost cannot be an attacker's name.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    names: Vec<String>,
}

impl KnownHosts {
    /// `*` among the names is any.
    pub fn new(names: &[String]) -> Self {
        Self {
            names: names.to_vec(),
        }
    }

    /// Errors: 400 for several hosts, 421 for one that is not known.
    pub(super) fn check(&self, parts: &Parts) -> Result<(), Problem> {
        if parts.headers.get_all(HOST).iter().count() > 1 {
            return Err(Problem::bad_request("there is more than one Host header"));
        }
        // A client that names no host is no browser.
        let Some(host) = host(parts).filter(|host| !host.is_empty()) else {
            return Ok(());
        };
        match self.is_known(&host) {
            true => Ok(()),
            false => Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "this host name is not known here: use the IP address, or add the name to \
                 listen-hosts in [listen]",
            )),
        }
    }

    /// Whether a page of another site asks. Clients that are no browsers send
    /// neither header.
    pub(super) fn is_cross_site(&self, parts: &Parts) -> bool {
        let site = parts.headers.get(SEC_FETCH_SITE);
        if site.is_some_and(|site| site != "same-origin" && site != "none") {
            return true;
        }
        let Some(origin) = parts.headers.get(ORIGIN) else {
            return false;
        };
        let authority = origin.to_str().ok().and_then(|origin| {
            let (_, authority) = origin.split_once("://")?;
            Some(authority.to_owned())
        });
        let Some(authority) = authority else {
            return true;
        };
        let is_own = host(parts).is_some_and(|host| host.eq_ignore_ascii_case(&authority));
        // A reverse proxy may have replaced the host.
        !is_own && !self.is_named(name_of(&authority))
    }

    fn is_known(&self, host: &str) -> bool {
        if let Some(rest) = host.strip_prefix('[') {
            let address = rest.split_once(']').map_or("", |(address, _)| address);
            return address.parse::<Ipv6Addr>().is_ok();
        }
        let name = name_of(host);
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|known| known == "*")
            || self.is_named(name)
    }

    fn is_named(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Without the port and the dot at its end.
fn name_of(host: &str) -> &str {
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name.strip_suffix('.').unwrap_or(name)
}

fn host(parts: &Parts) -> Option<String> {
    if let Some(authority) = parts.uri.authority() {
        return Some(authority.as_str().to_owned());
    }
    of_header(&parts.headers)
}

/// What is not text is no known name.
fn of_header(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(HOST)?;
    Some(host.to_str().unwrap_or("?").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = hyper::Request::builder().uri("/pause");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn known() -> KnownHosts {
        KnownHosts::new(&["archive.example.org".to_owned()])
    }

    #[test]
    fn addresses_localhost_and_configured_names_are_known() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:5005",
            "192.0.2.7:80",
            "[::1]:5005",
            "[::1]",
            "localhost",
            "LOCALHOST:8000",
            "localhost.",
            "archive.example.org",
            "Archive.Example.Org:443",
            "",
        ] {
            known().check(&parts(&[("host", host)])).expect(host);
        }
        known().check(&parts(&[])).expect("no browser");
        for host in [
            "evil.example",
            "localhost.evil.example:5005",
            "127.0.0.1.evil.example",
            "[x]:80",
            "example.org",
            "127.0.0.1@evil.example",
            "archive.example.org.evil.example",
        ] {
            assert!(known().check(&parts(&[("host", host)])).is_err(), "{host}");
        }
        assert!(
            known()
                .check(&parts(&[("host", "a"), ("host", "localhost")]))
                .is_err()
        );
        let any = KnownHosts::new(&["*".to_owned()]);
        any.check(&parts(&[("host", "evil.example")])).expect("any");
    }

    #[test]
    fn pages_of_other_sites_are_told_from_own_ones_and_from_programs() {
        let host = ("host", "localhost:5005");
        for (headers, is_cross) in [
            (vec![], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("sec-fetch-site", "same-site")], true),
            (vec![("sec-fetch-site", "cross-site")], true),
            (vec![("origin", "http://localhost:5005")], false),
            (vec![("origin", "http://localhost:3000")], true),
            (vec![("origin", "https://archive.example.org")], false),
            (vec![("origin", "https://evil.example")], true),
            (vec![("origin", "null")], true),
        ] {
            let all: Vec<_> = headers.iter().copied().chain([host]).collect();
            assert_eq!(known().is_cross_site(&parts(&all)), is_cross, "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn no_name_of_a_host_makes_it_panic_or_passes(host in "[a-z\\[\\]:@.]{1,30}") {
            let is_known = known().is_known(&host);
            let name = name_of(&host);
            let is_own = name == "localhost" || host.starts_with('[');
            prop_assert!(!is_known || is_own || name.parse::<IpAddr>().is_ok());
        }
    }
}
