//! An archive, and the program serving it.

use std::net::SocketAddr;

use archive_ingest::config::{HttpCredential, ListenAddress};

use crate::http::{self, Answer};
use crate::support::{Archived, Place, Process};

pub const USER: &str = "reader";
pub const PASSWORD: &str = "correct horse";

/// `serve` on an archive.
pub struct Serving {
    pub place: Place,
    pub process: Process,
    pub address: SocketAddr,
}

impl Serving {
    /// The known data, archived from the broker inside the process.
    pub fn known_data() -> Self {
        let place = Place::embedded();
        place.run_to_end();
        Self::of(place)
    }

    /// `serve` in this place, on a free port.
    pub fn of(mut place: Place) -> Self {
        place.set("listen", "api-listen", "\"127.0.0.1:0\"");
        let process = place.start(&["serve"]);
        let address = address(&process, "archive API on http://");
        Self {
            place,
            process,
            address,
        }
    }

    /// With a credential, and uploads switched on.
    pub fn with_credential() -> Self {
        let mut place = Place::embedded();
        place.set("hop", "hop-public-topics", "[\"known.h*\", \"open\"]");
        place.run_to_end();
        give_credential(&mut place);
        Self::of(place)
    }

    pub fn get(&self, path: &str) -> Answer {
        http::get(self.address, path)
    }

    pub fn get_with(&self, path: &str, headers: &[&str]) -> Answer {
        http::ask(self.address, "GET", path, headers, None)
    }

    /// As who knows the password.
    pub fn get_known(&self, path: &str) -> Answer {
        self.get_with(path, &[&basic(USER, PASSWORD)])
    }

    pub fn archived(&self) -> Vec<Archived> {
        self.place.archived()
    }
}

pub fn give_credential(place: &mut Place) {
    place.variable("API_USERNAME", USER);
    place.variable("API_PASSWORD", PASSWORD);
    place.set("listen", "api-uploads", "true");
}

/// Where a process says that it listens.
pub fn address(process: &Process, what: &str) -> SocketAddr {
    let line = process.line_with(what);
    let (_, address) = line.split_once("http://").expect("a URL");
    address.trim().parse().expect("an address")
}

pub fn basic(username: &str, password: &str) -> String {
    use base64::Engine;
    let text = format!("{username}:{password}");
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    format!("Authorization: Basic {text}")
}

/// An address for services that are made within the test.
pub fn any_port() -> ListenAddress {
    ListenAddress {
        host: "127.0.0.1".to_owned(),
        port: 0,
        is_given: true,
    }
}

pub fn credential() -> HttpCredential {
    HttpCredential {
        username: USER.to_owned(),
        password: PASSWORD.to_owned(),
    }
}
