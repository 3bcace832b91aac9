//! Batches that were never acknowledged: the first length begins with 0xff. They are
//! not read as frames, whatever they hold, and go with the next repair or append.

use proglog_testkit::{Codec, frame, pb};

use super::forge::pair;
use super::outcome::{Append, Outcome, check, made, numbered, text};
use super::run::{Case, none};

/// The frames of a batch behind `next` records, its first length a mark.
fn batch(codec: Codec, next: u64, values: &[Vec<u8>]) -> Vec<u8> {
    let frames = (next..)
        .zip(values)
        .flat_map(|(offset, value)| match codec {
            Codec::Raw => frame(value),
            Codec::Protobuf => frame(&pb(value, offset, 0, 0)),
        });
    let mut batch: Vec<u8> = frames.collect();
    batch[0] = 0xff;
    batch
}

#[test]
fn an_unfinished_batch_goes_and_what_is_before_it_stays() {
    let mut wrong = Vec::new();
    let nested: Vec<Vec<u8>> = (0..3)
        .map(|i| (0..=i).flat_map(|_| frame(b"a frame inside")).collect())
        .collect();
    for codec in [Codec::Raw, Codec::Protobuf] {
        for (n, chain) in [(20, 0), (5, 4)] {
            let values = text(n);
            let (store, index) = made(codec, 0, &values);
            let entries = (n - chain) as usize;
            for (what, values) in [("text", &text(4)), ("one", &text(1)), ("nested", &nested)] {
                let whole = batch(codec, n, values);
                let size = whole.len();
                for end in [size, size / 2, 9, 8, 3] {
                    let mut store = store.clone();
                    store.extend(&whole[..end]);
                    let index = index[..12 * entries].to_vec();
                    let case = Case::new(
                        format!("{codec:?} {n} records, {chain} unnamed, {end} of a batch: {what}"),
                        pair(0, (store, index)),
                    );
                    wrong.extend(check(
                        &case,
                        &Outcome {
                            records: Some(numbered(0, &text(n))),
                            cuts: true,
                            append: Append::Gets(n),
                            ..Outcome::default()
                        },
                    ));
                }
            }
        }
    }
    none(&wrong);
}
