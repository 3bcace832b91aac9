//! Work on a long list by several threads, with the answers in the order of the list:
//! in rounds, so that the memory depends on neither the list nor the answers' number.

use std::ops::ControlFlow;

use crate::log::threads;
use crate::log::walk::Flow;

/// Pieces of work for each thread in one round.
const PIECES: usize = 8;

/// Does `work` on each item and hands the answers to `each`, in the order of the items,
/// until it breaks.
///
/// # Errors
///
/// The work's and the callback's: the first in the order of the items.
pub fn in_rounds<T, R, F, E>(
    mut items: impl Iterator<Item = T>,
    threads: usize,
    work: impl Fn(&T) -> Result<R, F> + Sync,
    mut each: impl FnMut(R) -> Result<Flow, E>,
) -> Result<Flow, E>
where
    T: Sync,
    R: Send,
    F: Send,
    E: From<F>,
{
    loop {
        let round: Vec<T> = items.by_ref().take(threads * PIECES).collect();
        if round.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        for answer in threads::on_each(&round, threads, &work) {
            if each(answer?)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_until_enough_is_known() {
        for threads in [1, 2, 7] {
            let mut got = Vec::new();
            let flow = in_rounds(
                0..1000_u64,
                threads,
                |item| Ok::<_, ()>(item * 2),
                |answer| {
                    got.push(answer);
                    Ok::<_, ()>(if answer == 600 {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    })
                },
            );
            assert_eq!(flow, Ok(ControlFlow::Break(())));
            assert_eq!(got, (0..=300).map(|n| n * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let fails = |item: &u64| if *item < 5 { Ok(*item) } else { Err(*item) };
        let mut seen = 0;
        let result = in_rounds(0..100, 2, fails, |_| {
            seen += 1;
            Ok::<_, u64>(ControlFlow::Continue(()))
        });
        assert_eq!((result, seen), (Err(5), 5));
    }
}
