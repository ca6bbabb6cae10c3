//! A connection to a service that a test can slow down and cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// A port that leads to a service. Everything ends with the test's process.
pub struct Link {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    service: Mutex<String>,
    delay_ms: AtomicU64,
    is_cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Link {
    /// Leads nowhere until [`Link::lead_to`]: a service may want to know the
    /// port before it has an address.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::<State>::default();
        let kept = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                state.connect(client);
            }
        });
        Self { port, state: kept }
    }

    pub fn lead_to(&self, service: &str) {
        *self.state.service.lock().expect("whole") = service.to_owned();
    }

    /// Everything arrives so much later, in each direction.
    pub fn delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).expect("not for ever");
        self.state.delay_ms.store(delay, Ordering::SeqCst);
    }

    /// Ends all connections and takes no more.
    pub fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().expect("whole").drain(..) {
            // Fails when it has ended, which is as well.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Undoes [`Link::cut`].
    pub fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }
}

impl State {
    fn connect(self: &Arc<Self>, client: TcpStream) {
        let address = self.service.lock().expect("whole").clone();
        if self.is_cut.load(Ordering::SeqCst) {
            return;
        }
        let Ok(service) = TcpStream::connect(address) else {
            return;
        };
        let other = |stream: &TcpStream| stream.try_clone().expect("an open socket");
        let mut open = self.open.lock().expect("whole");
        open.extend([other(&client), other(&service)]);
        drop(open);
        self.carry(other(&client), other(&service));
        self.carry(service, client);
    }

    /// Reading does not wait for writing: the delay is no limit to the rate.
    fn carry(self: &Arc<Self>, mut from: TcpStream, mut to: TcpStream) {
        let (send, due) = mpsc::channel::<(Instant, Vec<u8>)>();
        let state = self.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let delay = Duration::from_millis(state.delay_ms.load(Ordering::SeqCst));
                if send
                    .send((Instant::now() + delay, buffer[..length].to_vec()))
                    .is_err()
                {
                    return;
                }
            }
        });
        std::thread::spawn(move || {
            for (at, bytes) in due {
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                if to.write_all(&bytes).is_err() {
                    break;
                }
            }
            // Fails when the other side has ended it, which is as well.
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}
