//! A connection whose client must take what it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Of what waits to be sent, so many bytes must go within the patience.
const LEAST_PROGRESS: usize = 64 * 1024;

/// Fails a write that makes too little progress, so that a client that reads
/// nothing, or a byte now and then, does not hold its connection and what is
/// made for it. Reading has its own bounds: for the head in the HTTP library,
/// for the body where it is read.
pub struct Paced<S> {
    stream: S,
    patience: Duration,
    stalled: Option<Stalled>,
}

/// A write that the client has not taken whole yet.
struct Stalled {
    deadline: Pin<Box<Sleep>>,
    progress: usize,
}

impl<S> Paced<S> {
    pub fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            stalled: None,
        }
    }

    fn wrote(&mut self, bytes: usize) {
        if let Some(stalled) = &mut self.stalled {
            stalled.progress += bytes;
            if stalled.progress >= LEAST_PROGRESS {
                self.stalled = None;
            }
        }
    }

    /// Waits until there is progress or the patience has ended.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Stalled {
            deadline: Box::pin(sleep_until(Instant::now() + patience)),
            progress: 0,
        });
        stalled
            .deadline
            .as_mut()
            .poll(context)
            .map(|()| io::Error::new(io::ErrorKind::TimedOut, "the client does not read"))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(Ok(written)) => {
                self.wrote(written);
                Poll::Ready(Ok(written))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => self.wait(context).map(Err),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, slices) {
            Poll::Ready(Ok(written)) => {
                self.wrote(written);
                Poll::Ready(Ok(written))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => self.wait(context).map(Err),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Only asked for when all that was to be written is.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stalled = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up_after_the_patience() {
        let (ours, _theirs) = duplex(1024);
        let error = Paced::new(ours, Duration::from_millis(50))
            .write_all(&[0; 4096])
            .await
            .expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_a_byte_now_and_then_is_given_up_too() {
        let (ours, mut theirs) = duplex(1024);
        let reader = tokio::spawn(async move {
            while theirs.read_u8().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let mut paced = Paced::new(ours, Duration::from_millis(100));
        paced.write_all(&[0; 100_000]).await.expect_err("too slow");
        drop(paced);
        reader.abort();
    }

    #[tokio::test]
    async fn a_client_that_reads_steadily_gets_all_however_long_it_takes() {
        const PATIENCE: Duration = Duration::from_millis(500);
        let (ours, mut theirs) = duplex(16 * 1024);
        let reader = tokio::spawn(async move {
            let (mut all, mut part) = (0, vec![0; 16 * 1024]);
            while let Ok(read @ 1..) = theirs.read(&mut part).await {
                all += read;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            all
        });
        let began = Instant::now();
        let mut paced = Paced::new(ours, PATIENCE);
        paced.write_all(&[0; 1_000_000]).await.expect("it is read");
        assert!(began.elapsed() > PATIENCE, "too quick to show anything");
        drop(paced);
        assert_eq!(reader.await.expect("it only reads"), 1_000_000);
    }
}
