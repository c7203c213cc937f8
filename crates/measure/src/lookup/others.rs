//! What other requests wait while look-ups run: echoes over a local socket, on a runtime of two threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::partition::Partition;

/// The 99th percentile of an echo, microseconds.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    pub(super) idle: f64,
    /// Beside look-ups one after the other on the pool for blocking work.
    pub(super) pool: f64,
    /// Beside the same on the runtime's own threads: what must not be.
    pub(super) inline: f64,
}

const ECHOES: usize = 2000;
const PAUSE: Duration = Duration::from_millis(1);
const MESSAGE: [u8; 64] = [7; 64];

#[derive(Clone)]
struct Work {
    partition: Arc<Partition>,
    texts: Arc<Vec<String>>,
}

impl Work {
    fn one(&self, n: usize) {
        self.partition.look_up(&self.texts[n % self.texts.len()], false);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Where {
    Pool,
    Inline,
}

pub(super) fn measure(partition: Arc<Partition>, texts: Vec<String>) -> Result<Waits> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let work = Work { partition, texts: Arc::new(texts) };
    runtime.block_on(async {
        let idle = echoes(None).await?;
        let pool = echoes(Some((work.clone(), Where::Pool))).await?;
        let inline = echoes(Some((work, Where::Inline))).await?;
        Ok(Waits { idle, pool, inline })
    })
}

async fn echoes(beside: Option<(Work, Where)>) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut buffer = MESSAGE;
        for _ in 0..ECHOES {
            stream.read_exact(&mut buffer).await?;
            stream.write_all(&buffer).await?;
        }
        Ok::<(), std::io::Error>(())
    });
    let done = Arc::new(AtomicBool::new(false));
    let busy = beside.map(|(work, place)| tokio::spawn(keep_busy(work, place, Arc::clone(&done))));
    let client = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut times, mut buffer) = (Vec::with_capacity(ECHOES), MESSAGE);
        for _ in 0..ECHOES {
            let start = Instant::now();
            stream.write_all(&MESSAGE).await?;
            stream.read_exact(&mut buffer).await?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
            tokio::time::sleep(PAUSE).await;
        }
        Ok::<Vec<f64>, std::io::Error>(times)
    });
    let mut times = client.await??;
    done.store(true, Ordering::Relaxed);
    server.await??;
    if let Some(busy) = busy {
        busy.await?;
    }
    times.sort_by(f64::total_cmp);
    Ok(super::quantile(&times, 0.99))
}

/// One look-up after the other until it is said to be enough.
async fn keep_busy(work: Work, place: Where, done: Arc<AtomicBool>) {
    for n in 0.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        if place == Where::Inline {
            work.one(n);
            tokio::task::yield_now().await;
            continue;
        }
        let work = work.clone();
        let _stopped = tokio::task::spawn_blocking(move || work.one(n)).await;
    }
}
