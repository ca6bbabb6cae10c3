//! One connection through the proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch::Receiver;

use super::{Control, Deed, Mode, Speech};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// Whether a connection goes on after a request.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    Close,
}

pub async fn serve(client: TcpStream, upstream: SocketAddr, speech: Speech, control: Arc<Control>) {
    let mut mode = control.mode.subscribe();
    tokio::select! {
        () = until(&mut mode, |mode| mode == Mode::Refuse) => {}
        // How a connection ends is of no interest to the one beside it.
        _ = relay(client, upstream, speech, &control) => {}
    }
}

async fn relay(
    mut client: TcpStream,
    upstream: SocketAddr,
    speech: Speech,
    control: &Control,
) -> io::Result<()> {
    let mut mode = control.mode.subscribe();
    until(&mut mode, |mode| mode != Mode::Hang).await;
    let mut server = TcpStream::connect(upstream).await?;
    let mut asked = Vec::new();
    let mut answer = vec![0; CHUNK];
    loop {
        until(&mut mode, |mode| mode != Mode::Hang).await;
        asked.reserve(CHUNK);
        tokio::select! {
            () = until(&mut mode, |mode| mode == Mode::Hang) => {}
            read = client.read_buf(&mut asked) => {
                if read? == 0 {
                    return Ok(());
                }
                while let Some(length) = speech.first_request(&asked) {
                    let request: Vec<u8> = asked.drain(..length).collect();
                    let deed = (control.decide.lock().expect("whole"))(&request);
                    if act(deed, &request, &mut client, &mut server).await? == Then::Close {
                        return Ok(());
                    }
                }
            }
            read = server.read(&mut answer) => {
                let length = read?;
                if length == 0 {
                    return Ok(());
                }
                client.write_all(&answer[..length]).await?;
            }
        }
    }
}

/// Returns when the mode is one that is `wanted`.
async fn until(mode: &mut Receiver<Mode>, wanted: impl Fn(Mode) -> bool) {
    if mode.wait_for(|mode| wanted(*mode)).await.is_err() {
        std::future::pending().await
    }
}

async fn act(
    deed: Deed,
    request: &[u8],
    client: &mut TcpStream,
    server: &mut TcpStream,
) -> io::Result<Then> {
    match deed {
        Deed::Pass => server.write_all(request).await?,
        Deed::Delay(time) => {
            tokio::time::sleep(time).await;
            server.write_all(request).await?;
        }
        Deed::Answer(bytes) => client.write_all(&bytes).await?,
        Deed::HalfAnswer => {
            let answer = ask(request, server).await?;
            client.write_all(&answer[..answer.len() / 2]).await?;
            return Ok(Then::Close);
        }
        Deed::LoseAnswer => {
            ask(request, server).await?;
            return Ok(Then::Close);
        }
        Deed::Hang => {
            let mut unheard = vec![0; CHUNK];
            while client.read(&mut unheard).await? > 0 {}
            return Ok(Then::Close);
        }
        Deed::Reset => {
            client.set_zero_linger()?;
            return Ok(Then::Close);
        }
    }
    Ok(Then::GoOn)
}

/// The first of what the service answers.
async fn ask(request: &[u8], server: &mut TcpStream) -> io::Result<Vec<u8>> {
    server.write_all(request).await?;
    let mut answer = vec![0; CHUNK];
    let length = server.read(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}

impl Speech {
    /// The length of the first request, if it is there whole.
    fn first_request(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Anything => (!bytes.is_empty()).then_some(bytes.len()),
            Self::Http => {
                let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
                let whole = end + content_length(&bytes[..end]);
                (bytes.len() >= whole).then_some(whole)
            }
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0)
}
