//! What is said on standard error. A server never waits for its reader: there it goes through a queue
//! that a thread of its own writes out, and what finds the queue full is dropped and counted.
//!
//! tracing-appender's queue does as much, but counts lines of any length, and complains on standard
//! output where its end is blocked too.

use std::backtrace::Backtrace;
use std::fmt::Arguments;
use std::io::{IsTerminal as _, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::exit::Exit;

/// What is logged unless `BATON_LOG` says otherwise. A slow disk is not the user's to mend.
const LOGGED: &str = "warn,sqlx=error";
/// What may wait for the reader of a server's standard error.
const BYTES_MAX: usize = 1 << 20;
/// At the end, what writing the rest may take, and how often it is looked.
const FLUSH_MAX: Duration = Duration::from_secs(1);
const FLUSH_LOOK: Duration = Duration::from_millis(5);

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Logs to standard error: lines for people, or with `BATON_LOG_FORMAT=json` an object each. What
/// `serves` says it through the queue.
pub(crate) fn start(serves: bool) -> Result<(), Exit> {
    if serves {
        let queue = Queue::to(std::io::stderr()).map_err(|error| Exit::outside(format!("no thread: {error}")))?;
        QUEUE.get_or_init(|| queue);
        std::panic::set_hook(Box::new(|panic| tell(format_args!("{panic}\n{}", Backtrace::capture()))));
    }
    let writer = match QUEUE.get() {
        Some(queue) => BoxMakeWriter::new(|| queue.clone()),
        None => BoxMakeWriter::new(std::io::stderr),
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("BATON_LOG").unwrap_or_else(|_| LOGGED.into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match std::env::var("BATON_LOG_FORMAT").as_deref() {
        Err(_) | Ok("" | "text") => log.with_ansi(std::io::stderr().is_terminal()).init(),
        Ok("json") => log.json().with_ansi(false).init(),
        Ok(other) => {
            return Err(Exit::usage(format!("BATON_LOG_FORMAT: `{other}` is no format; write text or json")));
        }
    }
    Ok(())
}

/// Says a line; a reader that closed standard error is no error.
pub(crate) fn tell(message: Arguments<'_>) {
    let line = format!("{message}\n");
    let _closed = match QUEUE.get() {
        Some(queue) => queue.clone().write_all(line.as_bytes()),
        None => std::io::stderr().write_all(line.as_bytes()),
    };
}

/// How many lines were dropped since the start.
pub(crate) fn dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.dropped.load(Ordering::Relaxed))
}

/// Waits until all is written, within a bound.
pub(crate) fn flush() {
    let end = Instant::now() + FLUSH_MAX;
    while QUEUE.get().is_some_and(|queue| queue.waiting.load(Ordering::Acquire) > 0) && Instant::now() < end {
        thread::sleep(FLUSH_LOOK);
    }
}

/// See the module. Each write is a line.
#[derive(Clone)]
struct Queue {
    lines: Sender<Vec<u8>>,
    /// Bytes.
    waiting: Arc<AtomicUsize>,
    /// Lines.
    dropped: Arc<AtomicU64>,
}

impl Queue {
    fn to(out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, queued) = channel();
        let (waiting, dropped) = Default::default();
        let written = Arc::clone(&waiting);
        thread::Builder::new().name("log".into()).spawn(move || write(out, &queued, &written))?;
        Ok(Self { lines, waiting, dropped })
    }
}

fn write(mut out: impl Write, queued: &Receiver<Vec<u8>>, written: &AtomicUsize) {
    for line in queued {
        let _closed = out.write_all(&line);
        written.fetch_sub(line.len(), Ordering::Release);
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let before = self.waiting.fetch_add(line.len(), Ordering::Relaxed);
        if before + line.len() > BYTES_MAX || self.lines.send(line.to_vec()).is_err() {
            self.waiting.fetch_sub(line.len(), Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says that it was asked to write, and waits until it may.
    struct Blocked {
        asked: Sender<Vec<u8>>,
        may: Receiver<()>,
    }

    impl Write for Blocked {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.asked.send(line.to_vec()).map_err(std::io::Error::other)?;
            self.may.recv().map_err(std::io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_nobody_reads_is_dropped_past_the_bound_and_the_rest_follows_in_order() {
        let ((asked, written), (let_it, may)) = (channel(), channel());
        let mut queue = Queue::to(Blocked { asked, may }).unwrap();
        let line = |n: u8| vec![n; BYTES_MAX / 4];
        for n in 0..10 {
            queue.write_all(&line(n)).unwrap();
        }
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 6);
        for n in 0..4 {
            assert_eq!(written.recv().unwrap(), line(n));
            let_it.send(()).unwrap();
        }
        // The next one is written when the one before has been counted.
        queue.write_all(b"next").unwrap();
        assert_eq!(written.recv().unwrap(), b"next");
        assert_eq!(queue.waiting.load(Ordering::Acquire), 4);
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 6);
    }
}
