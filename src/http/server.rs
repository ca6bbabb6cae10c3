//! The listener, its connections, and what holds for every request.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::access_log::Logged;
use super::body::Body;
use super::compress;
use super::paced::Paced;
use super::request::Request;
use super::respond::to_head;
use super::site::KnownHosts;
use crate::open_files;
use crate::shutdown::Shutdown;

/// Connections at once; more wait until one of these ends. Each costs a task
/// and some kilobytes, never a thread.
const CONNECTIONS: usize = 2_000;

/// At most this part of the files that the process may have open, so that all
/// its listeners together leave enough to those who work.
const PART_OF_FILES: u64 = 4;

/// A client may take so long to send a request's head, and may be silent for
/// so long between two requests.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// A client may take so long to read what lies ready for it.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a request's head.
const LONGEST_HEAD: usize = 32 * 1024;

/// Between two tries to accept, when the machine has no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Of answers that say nothing else: a browser shows them as they are, runs
/// nothing in them and puts them into no other page.
const NO_CONTENT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What answers requests.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    async fn answer(&self, request: Request) -> Response<Body>;

    /// How a request that never got so far is refused.
    fn refuse(&self, problem: super::problem::Problem) -> Response<Body> {
        problem.into_json()
    }
}

/// A socket that listens.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    hosts: KnownHosts,
}

impl Listener {
    /// `port` 0 is any free one. Errors: the address is taken, or not of this
    /// machine.
    pub async fn bind(host: &str, port: u16) -> io::Result<Self> {
        let socket = TcpListener::bind((host, port)).await?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            hosts: KnownHosts::default(),
        })
    }

    /// Requests may name these hosts too, beside IP addresses and localhost.
    #[must_use]
    pub fn with_hosts(mut self, names: &[String]) -> Self {
        self.hosts = KnownHosts::new(names);
        self
    }

    /// Where it really listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is due; then no connection is accepted, and
    /// requests under way may take `grace` to end.
    pub async fn serve(self, service: Arc<dyn Service>, shutdown: Shutdown, grace: Duration) {
        let room = Arc::new(Semaphore::new(connections_at_once()));
        let hosts = Arc::new(self.hosts.clone());
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.due() => break,
                accepted = self.accept(&room) => {
                    if let Some((stream, peer, slot)) = accepted {
                        let (service, shutdown) = (service.clone(), shutdown.clone());
                        let hosts = hosts.clone();
                        connections.spawn(async move {
                            talk(stream, peer, service, hosts, shutdown).await;
                            drop(slot);
                        });
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.socket);
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(grace, ended).await.is_err() {
            warn!("{}: requests were cut off at the end", self.address);
        }
    }

    /// The next connection, once there is room for it.
    async fn accept(
        &self,
        room: &Arc<Semaphore>,
    ) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
        let slot = room.clone().acquire_owned().await.ok()?;
        match self.socket.accept().await {
            Ok((stream, peer)) => Some((stream, peer.ip().to_canonical(), slot)),
            Err(error) => {
                debug!("{}: no connection accepted: {error}", self.address);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

fn connections_at_once() -> usize {
    let files = open_files::limit().unwrap_or(u64::MAX);
    // At least one: a listener that takes none would be a riddle.
    let part = usize::try_from(files / PART_OF_FILES).unwrap_or(CONNECTIONS);
    part.clamp(1, CONNECTIONS)
}

/// One connection, request after request.
async fn talk(
    stream: TcpStream,
    peer: IpAddr,
    service: Arc<dyn Service>,
    hosts: Arc<KnownHosts>,
    shutdown: Shutdown,
) {
    // Small answers go out at once; a failure makes them only slower.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let (service, hosts) = (service.clone(), hosts.clone());
        async move { Ok::<_, std::convert::Infallible>(answer(&*service, &hosts, request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Paced::new(stream, READ_PATIENCE)), answer);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.due() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!("connection of {peer}: {error}");
    }
}

async fn answer(
    service: &dyn Service,
    hosts: &KnownHosts,
    request: hyper::Request<Incoming>,
    peer: IpAddr,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let log = Logged::begin(&parts, peer);
    let is_head = parts.method == hyper::Method::HEAD;
    let encoding = compress::asked_for(&parts.headers);
    let is_cross_site = hosts.is_cross_site(&parts);
    let request = hosts
        .check(&parts)
        .and_then(|()| Request::new(parts, body, peer, is_cross_site));
    let mut response = match request {
        Ok(request) => service.answer(request).await,
        Err(problem) => service.refuse(problem),
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(NO_CONTENT_POLICY));
    let response = compress::apply(response, encoding);
    let response = if is_head { to_head(response) } else { response };
    log.end(response)
}
