//! File systems by their number in statfs(2): on which of them the kernel of this machine
//! alone controls who opens a file.

/// A container's layers, one above the other.
pub(super) const OVERLAY: u32 = 0x794c_7630;

/// NFS, SMB, CIFS and SMB2.
pub(super) const SERVED: [u32; 4] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42];

/// Those whose files are opened through this kernel and nowhere else.
const LOCAL: &[u32] = &[
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0xf2f5_2010, // f2fs
    0x2fc1_2fc1, // zfs
    0xca45_1a4e, // bcachefs
    0x4d44,      // vfat
    0x2011_bab0, // exfat
    0x7366_746e, // ntfs3
    0x3153_464a, // jfs
    0x3434,      // nilfs2
    0x5265_4973, // reiserfs
    0x4244,      // hfs
    0x482b,      // hfs+
    0x1501_3346, // udf
    0x7373_7168, // squashfs
    0xe0f5_e1e2, // erofs
    0x9660,      // iso9660
    OVERLAY,
];

/// The names of others that people know.
const OTHERS: &[(u32, &str)] = &[
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x0bd0_0bd0, "Lustre"),
    (0xf15f, "eCryptfs"),
    (0x786f_4256, "vboxsf"),
];

/// Whether files of it are opened through this kernel only.
pub(super) fn is_local(kind: u32) -> bool {
    LOCAL.contains(&kind)
}

/// Its common name.
pub(super) fn name(kind: Option<u32>) -> String {
    let known = OTHERS.iter().find(|(number, _)| Some(*number) == kind);
    match (known, kind) {
        (Some((_, name)), _) => (*name).to_owned(),
        (None, Some(kind)) => format!("an unknown file system ({kind:#x})"),
        (None, None) => "an unknown file system".to_owned(),
    }
}
