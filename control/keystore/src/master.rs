//! The master key's file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::limits::MASTER_KEY_BYTES;

/// Owner alone, read and write.
const MODE: u32 = 0o600;

/// What group and others may do: nothing.
const OTHERS: u32 = 0o077;

/// The master key was not taken or not made.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read.
    #[error("the master key {} cannot be read: {source}; check that this user owns it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file cannot be made.
    #[error("the master key {} cannot be made: {source}; check that its directory exists and that this user may write there", path.display())]
    NotMade {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Group or others may read or write the file.
    #[error(
        "the master key {} is open to others (mode {mode:04o}); if nobody has read it, run `chmod 600` on it, otherwise replace it and import all private keys again",
        path.display()
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file belongs to somebody else.
    #[error("the master key {} belongs to user {owner}, not to this user ({user}); run `chown` on it, or run as its owner", path.display())]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// It is no regular file of 32 random bytes.
    #[error("the master key {} is damaged ({what}); put it back from its backup, nothing else opens the stored private keys", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

pub(crate) fn read_or_create(
    path: &Path,
) -> Result<Zeroizing<[u8; MASTER_KEY_BYTES]>, MasterKeyError> {
    match read(path) {
        Err(MasterKeyError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {
            create(path).map_err(|source| MasterKeyError::NotMade {
                path: path.to_owned(),
                source,
            })?;
            read(path)
        }
        done => done,
    }
}

fn read(path: &Path) -> Result<Zeroizing<[u8; MASTER_KEY_BYTES]>, MasterKeyError> {
    let unreadable = |source| MasterKeyError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let damaged = |what| MasterKeyError::Damaged {
        path: path.to_owned(),
        what,
    };
    // A link could point to a file that others made; a pipe would hold the process up.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(damaged("it is not a regular file"));
    }
    if found.mode() & OTHERS != 0 {
        return Err(MasterKeyError::OpenToOthers {
            path: path.to_owned(),
            mode: found.mode() & 0o7777,
        });
    }
    let user = rustix::process::geteuid().as_raw();
    if found.uid() != user {
        return Err(MasterKeyError::OtherOwner {
            path: path.to_owned(),
            owner: found.uid(),
            user,
        });
    }
    if usize::try_from(found.len()) != Ok(MASTER_KEY_BYTES) {
        return Err(damaged("it does not have 32 bytes"));
    }
    let mut key = Zeroizing::new([0; MASTER_KEY_BYTES]);
    file.read_exact(&mut key[..]).map_err(unreadable)?;
    if key.iter().all(|&byte| byte == key[0]) {
        return Err(damaged("all its bytes are the same"));
    }
    Ok(key)
}

/// Writes a new key beside `path` and links it there, so that the file is whole from its first moment and never overwrites
/// another: of two processes at once, one key stays and both then read it.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; MASTER_KEY_BYTES]);
    SystemRandom::new()
        .fill(&mut key[..])
        .map_err(|_| io::Error::other("the system's random generator failed"))?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".new-{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&unfinished)?;
    let linked = file
        .write_all(&key[..])
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&unfinished, path));
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(directory(path))?.sync_all(),
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
