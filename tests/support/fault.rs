//! A server that answers as it is told to, to be wrong on purpose.

#[path = "answers.rs"]
mod answers;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};

pub use answers::{response, s3_error};

/// What to do with one request.
pub enum Answer {
    /// These bytes, and the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, and the connection is closed.
    BytesThenClose(Vec<u8>),
    /// These bytes, and then nothing, for ever.
    BytesThenHang(Vec<u8>),
}

/// The server; it ends with the test's runtime.
pub struct Server {
    pub url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` is given the head of each request, as it came.
    pub async fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = Self {
            url: format!("http://{address}"),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (server.connections.clone(), server.requests.clone());
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (answer, requests) = (answer.clone(), requests.clone());
                tokio::spawn(async move { serve(stream, &*answer, &requests).await });
            }
        });
        server
    }

    /// Connections made so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("a whole list").clone()
    }
}

async fn serve<F>(stream: TcpStream, answer: &F, requests: &Mutex<Vec<String>>)
where
    F: Fn(&str) -> Answer + ?Sized,
{
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(head) = request(&mut reader).await {
        let answer = answer(&head);
        requests.lock().expect("a whole list").push(head);
        let (Answer::Bytes(bytes) | Answer::BytesThenClose(bytes) | Answer::BytesThenHang(bytes)) =
            &answer;
        if writer.write_all(bytes).await.is_err() {
            return;
        }
        match answer {
            Answer::Bytes(_) => {}
            Answer::BytesThenClose(_) => return,
            Answer::BytesThenHang(_) => std::future::pending().await,
        }
    }
}

/// The head of the next request, its body read; `None` when the client leaves.
async fn request(reader: &mut BufReader<OwnedReadHalf>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")?
                .trim()
                .parse()
                .ok()
        })
        .unwrap_or(0);
    reader.read_exact(&mut vec![0; length]).await.ok()?;
    Some(head)
}
