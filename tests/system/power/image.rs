//! A small ext4 file system in a file, mounted through a loop device, and how its power
//! goes. Unmounted, and so detached, when the value goes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::power::shutdown::shut_down;

/// The image's size. Units: bytes.
const BYTES: u64 = 64 << 20;

/// How images are mounted: what ext4 promises of data and names differs.
pub const OPTIONS: &[&str] = &[
    "data=ordered",
    "data=writeback",
    "data=ordered,nodelalloc",
    "data=journal",
];

/// A mounted image.
pub struct Image {
    file: PathBuf,
    mounted: PathBuf,
    options: &'static str,
    is_mounted: bool,
}

impl Image {
    /// Makes one in `room` and mounts it there.
    ///
    /// # Errors
    ///
    /// Why that cannot be done here.
    pub fn mount(room: &Path, options: &'static str) -> Result<Self, String> {
        let file = room.join("image");
        let mounted = room.join("mounted");
        std::fs::create_dir(&mounted).unwrap();
        File::create(&file).unwrap().set_len(BYTES).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&file))?;
        let mut image = Self {
            file,
            mounted,
            options,
            is_mounted: false,
        };
        image.attach()?;
        Ok(image)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mounted
    }

    /// The power goes: what was not synced is not written any more.
    pub fn cut(&self) {
        shut_down(&File::open(&self.mounted).unwrap()).unwrap();
    }

    /// The power comes back.
    pub fn mount_again(&mut self) {
        self.detach().unwrap();
        self.attach().unwrap();
    }

    /// Through a loop device that goes with the mount.
    fn attach(&mut self) -> Result<(), String> {
        let options = format!("loop,{}", self.options);
        let mut mount = Command::new("mount");
        mount.args(["-t", "ext4", "-o", &options]);
        run(mount.arg(&self.file).arg(&self.mounted))?;
        self.is_mounted = true;
        Ok(())
    }

    fn detach(&mut self) -> Result<(), String> {
        self.is_mounted = false;
        run(Command::new("umount").arg(&self.mounted))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.is_mounted && self.detach().is_err() {
            // Busy: out of sight now, gone with its last user.
            let _ = run(Command::new("umount").arg("-l").arg(&self.mounted));
        }
    }
}

/// Runs a tool; gives what it said if it failed.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
