//! Changes that are only planned.

use super::*;

#[test]
fn plans_change_what_is_seen_and_nothing_else() {
    let mut made = Made::default().file("a", *b"0123456789");
    let mut planned = Planned::new(&mut made);
    let see = |planned: &mut Planned<&mut Made>, name: &str, position| {
        let mut bytes = [b'?'; 6];
        let got = planned.read_at(name, position, &mut bytes).unwrap();
        String::from_utf8(bytes[..got].to_vec()).unwrap()
    };
    planned.set_len("a", 4).unwrap();
    planned.set_len("a", 6).unwrap();
    assert_eq!(see(&mut planned, "a", 0), "0123\0\0");
    planned.put("a", 5, b"xyz").unwrap();
    planned.put("a", 1, b"AB").unwrap();
    planned.put("a", 2, b"C").unwrap();
    assert_eq!(see(&mut planned, "a", 0), "0AC3\0x");
    assert_eq!(see(&mut planned, "a", 3), "3\0xyz");
    assert_eq!(see(&mut planned, "a", 9), "");
    planned.set_len("a", 7).unwrap();
    planned.set_len("a", 9).unwrap();
    assert_eq!(see(&mut planned, "a", 4), "\0xy\0\0");
    planned.rename("a", "b").unwrap();
    assert_eq!(see(&mut planned, "b", 0), "0AC3\0x");
    assert_eq!(planned.file("a").unwrap(), FileFact::Missing);
    planned.put("c", 0, b"c").unwrap();
    assert_eq!(planned.names().unwrap(), ["b", "c"]);
    planned.remove(OsStr::new("b"));
    planned.set_len("b", 1).unwrap();
    assert_eq!(see(&mut planned, "b", 0), "\0");
    let FileFact::Regular { bytes } = Facts::file(&mut made, "a").unwrap() else {
        panic!("gone");
    };
    assert_eq!(bytes, 10);
}
