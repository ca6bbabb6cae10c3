//! What stands between the program and the registry refuses: nothing is printed
//! and nothing committed, because nothing was said about the event.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use super::scene::{READING, Scene, assert_one_clear_line};

const LINE: &str = "{\"station\": \"Elbe\", \"level\": 7}\n";

/// Gives every request the same answer.
struct Refusing {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl Refusing {
    fn start(status: u16, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                counted.fetch_add(1, Ordering::AcqRel);
                let length = body.len();
                // A client that is gone needs no answer.
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n\
                     content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { url, requests }
    }
}

/// A topic with one event of the real registry.
fn produced(name: &str) -> Option<(Scene, String)> {
    let scene = Scene::new()?;
    let topic = scene.broker.create(name, 1);
    scene.produce_lines(&topic, READING, LINE).clean();
    Some((scene, topic))
}

#[test]
fn refusal_that_is_not_about_the_schema_ends_the_consumer_and_commits_nothing() {
    let Some((mut scene, topic)) = produced("refused") else {
        return;
    };
    let registry = scene.registry.clone();
    let group = scene.broker.name("readers");
    let arguments = [
        "consume", "--topic", &topic, "--group", &group, "--count", "1",
    ];
    for (status, body, is_retried) in [
        (
            401,
            r#"{"error_code": 401, "message": "Unauthorized"}"#,
            false,
        ),
        (
            403,
            r#"{"error_code": 40301, "message": "Forbidden"}"#,
            false,
        ),
        (404, "<h1>no such page</h1>", false),
        (
            404,
            r#"{"error_code": 404, "message": "HTTP 404 Not Found"}"#,
            false,
        ),
        (304, "", false),
        (408, "", true),
        (425, "", true),
        (429, r#"{"error_code": 429, "message": "slow down"}"#, true),
        (500, r#"{"error_code": 50001, "message": "backend"}"#, true),
    ] {
        let refusing = Refusing::start(status, body);
        let url = format!("{:?}", refusing.url);
        scene.place.set("registry", "registry-url", &url);
        let ended = scene.run(&arguments);
        assert_one_clear_line(&ended, 3, "schema registry http://127.0.0.1");
        assert_eq!(ended.stdout, "", "{status}");
        let requests = refusing.requests.load(Ordering::Acquire);
        assert_eq!(requests > 1, is_retried, "{status}: {requests} requests");
        assert_eq!(scene.broker.group(&group, &topic, 1).offsets(), [None]);
    }
    let url = format!("{registry:?}");
    scene.place.set("registry", "registry-url", &url);
    let next = scene.consume(&topic, 1, &["--group", &group]);
    let data = json!({"station": "Elbe", "level": 7});
    assert_eq!(next[0]["value"]["data"], data);
}

#[test]
fn event_whose_schema_the_registry_does_not_have_is_shown_as_bytes() {
    let Some((mut scene, topic)) = produced("unknown") else {
        return;
    };
    let body = r#"{"error_code": 40403, "message": "Schema not found"}"#;
    let url = format!("{:?}", Refusing::start(404, body).url);
    scene.place.set("registry", "registry-url", &url);
    let event = &scene.consume(&topic, 1, &[])[0];
    assert_eq!(event["value"]["format"], "bytes");
    let trouble = event["value"]["trouble"].as_str().expect("why");
    assert!(trouble.contains("40403"), "{trouble}");
}
