//! The mappings themselves: the only code of this crate that is unsafe.
//!
//! Two views exist and never both of one mapping: [`SharedWords`] for memory that another process may be changing
//! (atomics only), [`SealedBytes`] for a memory file sealed against every change (a plain slice).

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};

/// Bytes per word of shared memory.
pub(crate) const WORD: usize = 8;

/// `SECRETMEM_MAGIC` of `linux/magic.h`: the file system type behind `memfd_secret`.
const SECRETMEM_MAGIC: u64 = 0x5345_434d;

/// A memory file could not be made, measured or mapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The kernel refused an operation.
    #[error(
        "cannot {operation} shared memory of {bytes} bytes: {source}; check free memory and the limits of the service (RLIMIT_NOFILE, RLIMIT_MEMLOCK)"
    )]
    System {
        /// What was tried.
        operation: &'static str,
        /// The size asked for, bytes.
        bytes: usize,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// The file descriptor's size does not fit what it is said to hold.
    #[error(
        "shared memory has {found} bytes, expected between {min} and {max}; the other process is of another version"
    )]
    Size {
        /// Bytes found.
        found: u64,
        /// Least bytes acceptable.
        min: usize,
        /// Most bytes acceptable.
        max: usize,
    },
    /// The memory file could still be shrunk or changed by its maker.
    #[error(
        "shared memory is not sealed as agreed; the file descriptor did not come from the other process of this appliance"
    )]
    NotSealed,
}

impl MemoryError {
    fn system(operation: &'static str, bytes: usize, errno: Errno) -> Self {
        Self::System {
            operation,
            bytes,
            source: errno.into(),
        }
    }
}

/// One mapping of a whole memory file; unmapped on drop.
struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a `Mapping` owns its address range alone (nothing else unmaps it), and both views over it (`SharedWords`:
// atomics; `SealedBytes`: memory nobody can change) may be used from any thread.
unsafe impl Send for Mapping {}
// SAFETY: shared access goes through atomics or reads memory that nobody can change; see `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, bytes: usize, protection: ProtFlags) -> Result<Self, MemoryError> {
        // SAFETY: the address is left to the kernel, so no existing mapping is replaced; `fd` is open for the call; the
        // length is not zero (callers checked it against a minimum above zero).
        let address = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                bytes,
                protection,
                MapFlags::SHARED,
                fd,
                0,
            )
        }
        .map_err(|errno| MemoryError::system("map", bytes, errno))?;
        let base = NonNull::new(address.cast::<u8>()).ok_or(MemoryError::system(
            "map",
            bytes,
            Errno::FAULT,
        ))?;
        Ok(Self { base, bytes })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and length are those of the mapping made in `new`, nothing else unmaps it, and every reference
        // into it borrows from its owner, which is going away.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "unmapping a range that was mapped");
    }
}

/// Memory that another process may be reading and writing at the same time: words, through atomics only.
pub(crate) struct SharedWords {
    mapping: Mapping,
}

impl SharedWords {
    /// A new memory file of `bytes` (rounded up to whole pages by the kernel), all zero, its size fixed for good.
    pub(crate) fn create(name: &str, bytes: usize) -> Result<(Self, OwnedFd), MemoryError> {
        let fd = memory_file(name, bytes)?;
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
            .map_err(|errno| MemoryError::system("seal", bytes, errno))?;
        let mapping = Mapping::new(fd.as_fd(), bytes, ProtFlags::READ | ProtFlags::WRITE)?;
        Ok((Self { mapping }, fd))
    }

    /// Secret memory: `memfd_secret(2)` where the kernel has it, else a locked memory file left out of core dumps.
    /// The second value says which.
    pub(crate) fn create_secret(
        name: &str,
        bytes: usize,
    ) -> Result<(Self, OwnedFd, bool), MemoryError> {
        if let Some((words, fd)) = Self::create_kernel_secret(bytes) {
            return Ok((words, fd, true));
        }
        let (words, fd) = Self::create(name, bytes)?;
        words.protect()?;
        Ok((words, fd, false))
    }

