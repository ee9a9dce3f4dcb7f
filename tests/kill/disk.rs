//! The disk that the data folder is on, whose power can be cut if it is a disk of its own.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// The size of the image of a disk. It is sparse.
const DISK_BYTES: u64 = 2 << 30;

/// Shuts an ext4 file system down as it is: what has not reached the disk yet is dropped, the journal included
/// (`EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`, as in the tests of Linux file systems).
const CUT: &str = "import fcntl, os, struct, sys
folder = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(folder, 0x8004587D, struct.pack('I', 2))
";

/// Where the data folder is.
pub(crate) struct Disk {
    folder: TempDir,
    /// Whether it is an ext4 file system of its own.
    is_mounted: bool,
}

impl Disk {
    /// A temporary folder.
    pub(crate) fn folder() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            is_mounted: false,
        }
    }

    /// A file system of its own in a temporary folder.
    pub(crate) fn mounted() -> Self {
        let mut disk = Self::folder();
        let image = std::fs::File::create(disk.image()).expect("writable");
        image.set_len(DISK_BYTES).expect("a sparse file");
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F"])
            .arg(disk.image()));
        std::fs::create_dir(disk.root()).expect("writable");
        disk.mount();
        disk.is_mounted = true;
        disk
    }

    /// The data folder.
    pub(crate) fn path(&self) -> PathBuf {
        match self.is_mounted {
            true => self.root().join("data"),
            false => self.folder.path().to_owned(),
        }
    }

    /// Cuts the power, and turns it on again, if the disk has any of its own.
    pub(crate) fn cut_power(&self) {
        if self.is_mounted {
            run(Command::new("python3").args(["-c", CUT]).arg(self.root()));
            run(Command::new("umount").arg(self.root()));
            self.mount();
        }
    }

    fn mount(&self) {
        run(Command::new("mount")
            .args(["-o", "loop"])
            .args([self.image(), self.root()]));
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            // after a failed test a process may still be on it
            Command::new("umount")
                .arg("-l")
                .arg(self.root())
                .status()
                .ok();
        }
    }
}

fn run(command: &mut Command) {
    let status = command.status();
    let status = status.unwrap_or_else(|error| panic!("{command:?} does not run: {error}"));
    assert!(
        status.success(),
        "{command:?} failed: power cuts need root, loop devices and Python"
    );
}
