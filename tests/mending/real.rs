//! What a test's disk leaves to the disk itself, method by method.

/// These methods of `Disk`, as `RealDisk` has them.
macro_rules! real {
    ($($name:ident)+) => { $(real!(@$name);)+ };
    (@open) => {
        fn open(&self, path: &proglog::log::dir::FilePath) -> std::io::Result<DiskFile> {
            RealDisk.open(path)
        }
    };
    (@create) => {
        fn create(
            &self,
            path: &proglog::log::dir::FilePath,
            like: Option<proglog::log::disk::Ownership>,
        ) -> std::io::Result<DiskFile> {
            RealDisk.create(path, like)
        }
    };
    (@create_unnamed) => {
        fn create_unnamed(
            &self,
            dir: &proglog::log::dir::Dir,
            like: Option<proglog::log::disk::Ownership>,
        ) -> std::io::Result<DiskFile> {
            RealDisk.create_unnamed(dir, like)
        }
    };
    (@link) => {
        fn link(&self, file: &DiskFile, path: &proglog::log::dir::FilePath) -> std::io::Result<()> {
            RealDisk.link(file, path)
        }
    };
    (@create_dir) => {
        fn create_dir(&self, path: &proglog::log::dir::FilePath, mode: u32) -> std::io::Result<()> {
            RealDisk.create_dir(path, mode)
        }
    };
    (@write_at) => {
        fn write_at(&self, file: &DiskFile, bytes: &[u8], at: u64) -> std::io::Result<usize> {
            RealDisk.write_at(file, bytes, at)
        }
    };
    (@set_len) => {
        fn set_len(&self, file: &DiskFile, bytes: u64) -> std::io::Result<()> {
            RealDisk.set_len(file, bytes)
        }
    };
    (@sync_data) => {
        fn sync_data(&self, file: &DiskFile) -> std::io::Result<()> {
            RealDisk.sync_data(file)
        }
    };
    (@sync_dir) => {
        fn sync_dir(&self, path: &proglog::log::dir::Dir) -> std::io::Result<()> {
            RealDisk.sync_dir(path)
        }
    };
    (@remove) => {
        fn remove(&self, path: &proglog::log::dir::FilePath) -> std::io::Result<()> {
            RealDisk.remove(path)
        }
    };
    (@remove_dir) => {
        fn remove_dir(&self, path: &proglog::log::dir::FilePath) -> std::io::Result<()> {
            RealDisk.remove_dir(path)
        }
    };
    (@rename) => {
        fn rename(&self, from: &proglog::log::dir::FilePath, to: &proglog::log::dir::FilePath) -> std::io::Result<()> {
            RealDisk.rename(from, to)
        }
    };
}