    fn create_kernel_secret(bytes: usize) -> Option<(Self, OwnedFd)> {
        // SAFETY: the system call takes one integer flag and touches no memory of ours.
        let raw = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::FD_CLOEXEC) };
        let raw = i32::try_from(raw).ok().filter(|fd| *fd >= 0)?;
        // SAFETY: the kernel has just returned this descriptor and nothing else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        rustix::fs::ftruncate(&fd, bytes as u64).ok()?;
        // A low RLIMIT_MEMLOCK shows here; the locked memory file is tried next and names it.
        let mapping = Mapping::new(fd.as_fd(), bytes, ProtFlags::READ | ProtFlags::WRITE).ok()?;
        Some((Self { mapping }, fd))
    }

    /// Maps a memory file that the peer made, after checking that it cannot shrink under us (which would be a bus
    /// error at the next access) and that its size lies within the bounds.
    pub(crate) fn open(
        fd: BorrowedFd<'_>,
        min: usize,
        max: usize,
        writable: bool,
    ) -> Result<Self, MemoryError> {
        if !is_secret(fd) && !has_seals(fd, SealFlags::SHRINK) {
            return Err(MemoryError::NotSealed);
        }
        let bytes = size_within(fd, min, max)?;
        let protection = if writable {
            ProtFlags::READ | ProtFlags::WRITE
        } else {
            ProtFlags::READ
        };
        Ok(Self {
            mapping: Mapping::new(fd, bytes, protection)?,
        })
    }

    /// Keeps the pages out of swap and out of core dumps. Secret memory is so by nature and needs neither.
    pub(crate) fn protect(&self) -> Result<(), MemoryError> {
        let (address, bytes) = (self.mapping.base.as_ptr().cast(), self.mapping.bytes);
        // SAFETY: the range is exactly the live mapping this value owns; locking changes no content.
        unsafe { rustix::mm::mlock(address, bytes) }
            .map_err(|errno| MemoryError::system("lock", bytes, errno))?;
        // SAFETY: the range is exactly the live mapping this value owns; the advice changes no content.
        unsafe { rustix::mm::madvise(address, bytes, Advice::LinuxDontDump) }
            .map_err(|errno| MemoryError::system("leave out of dumps", bytes, errno))
    }

    /// The memory as words; a trailing part of a word is not shown.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        let base = self.mapping.base.as_ptr().cast::<AtomicU64>();
        // SAFETY: the mapping is page-aligned (so aligned for `AtomicU64`), lives as long as `self`, spans at least
        // `bytes / 8` whole words of initialised memory that cannot shrink (sealed, or secret memory, whose size is
        // fixed once set), and in this process is only ever accessed through atomics.
        unsafe { std::slice::from_raw_parts(base, self.mapping.bytes / WORD) }
    }

    /// Overwrites everything with zero, in order and not to be optimised away.
    pub(crate) fn zeroise(&self) {
        for word in self.words() {
            word.store(0, Ordering::SeqCst);
        }
    }
}

/// A memory file that nobody can change any more: every seal is set.
pub(crate) struct SealedBytes {
    mapping: Mapping,
}

impl SealedBytes {
    /// Makes and seals a memory file with `parts` one after the other.
    pub(crate) fn seal(name: &str, parts: &[&[u8]]) -> Result<OwnedFd, MemoryError> {
        use std::io::Write;
        let bytes = parts.iter().map(|part| part.len()).sum();
        let fd = memory_file(name, bytes)?;
        let mut file = std::fs::File::from(fd);
        for part in parts {
            file.write_all(part).map_err(|source| MemoryError::System {
                operation: "write",
                bytes,
                source,
            })?;
        }
        let fd = OwnedFd::from(file);
        rustix::fs::fcntl_add_seals(&fd, Self::SEALS)
            .map_err(|errno| MemoryError::system("seal", bytes, errno))?;
        Ok(fd)
    }

    /// Maps a memory file after checking that every seal is set.
    pub(crate) fn open(fd: BorrowedFd<'_>, min: usize, max: usize) -> Result<Self, MemoryError> {
        if !has_seals(fd, Self::SEALS) {
            return Err(MemoryError::NotSealed);
        }
        let bytes = size_within(fd, min, max)?;
        Ok(Self {
            mapping: Mapping::new(fd, bytes, ProtFlags::READ)?,
        })
    }

    /// The content.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping lives as long as `self` and spans `bytes` initialised bytes; the seals checked in `open`
        // (shrink, grow, write, seal) mean that no process can change or shorten them.
        unsafe { std::slice::from_raw_parts(self.mapping.base.as_ptr(), self.mapping.bytes) }
    }

    const SEALS: SealFlags = SealFlags::SHRINK
        .union(SealFlags::GROW)
        .union(SealFlags::WRITE)
        .union(SealFlags::SEAL);
}

fn memory_file(name: &str, bytes: usize) -> Result<OwnedFd, MemoryError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag that forbids execution.
    let fd = rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| rustix::fs::memfd_create(name, flags))
        .map_err(|errno| MemoryError::system("create", bytes, errno))?;
    rustix::fs::ftruncate(&fd, bytes as u64)
        .map_err(|errno| MemoryError::system("size", bytes, errno))?;
    Ok(fd)
}

fn has_seals(fd: BorrowedFd<'_>, seals: SealFlags) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|found| found.contains(seals))
}

/// True for a descriptor of `memfd_secret`: its size is fixed once set and its pages leave no other trace.
pub(crate) fn is_secret(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatfs(fd)
        .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == SECRETMEM_MAGIC))
}

fn size_within(fd: BorrowedFd<'_>, min: usize, max: usize) -> Result<usize, MemoryError> {
    let found = rustix::fs::fstat(fd)
        .map_err(|errno| MemoryError::system("measure", 0, errno))?
        .st_size;
    let found = u64::try_from(found).unwrap_or(0);
    usize::try_from(found)
        .ok()
        .filter(|bytes| (min.max(1)..=max).contains(bytes))
        .ok_or(MemoryError::Size { found, min, max })
}
