//! placeholder
#[derive(Debug, clap::Args)]
pub struct Arguments {
    dir: std::path::PathBuf,
}
pub fn run(arguments: &Arguments, globals: &super::Globals) -> anyhow::Result<super::Status> {
    let _ = (arguments, globals);
    Ok(super::Status::Done)
}
