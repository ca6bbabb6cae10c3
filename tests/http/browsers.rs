//! What a browser is kept from: running what an answer repeats, changing anything
//! for a page of another site, and reaching this server by an attacker's name.

use std::io::Write;
use std::net::SocketAddr;

use crate::control::Control;
use crate::http::{self, Answer};
use crate::scene::{PASSWORD, Serving, USER, basic};

/// Asks with this Host header.
fn ask_as(address: SocketAddr, host: &str, method: &str, path: &str, headers: &[&str]) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    let mut stream = http::connect(address);
    stream
        .write_all(format!("{head}\r\n").as_bytes())
        .expect("it reads");
    http::read(&mut stream)
}

fn state(control: &Control) -> String {
    let status = control.ask("GET", "/status").with(200).json();
    let word = &status["topics"]["eha"]["Person"]["operating_status"];
    word.as_str().expect("a word").to_owned()
}

#[test]
fn answer_of_the_control_is_text_that_no_browser_runs() {
    let control = Control::normal();
    for (path, status) in [
        (
            "/pause?realm=%3Cscript%3Ealert(1)%3C/script%3E&topic=Person",
            422,
        ),
        (
            "/pause?realm=eha&topic=%3Cscript%3Ealert(1)%3C/script%3E",
            422,
        ),
        ("/pause?realm=eha&topic=Person", 200),
        ("/nowhere", 404),
    ] {
        let answer = control.ask("GET", path).with(status);
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
    }
}

#[test]
fn order_of_a_page_of_another_site_and_head_change_nothing() {
    let control = Control::normal();
    let path = "/pause?realm=eha&topic=Person";
    let known = basic(USER, PASSWORD);
    for header in [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Origin: https://evil.example",
        "Origin: null",
    ] {
        for method in ["GET", "POST"] {
            let headers = [known.as_str(), header];
            http::ask(control.address, method, path, &headers, None).with(403);
        }
    }
    let head = control.ask("HEAD", path).with(405);
    assert_eq!(head.header("allow"), Some("GET, POST, OPTIONS"));
    assert_eq!(state(&control), "TopicStatus.NORMAL");
    // Who types the address, a page of this server, and a script.
    for (path, header) in [
        (path, "Sec-Fetch-Site: none"),
        ("/resume?realm=eha&topic=Person", "Origin: http://localhost"),
        (path, "Accept: */*"),
    ] {
        let headers = [known.as_str(), header];
        http::ask(control.address, "GET", path, &headers, None).with(200);
    }
    assert_eq!(state(&control), "TopicStatus.PAUSED");
}

#[test]
fn unknown_host_name_is_refused() {
    let control = Control::normal();
    let order = "/pause?realm=eha&topic=Person";
    let known = basic(USER, PASSWORD);
    for path in ["/health", "/status", "/metrics", order] {
        let answer = ask_as(control.address, "evil.example:5005", "GET", path, &[&known]);
        let answer = answer.with(421);
        assert!(answer.text().contains("listen-hosts"), "{answer:?}");
    }
    assert_eq!(state(&control), "TopicStatus.NORMAL");
    for host in ["127.0.0.1:5005", "192.0.2.1", "[::1]:5005", "localhost:1"] {
        ask_as(control.address, host, "GET", "/health", &[]).with(200);
    }
}

#[test]
fn configured_host_name_reaches_the_archive_and_others_do_not() {
    let mut place = crate::support::Place::embedded();
    place.run_to_end();
    place.set("listen", "listen-hosts", "\"archive.example.org\"");
    let serving = Serving::of(place);
    let ask = |host: &str| ask_as(serving.address, host, "GET", "/topics", &[]);
    ask("archive.example.org").with(200);
    ask("evil.example").with(421);
}

#[test]
fn upload_and_retraction_from_a_page_of_another_site_are_refused() {
    let serving = Serving::with_credential();
    let uuid = serving.archived()[0].row.uuid;
    let known = basic(USER, PASSWORD);
    let retraction = format!("/msg/{uuid}/retraction");
    for (method, path) in [("PUT", retraction.as_str()), ("POST", "/topic/t")] {
        let headers = [known.as_str(), "Sec-Fetch-Site: cross-site"];
        http::ask(serving.address, method, path, &headers, Some(b"")).with(403);
    }
    assert!(serving.archived().iter().all(|one| !one.row.retracted));
    let answer = http::ask(serving.address, "PUT", &retraction, &[&known], Some(b""));
    assert!(answer.status < 300, "{answer:?}");
}
