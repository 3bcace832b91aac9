//! A payload, decoded by the product and by prost: the same is legal, and the same is
//! found.

use proglog::log::record::{decode, is_prefix};
use proglog_testkit::Record;
use prost::Message as _;

pub fn run(payload: &[u8]) {
    match (decode(payload), Record::decode(payload)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours.value, theirs.value);
            assert_eq!(ours.offset.0, theirs.offset);
            assert_eq!(ours.term, theirs.term);
            assert_eq!(ours.record_type, theirs.kind);
            let encoded = ours.encode();
            assert_eq!(decode(&encoded), Ok(ours));
            assert_eq!(Record::decode(&encoded[..]).unwrap(), theirs);
            assert!(is_prefix(payload));
        }
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("{ours:?}, prost {theirs:?}"),
    }
}
