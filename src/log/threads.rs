//! Threads, which a system may refuse (a limit of tasks, a filter of system calls): then
//! the work is done by fewer, finally by the one that asks.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder, JoinHandle};

/// The requested number of threads; 0: the number of processors.
#[must_use]
pub fn number(wanted: usize) -> usize {
    match wanted {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// Runs `work` in this many threads at once, this one among them, and returns all
/// results. There may be fewer threads, so `work` takes its items from a shared source.
///
/// # Panics
///
/// If `work` panics.
pub fn together<R: Send>(threads: usize, work: impl Fn() -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map_while(|_| Builder::new().spawn_scoped(scope, &work).ok())
            .collect();
        let own = work();
        let joined = others.into_iter().map(|other| match other.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(own).chain(joined).collect()
    })
}

/// Runs `work` on each item in this many threads, and returns the results in the order of
/// the items.
pub fn on_each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return done;
            };
            done.push((at, work(item)));
        }
    };
    let mut answers: Vec<(usize, R)> = together(threads, take).into_iter().flatten().collect();
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Runs `first` here and `second` beside it, or after it.
pub fn beside<A, B: Send>(first: impl FnOnce() -> A, second: impl Fn() -> B + Sync) -> (A, B) {
    thread::scope(|scope| {
        let other = Builder::new().spawn_scoped(scope, &second);
        let first = first();
        let second = match other.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => second(),
        };
        (first, second)
    })
}

/// Starts a thread of its own.
///
/// # Errors
///
/// The system's, where it does not exist to be had; `work` is not done then.
pub fn start<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<JoinHandle<R>> {
    Builder::new().spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [0, 1, 2, 7, 200] {
            let doubled = on_each(&items, threads, |item| item * 2);
            assert_eq!(doubled, (0..100).map(|n| n * 2).collect::<Vec<_>>());
        }
        assert_eq!(on_each(&[0_u8; 0], 3, |_| ()), []);
    }

    #[test]
    fn each_thread_answers() {
        assert_eq!(together(3, || 1), [1; 3]);
        assert_eq!(together(0, || 1), [1]);
        assert_eq!(beside(|| 1, || 2), (1, 2));
    }
}
