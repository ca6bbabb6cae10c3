//! A bridge that is killed, a Kafka that is restarted and an agent that is
//! away, with events both ways meanwhile.
//!
//! The long run: `BRIDGE_EVENTS=2000 BRIDGE_KILLS=10 BRIDGE_AGENT_KILLS=2
//! BRIDGE_KAFKA_RESTARTS=2 cargo test --release --test bridge -- hardships
//! --nocapture` says how much came twice.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::scene::{Scene, eventually, free_address};
use crate::support::{Broker, OwnKafka, skip::service};
use crate::topic;

const OUTBOUND: &str = "acapy::outbound::message";
const PARTITIONS: i32 = 2;

fn asked(variable: &str, default: usize) -> usize {
    let text = std::env::var(variable).unwrap_or_default();
    text.parse().unwrap_or(default)
}

/// Numbers that came, by partition, as they came.
type Came = BTreeMap<i64, Vec<u64>>;

/// That nothing is missing, and nothing overtook: the first time of each number
/// comes after the first time of the one before it. How many came again.
fn repeats(what: &str, came: &Came, count: u64) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    let mut again = 0;
    for numbers in came.values() {
        let mut first_times = vec![];
        for number in numbers {
            match seen.insert(*number) {
                true => first_times.push(*number),
                false => again += 1,
            }
        }
        assert!(first_times.is_sorted(), "{what}: out of order: {numbers:?}");
    }
    let missing: Vec<u64> = (0..count).filter(|n| !seen.contains(n)).collect();
    assert!(missing.is_empty(), "{what}: missing: {missing:?}");
    again
}

fn number(value: &Value) -> u64 {
    value["n"].as_u64().expect("a number")
}

fn outwards(kafka: &str) -> Came {
    let mut came = Came::new();
    for record in topic::read(kafka, "acapy-outbound-message") {
        let numbers = came.entry(record.partition.into()).or_default();
        numbers.push(number(&record.json()));
    }
    came
}

fn inwards(agent: &Agent) -> Came {
    let mut came = Came::new();
    for event in agent.bus_log_of("acapy::inbound::test") {
        let n = number(&event.payload);
        came.entry(n as i64 % i64::from(PARTITIONS))
            .or_default()
            .push(n);
    }
    came
}

#[test]
fn nothing_is_lost_either_way_whatever_is_killed() {
    let (Some(acapy), Some(mut kafka)) = (service("TEST_ACAPY"), OwnKafka::start(1)) else {
        return;
    };
    let count = asked("BRIDGE_EVENTS", 200);
    let address = kafka.address.clone();
    let broker = Broker::at(&address);
    let (admin, mut scene) = (free_address(), Scene::on(&address));
    scene.set("bridge-agent-url", &format!("\"http://{admin}\""));
    scene.set("bridge-inbound-topics", "\"acapy-inbound-test.*\"");
    let config = scene.write("plugins-config.yaml", "kafka_events:\n");
    let inbound = broker.create("acapy-inbound-test", PARTITIONS);
    let mut bridge = Some(scene.start_with_agent());
    let mut agent = Agent::with_plugin(&acapy, admin, scene.address, &config, None);
    let (emitted, asked_again) = (AtomicUsize::new(0), Mutex::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..count {
                // Whoever emits knows that it was sent when the agent says so,
                // and emits again when the agent was killed meanwhile.
                while !emit(admin, n) {
                    *asked_again.lock().expect("whole") += 1;
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
                emitted.store(n + 1, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            let sender = topic::Sender::new(&address);
            for n in 0..count {
                // Spread over the same time.
                while emitted.load(Ordering::SeqCst) < n && n % 10 == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                let value = json!({ "n": n }).to_string();
                sender.enqueue(&inbound, n as i32 % PARTITIONS, &value);
                sender.flush();
            }
        });
        // Faults, spread over the first events.
        let kills = asked("BRIDGE_KILLS", 3);
        let agent_kills = asked("BRIDGE_AGENT_KILLS", 1);
        let restarts = asked("BRIDGE_KAFKA_RESTARTS", 1);
        let mut faults: Vec<&str> = vec!["bridge"; kills];
        for (fault, times) in [("agent", agent_kills), ("kafka", restarts)] {
            for time in 0..times {
                let at = faults.len() * (time + 1) / (times + 1);
                faults.insert(at, fault);
            }
        }
        for (index, fault) in faults.iter().enumerate() {
            let due = count * (index + 1) / (faults.len() + 2);
            eventually("events go on", || {
                (emitted.load(Ordering::SeqCst) >= due).then_some(())
            });
            match *fault {
                "bridge" => {
                    bridge.take().expect("it runs").kill();
                    bridge = Some(scene.start());
                }
                "agent" => {
                    agent.kill();
                    agent.begin();
                }
                _ => {
                    kafka.stop(0);
                    kafka.begin(0);
                    kafka.wait_for_nodes(1);
                }
            }
        }
    });
    eventually("the last record", || {
        let came: std::collections::BTreeSet<u64> =
            inwards(&agent).into_values().flatten().collect();
        (came.len() >= count).then_some(())
    });
    let out = repeats("outwards", &outwards(&address), count as u64);
    let into = repeats("inwards", &inwards(&agent), count as u64);
    println!(
        "{count} events each way: {out} came twice on Kafka ({} asked for twice), {into} twice on the bus",
        asked_again.into_inner().expect("whole")
    );
    assert!(out + into < count, "{out} and {into} came twice");
    drop(bridge);
}

/// Whether the agent said that everything on its bus has had the event.
fn emit(admin: std::net::SocketAddr, n: usize) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = TcpStream::connect(admin) else {
        return false;
    };
    let body = json!({ "n": n }).to_string();
    let request = format!(
        "POST /emit?topic={} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        OUTBOUND.replace(':', "%3A"),
        body.len()
    );
    let mut answer = String::new();
    let asked = stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.read_to_string(&mut answer));
    asked.is_ok() && answer.starts_with("HTTP/1.1 200")
}
