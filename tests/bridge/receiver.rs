//! What stands where an agent's admin server is: it takes records, and does as
//! the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

/// A request that was answered with 200.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// On the bus; empty where the request names none.
    pub topic: String,
    pub body: Value,
    pub key: Option<String>,
}

type Answers = dyn Fn(&Value) -> u16 + Send + Sync;

/// Ends when it is dropped; what it took stays with the list.
pub struct Receiver {
    pub address: SocketAddr,
    pub taken: Arc<Mutex<Vec<Taken>>>,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub fn start() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::at(any, Arc::default(), |_| 200)
    }

    /// Answers with the status that `answers` gives for a body.
    pub fn at(
        address: SocketAddr,
        taken: Arc<Mutex<Vec<Taken>>>,
        answers: impl Fn(&Value) -> u16 + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("a free address");
        let address = listener.local_addr().expect("an address");
        let is_ending = Arc::new(AtomicBool::new(false));
        let (kept, ends) = (taken.clone(), is_ending.clone());
        let thread = std::thread::spawn(move || {
            let answers: Box<Answers> = Box::new(answers);
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                answer(stream, &kept, &*answers);
            }
        });
        Self {
            address,
            taken,
            is_ending,
            thread: Some(thread),
        }
    }

    pub fn bodies(&self) -> Vec<Value> {
        let taken = self.taken.lock().expect("whole");
        taken.iter().map(|taken| taken.body.clone()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request, which may break off.
fn answer(stream: TcpStream, taken: &Mutex<Vec<Taken>>, answers: &Answers) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut key) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "x-api-key" => key = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    let status = answers(&body);
    if status == 200 {
        let query = path.split_once('?').unwrap_or_default().1;
        let topic = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "topic");
        taken.lock().expect("whole").push(Taken {
            topic: topic.unwrap_or_default().1.into_owned(),
            body,
            key,
        });
    }
    let text =
        format!("HTTP/1.1 {status} Said\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsaid\n");
    reader.get_mut().write_all(text.as_bytes()).ok()
}
