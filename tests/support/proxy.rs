//! A proxy in front of a real service. What goes through it is the service's
//! own, except where it is told to be wrong.

mod link;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What becomes of all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Nobody listens, and what was connected is cut off.
    Refuse,
    /// Connections are taken, and nothing passes in either direction, until
    /// another mode.
    Hang,
}

/// What becomes of one request.
pub enum Deed {
    Pass,
    /// It passes later.
    Delay(Duration),
    /// It does not reach the service; this is the answer.
    Answer(Vec<u8>),
    /// It reaches the service; of the answer half arrives, and the end.
    HalfAnswer,
    /// It reaches the service; instead of the answer the connection ends.
    LoseAnswer,
    /// It does not reach the service, and its connection says nothing more in
    /// either direction. Others are not concerned.
    Hang,
    /// It does not reach the service: the connection is reset.
    Reset,
}

/// How a connection is cut into requests.
#[derive(Clone, Copy)]
pub enum Speech {
    Http,
    /// Whatever arrives at once is taken for one.
    Anything,
}

/// Ends, with all connections, when it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    control: Arc<Control>,
    runtime: Option<Runtime>,
    /// The port stays ours while nobody listens on it.
    _port: TcpSocket,
}

type Decide = Box<dyn FnMut(&[u8]) -> Deed + Send>;

struct Control {
    mode: watch::Sender<Mode>,
    decide: Mutex<Decide>,
}

impl Proxy {
    /// To the service at `upstream`. Passes everything at first.
    pub fn start(upstream: &str, speech: Speech) -> Self {
        let upstream: SocketAddr = upstream.parse().expect("an IP address and a port");
        let runtime = Runtime::new().expect("a runtime");
        let port = socket("127.0.0.1:0".parse().expect("an address"));
        let address = port.local_addr().expect("bound");
        let control = Arc::new(Control {
            mode: watch::Sender::new(Mode::Pass),
            decide: Mutex::new(Box::new(|_| Deed::Pass)),
        });
        runtime.spawn(listen(address, upstream, speech, control.clone()));
        Self {
            address,
            control,
            runtime: Some(runtime),
            _port: port,
        }
    }

    pub fn set(&self, mode: Mode) {
        self.control.mode.send_replace(mode);
    }

    /// From now on `decide` is asked what becomes of each request.
    pub fn decide(&self, decide: impl FnMut(&[u8]) -> Deed + Send + 'static) {
        *self.control.decide.lock().expect("whole") = Box::new(decide);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Bound, together with others of ours.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket of ours");
    socket.set_reuseport(true).expect("a socket of ours");
    socket.bind(address).expect("a port of ours");
    socket
}

async fn listen(address: SocketAddr, upstream: SocketAddr, speech: Speech, control: Arc<Control>) {
    let mut mode = control.mode.subscribe();
    while mode.wait_for(|mode| *mode != Mode::Refuse).await.is_ok() {
        let listener = socket(address).listen(1024).expect("a port of ours");
        loop {
            tokio::select! {
                _ = mode.wait_for(|mode| *mode == Mode::Refuse) => break,
                client = listener.accept() => {
                    let Ok((client, _)) = client else { continue };
                    tokio::spawn(link::serve(client, upstream, speech, control.clone()));
                }
            }
        }
    }
}
