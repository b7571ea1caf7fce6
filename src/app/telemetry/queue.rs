//! Log lines on their way to where they are written: a bounded queue, and a thread of its own behind it.
//!
//! Standard output may be a pipe that nobody reads, a file may lie on a disk that hangs. Whoever logs must not wait for either: a line
//! that finds the queue full is counted and lost, and that is told as soon as lines flow again. (`tracing-appender` has such a queue,
//! but neither tells of the loss nor opens a file again that was moved away.)

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use super::sink::Sink;

/// Lines that may wait.
const LINES: usize = 4096;
/// Bytes of all lines that may wait.
const BYTES: usize = 4 * 1024 * 1024;
/// How often it is looked whether the file is still in its place.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The way to the log. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    jobs: SyncSender<LogJob>,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    waiting_bytes: AtomicUsize,
    lost: AtomicU64,
}

enum LogJob {
    Line(Vec<u8>),
    Reopen,
    Flush(SyncSender<()>),
}

impl Queue {
    /// Starts the thread that writes to `sink`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(sink: Sink) -> io::Result<Self> {
        let ((jobs, taken), tally) = (sync_channel(LINES), Arc::<Tally>::default());
        let writer = Writer { jobs: taken, tally: Arc::clone(&tally), sink };
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.work())?;
        Ok(Self { jobs, tally })
    }

    /// The file is opened again before the next line.
    pub(super) fn reopen(&self) {
        // A full queue is not waited for; a file that was moved away is noticed anyway.
        let _ = self.jobs.try_send(LogJob::Reopen);
    }

    /// Waits until all lines so far are written, but not for longer than `limit` in the queue and as long behind it.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, written) = sync_channel(1);
        let mut job = LogJob::Flush(done);
        for _ in 0..limit.as_millis() {
            match self.jobs.try_send(job) {
                Ok(()) => {
                    // Not written in time is as good as it gets.
                    let _ = written.recv_timeout(limit);
                    break;
                }
                Err(TrySendError::Full(back)) => job = back,
                Err(TrySendError::Disconnected(_)) => break,
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The log library hands over each line whole, in one call.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let waiting = self.tally.waiting_bytes.fetch_add(line.len(), Ordering::Relaxed);
        if waiting + line.len() > BYTES || self.jobs.try_send(LogJob::Line(line.to_vec())).is_err() {
            self.tally.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            self.tally.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread that writes.
struct Writer {
    jobs: Receiver<LogJob>,
    tally: Arc<Tally>,
    sink: Sink,
}

impl Writer {
    fn work(mut self) {
        loop {
            match self.jobs.recv_timeout(LOOK_EVERY) {
                Ok(LogJob::Line(line)) => self.write(&line),
                Ok(LogJob::Reopen) => self.sink.reopen(),
                Ok(LogJob::Flush(done)) => {
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => self.sink.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&mut self, line: &[u8]) {
        self.sink.look();
        let written = self.sink.write(line);
        self.tally.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
        if written.is_err() {
            // A full disk, a pipe whose reader has gone. There is nowhere to say so.
            self.tally.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match self.tally.lost.swap(0, Ordering::Relaxed) {
            0 => {}
            lost => {
                tracing::warn!("{lost} log lines were lost before this one: what takes the log did not keep up, or could not be written")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sink::Sink;
    use super::*;

    #[test]
    fn a_reader_that_takes_nothing_holds_nobody_up_and_is_told_what_it_missed() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let mut queue = Queue::start(Sink::pipe(writer)).expect("a thread");
        let line = [b'x'; 1023].iter().chain(b"\n").copied().collect::<Vec<u8>>();
        for _ in 0..20_000 {
            queue.write_all(&line).expect("it never fails");
        }
        let lost = queue.tally.lost.load(Ordering::Relaxed);
        assert!(lost > 10_000, "{lost} of 20 MB");
        assert!(queue.tally.waiting_bytes.load(Ordering::Relaxed) <= BYTES);
        drop(reader);
        queue.flush(Duration::from_secs(10));
        assert_eq!(queue.tally.waiting_bytes.load(Ordering::Relaxed), 0, "a reader that has gone is no reason to keep lines");
    }
}
