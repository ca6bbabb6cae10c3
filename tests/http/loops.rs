//! What clients do to the listeners is nothing to the loops behind them.

use std::io::{ErrorKind, Read, Write};
use std::iter;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::http;
use crate::scene::{PASSWORD, USER, address, basic, give_credential};
use crate::support::{Place, Process};

/// Clients that say nothing, at once, on each listener.
const SILENT: usize = 500;

/// Clients that say a byte now and then, on each listener.
const SLOW: usize = 20;

const GUESSES: u64 = 10_000;

/// Bodies that are begun on each listener.
const BODIES: u64 = 4;

/// Mebibytes in a body.
const BODY: usize = 1024;

/// Bytes of memory: the producer's bound, here for all that runs beside it too.
const MEMORY: u64 = 128 << 20;

/// How long the clients go on, and what they have done.
#[derive(Default)]
struct Hardship {
    is_over: AtomicBool,
    guesses: AtomicU64,
    bodies: [AtomicU64; 2],
}

impl Hardship {
    fn lasts(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn is_enough(&self) -> bool {
        let bodies = self.bodies.iter().map(|sent| sent.load(Ordering::Relaxed));
        self.guesses.load(Ordering::Relaxed) >= GUESSES && bodies.min() >= Some(BODIES)
    }
}

/// Ends a hardship, also when what goes on beside it has failed.
struct End<'a>(&'a Hardship);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Connects anew whenever the listener has had enough of it.
fn say_nothing(to: SocketAddr, hardship: &Hardship) {
    while hardship.lasts() {
        let mut silent: Vec<TcpStream> = (0..SILENT).map(|_| http::connect(to)).collect();
        while hardship.lasts() && is_open(&mut silent[0]) {}
    }
}

fn is_open(stream: &mut TcpStream) -> bool {
    let tick = Some(Duration::from_millis(100));
    stream.set_read_timeout(tick).expect("a socket");
    let read = stream.read(&mut [0]);
    read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// The head comes in time, the body does not.
fn say_little(to: SocketAddr, path: &str, hardship: &Hardship) {
    let head = head(path);
    while hardship.lasts() {
        let mut slow: Vec<TcpStream> = (0..SLOW).map(|_| http::connect(to)).collect();
        for byte in head.bytes().chain(iter::repeat(b'x')) {
            let is_taken = |stream: &mut TcpStream| stream.write_all(&[byte]).is_ok();
            if !hardship.lasts() || !slow.iter_mut().all(is_taken) {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Sends as much as anybody takes.
fn send_bodies(to: SocketAddr, path: &str, sent: &AtomicU64, hardship: &Hardship) {
    let (head, piece) = (head(path), vec![b'x'; 1 << 20]);
    while hardship.lasts() {
        let mut stream = http::connect(to);
        stream.write_all(head.as_bytes()).expect("it reads");
        let is_taken = |_: &usize| hardship.lasts() && stream.write_all(&piece).is_ok();
        let taken = (0..BODY).take_while(is_taken).count();
        assert!(taken < BODY, "all of it was read");
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// Of a body of a gigabyte.
fn head(path: &str) -> String {
    let (known, length) = (basic(USER, PASSWORD), BODY << 20);
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{known}\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn guess(to: SocketAddr, hardship: &Hardship) {
    while hardship.lasts() {
        let count = hardship.guesses.fetch_add(1, Ordering::Relaxed);
        let wrong = basic(USER, &count.to_string());
        let answer = http::ask(to, "GET", "/status", &[&wrong], None);
        assert!(matches!(answer.status, 401 | 429), "{answer:?}");
    }
}

/// `run` as it is without any flag, with a credential for each listener.
struct Running {
    process: Process,
    api: SocketAddr,
    control: SocketAddr,
    // After the process, which works there.
    _place: Place,
}

impl Running {
    fn start() -> Self {
        Self::of("archive_ingest run")
    }

    fn of(line: &str) -> Self {
        let mut place = Place::embedded();
        give_credential(&mut place);
        place.variable("API_UPLOADS", "true");
        place.variable("PRODUCER_ADMIN_USER", USER);
        place.variable("PRODUCER_ADMIN_PW", PASSWORD);
        // The default ports may be taken on this machine.
        place.variable("API_LISTEN", "127.0.0.1:0");
        place.variable("PRODUCER_LISTEN", "127.0.0.1:0");
        let process = Process::start(place.shell(line));
        Self {
            _place: place,
            api: address(&process, "archive API on http://"),
            control: address(&process, "control on http://"),
            process,
        }
    }

    /// Entities published, and records archived of the topics that they are on.
    fn done(&self) -> [f64; 2] {
        let metrics = http::get(self.control, "/metrics").with(200).text();
        let realms = ["topic=\"north-district.", "topic=\"water-survey."];
        ["producer_published_total{", "archive_messages_total{"].map(|name| {
            let lines = metrics.lines().filter(|line| {
                line.starts_with(name) && realms.iter().any(|realm| line.contains(realm))
            });
            let numbers = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
            numbers.sum()
        })
    }

    /// Waits until more is published, and more is archived. The demo's kernel
    /// has a new entity every moment.
    fn goes_on(&self) {
        let before = self.done();
        eventually("the loops go on", || {
            let now = self.done();
            now.iter().zip(before).all(|(now, before)| *now > before)
        });
    }
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn entities_are_published_and_archived_while_clients_do_their_worst() {
    let running = Running::start();
    let (api, control) = (running.api, running.control);
    running.goes_on();
    let hardship = Hardship::default();
    thread::scope(|scope| {
        let hardship = &hardship;
        let _end = End(hardship);
        for (to, path, sent) in [
            (api, "/topic/t", &hardship.bodies[0]),
            (control, "/pause", &hardship.bodies[1]),
        ] {
            scope.spawn(move || say_nothing(to, hardship));
            scope.spawn(move || say_little(to, path, hardship));
            scope.spawn(move || send_bodies(to, path, sent, hardship));
        }
        scope.spawn(|| guess(control, hardship));
        eventually("all of it is done", || {
            for to in [api, control] {
                http::get(to, "/livez").with(200);
            }
            running.goes_on();
            hardship.is_enough()
        });
    });
    running.goes_on();
    let known = basic(USER, PASSWORD);
    eventually("the right password is taken", || {
        http::ask(control, "GET", "/status", &[&known], None).status == 200
    });
    let peak = running.process.peak_memory();
    assert!(peak < MEMORY, "{peak} bytes");
    running.process.signal("TERM");
    running.process.ended().clean();
}

/// Of 320 files the loops use 140 here. One listener may have a quarter; more
/// connections than that wait to be accepted, as many as a system lets wait.
#[test]
fn connections_leave_files_to_the_loops_where_few_may_be_open() {
    let running = Running::of("prlimit --nofile=320:320 archive_ingest run");
    running.goes_on();
    let _silent: Vec<TcpStream> = (0..200).map(|_| http::connect(running.api)).collect();
    for _ in 0..5 {
        running.goes_on();
    }
    let log = running.process.log();
    assert!(!log.contains("open files"), "{log}");
}
