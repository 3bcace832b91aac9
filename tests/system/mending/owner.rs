//! Root mends a log of another owner: whatever it makes or changes is still theirs.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use proglog_testkit::{LogBuilder, Sandbox};

use crate::mending::run;

const OWNER: u32 = 54321;

#[test]
fn files_made_by_root_have_their_twins_owner_and_mode() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: needs root");
        return;
    }
    for missing in ["0.index", "2.index", "2.store"] {
        let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b"]).segment(2, [""; 0]));
        for name in sandbox.names() {
            let path = sandbox.file(&name);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            chown(&path, Some(OWNER), Some(OWNER + 1)).unwrap();
        }
        sandbox.remove(missing);
        let (status, stdout, stderr) = run(sandbox.path(), &["repair", "log"]);
        assert_eq!(status, 0, "{missing}: {stdout}{stderr}");
        for name in sandbox.names() {
            let is = std::fs::metadata(sandbox.file(&name)).unwrap();
            let seen = (is.uid(), is.gid(), is.mode() & 0o777);
            assert_eq!(seen, (OWNER, OWNER + 1, 0o640), "{missing}: {name}");
        }
        assert!(sandbox.file(missing).exists());
        run(sandbox.path(), &["undo", "log"]);
        assert!(!sandbox.file(missing).exists());
    }
}
