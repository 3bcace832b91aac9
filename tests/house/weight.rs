//! What the feature `nats` brings is built with it and only with it.

use std::process::Command;

/// What is built for a proglog with these features, crate by crate; `None` where cargo
/// has not fetched all of it.
fn crates(options: &[&str]) -> Option<Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges=normal,build"])
        .args(["--prefix=none", "--format={p}"])
        .args(options)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    let text = String::from_utf8(output.stdout).expect("names");
    let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    output
        .status
        .success()
        .then(|| text.lines().map(name).collect())
}

#[test]
fn nothing_of_tokio_is_built_without_the_feature() {
    let heavy = |crates: &[String]| {
        let of_nats = |name: &&String| name.contains("tokio") || name.contains("nats");
        crates.iter().filter(of_nats).count()
    };
    let plain = crates(&[]).expect("what this very test was built with");
    assert!(plain.contains(&"clap".to_owned()), "{plain:?}");
    assert_eq!(heavy(&plain), 0, "{plain:?}");
    if let Some(with) = crates(&["--features=nats"]) {
        assert!(heavy(&with) > 2, "{with:?}");
    }
}
