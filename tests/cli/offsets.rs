//! Offsets and ranges: the same syntax wherever offsets are selected, and no offset
//! outside the log is silently accepted.

use super::{run, twenty, words};

#[test]
fn an_offset_beyond_the_log_is_refused() {
    for command in [
        "trim log --before 21",
        "trim log --before 18446744073709551615",
        "trim log --before 21 --dry-run",
        "read log --offset 21",
        "read log --from 21",
        "dump-index log --from 21",
        "dump-store log --from 21",
        "diff log log --from 21",
        "diff log log -q --from 21",
    ] {
        let sandbox = twenty();
        let before = sandbox.snapshot();
        let (status, stdout, stderr) = run(&sandbox, &words(command));
        assert_eq!(status, 1, "{command}: {stdout}{stderr}");
        assert!(stderr.contains("20"), "{command}: {stderr}");
        assert_eq!(sandbox.snapshot(), before, "{command}");
    }
    // The next offset itself: every segment but the last.
    let (status, _, stderr) = run(&twenty(), &words("trim log --before 20"));
    assert_eq!(status, 0, "{stderr}");
}
