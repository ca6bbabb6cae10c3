//! The metric with the time of the last successful verification.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::http;
use crate::scene::address;
use crate::support::Place;

/// Its value in seconds since 1970-01-01 UTC.
fn last_success(control: SocketAddr, depth: &str, scope: &str) -> i64 {
    let metrics = http::get(control, "/metrics").with(200).text();
    let name = "archive_verify_last_success_timestamp_seconds";
    let series = format!("{name}{{depth=\"{depth}\",scope=\"{scope}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    let line = line.unwrap_or_else(|| panic!("{series}: {metrics}"));
    line.parse().expect("a number")
}

fn wait_until_set(control: SocketAddr, depth: &str, scope: &str) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let at = last_success(control, depth, scope);
        if at > 0 {
            return at;
        }
        assert!(Instant::now() < deadline, "{depth} of {scope} is never set");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn last_success_is_0_until_a_complete_verification_has_held() {
    let mut place = Place::embedded();
    place.run_to_end();
    place.set("listen", "producer-listen", "\"127.0.0.1:0\"");
    place.set("archive", "archive-status-interval-seconds", "1");
    let process = place.start(&["run"]);
    let control = address(&process, "control on http://");
    for scope in ["archive", "kafka", "part"] {
        for depth in ["sizes", "contents"] {
            assert_eq!(last_success(control, depth, scope), 0, "{depth} {scope}");
        }
    }

    // A part is no success of the archive.
    place.run(&["verify", "--topic", "known.keys"]).clean();
    wait_until_set(control, "sizes", "part");
    assert_eq!(last_success(control, "contents", "part"), 0);
    assert_eq!(last_success(control, "sizes", "archive"), 0);

    // Nor is one that found a defect.
    let key = place.object_keys().swap_remove(0);
    let folder = place.path("objects");
    let object = walk(&folder, &key);
    let aside = object.with_extension("aside");
    std::fs::rename(&object, &aside).expect("a file");
    assert_eq!(place.run(&["verify", "--deep"]).code, Some(1));
    std::fs::rename(&aside, &object).expect("a file");
    let before = jiff::Timestamp::now().as_second();
    place.run(&["verify"]).clean();
    let at = wait_until_set(control, "sizes", "archive");
    assert!((before..before + 600).contains(&at), "{at}");
    assert_eq!(last_success(control, "contents", "archive"), 0);

    place.run(&["verify", "--deep"]).clean();
    wait_until_set(control, "contents", "archive");
    assert_eq!(last_success(control, "contents", "kafka"), 0);
    process.signal("TERM");
    process.ended().clean();
}

/// The file of that key, wherever the bucket's folder is.
fn walk(folder: &std::path::Path, key: &str) -> std::path::PathBuf {
    let buckets = std::fs::read_dir(folder).expect("a folder");
    let paths = buckets.map(|bucket| bucket.expect("an entry").path().join(key));
    paths
        .into_iter()
        .find(|path| path.exists())
        .expect("an object")
}
