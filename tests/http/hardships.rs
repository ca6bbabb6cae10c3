//! Clients that are slow, many, or send without end; and the end of it all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::http;
use crate::scene::{PASSWORD, Serving, USER, address, basic};
use crate::support::Place;

#[test]
fn five_hundred_connections_that_say_nothing_hold_nobody_up_and_are_closed() {
    let serving = Serving::known_data();
    let mut silent: Vec<TcpStream> = (0..500).map(|_| http::connect(serving.address)).collect();
    // Some begin a request and never end it.
    for stream in silent.iter_mut().step_by(2) {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: ")
            .expect("it reads");
    }
    for _ in 0..20 {
        serving.get("/health_check").with(200);
    }
    for stream in &mut silent {
        // Closed from the other side, perhaps after a word of why.
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

#[test]
fn five_hundred_requests_at_once_are_all_answered() {
    let serving = Serving::known_data();
    let mut streams: Vec<TcpStream> = (0..500).map(|_| http::connect(serving.address)).collect();
    for stream in &mut streams {
        let request = b"GET /messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).expect("it reads");
    }
    let bodies: Vec<Vec<u8>> = streams
        .iter_mut()
        .map(|s| http::read(s).with(200).body)
        .collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

#[test]
fn a_client_that_does_not_read_holds_nobody_up() {
    let serving = Serving::known_data();
    let mut deaf: Vec<TcpStream> = (0..40).map(|_| http::connect(serving.address)).collect();
    for stream in &mut deaf {
        // More answers than the sockets hold, one behind the other.
        for _ in 0..20 {
            let _ = stream.write_all(b"GET /messages HTTP/1.1\r\nHost: localhost\r\n\r\n");
        }
    }
    for _ in 0..20 {
        serving.get("/messages").with(200);
    }
}

#[test]
fn a_body_of_a_gigabyte_is_refused_unread_wherever_it_is_sent() {
    let serving = Serving::with_credential();
    let before = serving.process.memory();
    let requests = [
        ("POST", "/topic/t", 413),
        ("POST", "/api/topic/range", 413),
        ("GET", "/topics", 200),
    ];
    for (method, path, status) in requests {
        let mut stream = http::connect(serving.address);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{}\r\nContent-Length: 1073741824\r\nConnection: close\r\n\r\n",
            basic(USER, PASSWORD)
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        assert_eq!(http::read(&mut stream).status, status, "{method} {path}");
    }
    // Without saying how much: as much as is taken, and no more.
    let mut stream = http::connect(serving.address);
    let head = format!(
        "POST /topic/t HTTP/1.1\r\nHost: localhost\r\n{}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        basic(USER, PASSWORD)
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut chunk = b"100000\r\n".to_vec();
    chunk.resize(chunk.len() + 0x10_0000, b'x');
    chunk.extend(b"\r\n");
    let sent = (0..1024)
        .take_while(|_| stream.write_all(&chunk).is_ok())
        .count();
    assert!(sent < 1024, "all of it was read");
    let grown = serving.process.memory().saturating_sub(before);
    assert!(grown < 300 << 20, "{grown} bytes more");
}

#[test]
fn a_body_that_comes_a_byte_at_a_time_is_given_up() {
    let serving = Serving::with_credential();
    let mut stream = http::connect(serving.address);
    let head = format!(
        "POST /topic/t HTTP/1.1\r\nHost: localhost\r\n{}\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n",
        basic(USER, PASSWORD)
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a socket");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut answer = [0; 12];
    while stream.read_exact(&mut answer).is_err() {
        assert!(Instant::now() < deadline, "never given up");
        let _ = stream.write_all(b"x");
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[test]
fn a_signal_ends_it_in_good_order_with_an_answer_under_way_whole() {
    let serving = Serving::known_data();
    let largest = serving
        .archived()
        .into_iter()
        .max_by_key(|m| m.row.size)
        .expect("some");
    let mut stream = http::connect(serving.address);
    let request = format!(
        "GET /msg/{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        largest.row.uuid
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut begun = [0; 100];
    stream.read_exact(&mut begun).expect("it answers");
    serving.process.signal("TERM");
    let mut rest = begun.to_vec();
    stream.read_to_end(&mut rest).expect("closed in good order");
    let end = rest
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .expect("a head");
    assert_eq!(rest.len() - end - 4, largest.row.size as usize);
    let ended = serving.process.ended().clean();
    assert!(
        ended.stdout.contains("archive API: http://127.0.0.1:"),
        "{ended}"
    );
}

#[test]
fn run_answers_while_it_archives_and_ends_when_it_is_told_to() {
    let mut place = Place::embedded();
    place.set("listen", "api-listen", "\"127.0.0.1:0\"");
    place.set("listen", "producer-listen", "\"127.0.0.1:0\"");
    let process = place.start(&["run"]);
    let api = address(&process, "archive API on http://");
    let control = address(&process, "control on http://");
    let deadline = Instant::now() + Duration::from_secs(60);
    let count = || {
        http::get(api, "/messages/count")
            .with(200)
            .bson()
            .get_i32("count")
            .expect("a number")
    };
    while count() < 20 {
        assert!(Instant::now() < deadline, "nothing is archived");
        std::thread::sleep(Duration::from_millis(20));
    }
    http::get(control, "/livez").with(200);
    http::get(control, "/readyz").with(200);
    let metrics = http::get(control, "/metrics").with(200).text();
    assert!(
        metrics.contains("archive_messages_total{topic=\"known."),
        "{metrics}"
    );
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    process.signal("TERM");
    process.ended().clean();
}

#[test]
fn metrics_tell_when_verify_ran_and_what_it_found_whoever_ran_it() {
    let mut place = Place::embedded();
    place.run_to_end();
    let gone = place.object_keys().swap_remove(0);
    place.objects().delete(&gone);
    let verified = place.run(&["verify", "--deep"]);
    assert_eq!(verified.code, Some(1), "{verified}");
    place.set("listen", "producer-listen", "\"127.0.0.1:0\"");
    let process = place.start(&["run"]);
    let control = address(&process, "control on http://");
    let deadline = Instant::now() + Duration::from_secs(60);
    let metrics = loop {
        let metrics = http::get(control, "/metrics").with(200).text();
        if metrics.contains("archive_verify_defects{") {
            break metrics;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        std::thread::sleep(Duration::from_millis(20));
    };
    for line in [
        "archive_verify_defects{options=\"--deep\",kind=\"missing_object\"} 1\n",
        "archive_verify_defects_left{options=\"--deep\"} 1\n",
        "archive_verify_finished_timestamp_seconds{options=\"--deep\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    process.signal("TERM");
    process.ended().clean();
}

#[test]
fn an_address_that_is_taken_is_told_and_ends_it() {
    let serving = Serving::known_data();
    let taken = format!("{:?}", serving.address.to_string());
    let mut place = Place::embedded();
    place.run_to_end();
    place.set("listen", "api-listen", &taken);
    for command in [&["serve"][..], &["run", "--until-eos"]] {
        let ended = place.run(command);
        assert_eq!(ended.code, Some(3), "{ended}");
        assert!(
            ended.stderr.contains(&serving.address.to_string()),
            "{ended}"
        );
    }
}

#[test]
fn serve_without_an_archive_or_an_address_says_so() {
    let mut place = Place::embedded();
    let ended = place.run(&["serve"]);
    assert_eq!(ended.code, Some(2), "{ended}");
    place.set("listen", "api-listen", "\"127.0.0.1:0\"");
    let ended = place.run(&["serve"]);
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(ended.stderr.contains("archive something first"), "{ended}");
}
