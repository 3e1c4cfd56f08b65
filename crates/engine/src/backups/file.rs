//! A backup as a file: the database, and behind it a line that says what it is and what all of it hashes to.
//!
//! The stamp stands at the end, so that nothing is copied twice; SQLite reads the pages that its own header counts and does
//! not mind what comes after them. The hash finds damage, not forgery: who can write a backup can write its hash.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the last line begins with, behind the line's end before it.
const MARK: &[u8] = b"\nkeywright-backup ";
/// What stands between the stamp and the hash of everything before.
const HASH: &str = " sha256:";
/// How a file of SQLite begins.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// The longest stamp.
const TAIL_BYTES_MAX: u64 = 16 * 1024;
const CHUNK_BYTES: usize = 256 * 1024;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The release that made it.
    pub release: String,
    /// Migrations that were done in it: a release that knows fewer cannot read it.
    pub schema: u32,
    /// When copying began: everything that was answered before is in it.
    pub made_at: Timestamp,
    /// Vendors.
    pub tenants: u64,
    /// Licenses of all vendors.
    pub licenses: u64,
    /// The ids of the master keys that open what is sealed in it. The keys themselves are not in it.
    pub master_keys: Vec<String>,
    /// How long the database is, in bytes.
    pub database_bytes: u64,
}

/// Why a file cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum BadBackup {
    /// It is something else.
    #[error("{0} is no backup of Keywright; name a file that `keywright backup` has made")]
    Foreign(PathBuf),
    /// It begins well and has no end.
    #[error(
        "{0} is a database without the stamp of a backup at its end: it was cut off while it was copied, or `keywright backup` \
         has not made it; take another copy"
    )]
    CutOff(PathBuf),
    /// It is longer or shorter than its stamp says, or its content is another.
    #[error("{file} was damaged since it was made: {problem}; take another copy")]
    Damaged {
        /// Which one.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It cannot be read or written.
    #[error("{file}: {source}")]
    File {
        /// Which one.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl BadBackup {
    fn damaged(file: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), problem: problem.into() }
    }

    pub(super) fn file(file: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::File { file: file.to_owned(), source }
    }
}

/// Makes a file that only its owner may read, where there is none yet.
///
/// # Errors
/// There is one, or it cannot be made.
pub fn make_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Puts the stamp behind a database, and all of it on the disk. Returns how long the file is then.
pub(super) fn stamp(path: &Path, stamp: &Stamp) -> io::Result<u64> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    let mut hash = Sha256::new();
    copy(&mut (&file).take(stamp.database_bytes), &mut io::sink(), &mut hash)?;
    let line = [MARK, &serde_json::to_vec(stamp)?].concat();
    hash.update(&line);
    file.write_all(&line)?;
    file.write_all(format!("{HASH}{}\n", hex::encode(hash.finalize())).as_bytes())?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// Has a folder remember what was renamed in it.
///
/// # Errors
/// The disk does not take it.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The stamp of a backup, as far as it is there; whether the rest is whole is not looked at.
///
/// # Errors
/// It is not a backup, or has no end.
pub fn read_stamp(path: &Path) -> Result<Stamp, BadBackup> {
    Ok(Tail::read(path)?.stamp)
}

/// Reads a backup from its first byte to its last, and writes the database that is in it to `to`.
///
/// # Errors
/// It is not a backup, was cut off or damaged, or cannot be read; what was written to `to` is worth nothing then.
pub fn unpack(path: &Path, to: &mut dyn Write) -> Result<Stamp, BadBackup> {
    let Tail { stamp, line, hash: said } = Tail::read(path)?;
    let failed = BadBackup::file(path);
    let mut file = File::open(path).map_err(&failed)?;
    let mut hash = Sha256::new();
    copy(&mut (&mut file).take(stamp.database_bytes), to, &mut hash).map_err(&failed)?;
    hash.update(&line);
    if hex::encode(hash.finalize()) != said {
        return Err(BadBackup::damaged(path, "its content does not have the hash that its stamp says"));
    }
    Ok(stamp)
}

/// Copies all, and hashes it on the way.
fn copy(from: &mut impl Read, to: &mut dyn Write, hash: &mut Sha256) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            read => {
                hash.update(&chunk[..read]);
                to.write_all(&chunk[..read])?;
            }
        }
    }
}

/// The end of a backup.
struct Tail {
    stamp: Stamp,
    /// The stamp as it stands there, with its mark.
    line: Vec<u8>,
    /// What everything up to there hashes to, in hexadecimal.
    hash: String,
}

impl Tail {
    fn read(path: &Path) -> Result<Self, BadBackup> {
        let failed = BadBackup::file(path);
        let mut file = File::open(path).map_err(&failed)?;
        let length = file.metadata().map_err(&failed)?.len();
        let mut beginning = [0; SQLITE.len()];
        let begins_well = file.read_exact(&mut beginning).is_ok() && beginning == SQLITE;
        if !begins_well {
            return Err(BadBackup::Foreign(path.to_owned()));
        }
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES_MAX))).map_err(&failed)?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).map_err(&failed)?;
        let cut_off = || BadBackup::CutOff(path.to_owned());
        let at = tail.windows(MARK.len()).rposition(|window| window == MARK).ok_or_else(cut_off)?;
        let line = std::str::from_utf8(&tail[at..]).map_err(|_| cut_off())?;
        let (line, hash) = line.rsplit_once(HASH).ok_or_else(cut_off)?;
        let hash = hash.strip_suffix('\n').filter(|hash| hash.len() == 64).ok_or_else(cut_off)?;
        let stamp: Stamp = serde_json::from_str(&line[MARK.len()..])
            .map_err(|error| BadBackup::damaged(path, format!("its stamp does not read: {error}")))?;
        let before = length - (tail.len() - at) as u64;
        if stamp.database_bytes != before {
            let problem = format!("it has {before} bytes before its stamp, which says {}", stamp.database_bytes);
            return Err(BadBackup::damaged(path, problem));
        }
        Ok(Self { stamp, line: line.as_bytes().to_vec(), hash: hash.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(database: &[u8]) -> Stamp {
        Stamp {
            release: "0.1.0".to_owned(),
            schema: 1,
            made_at: Timestamp::UNIX_EPOCH,
            tenants: 2,
            licenses: 412,
            master_keys: vec!["598f4616".to_owned()],
            database_bytes: database.len() as u64,
        }
    }

    /// A file as a backup is made of it, and its bytes.
    fn made(folder: &Path) -> (PathBuf, Vec<u8>, Vec<u8>) {
        let path = folder.join("one.backup");
        let database = [SQLITE, &[7; 300_000], b"\nkeywright-backup {}"].concat();
        make_private(&path).unwrap().write_all(&database).unwrap();
        stamp(&path, &sample(&database)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        (path, database, whole)
    }

    #[test]
    fn what_was_put_in_comes_out() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, database, _) = made(folder.path());
        let mut out = Vec::new();
        assert_eq!(unpack(&path, &mut out).unwrap(), sample(&database));
        assert!(out == database, "every byte of it");
        assert_eq!(read_stamp(&path).unwrap(), sample(&database));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_not_whole_is_refused_and_told_why() {
        let folder = tempfile::tempdir().unwrap();
        let (path, database, whole) = made(folder.path());
        let changed = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        let digit = whole.windows(12).position(|window| window == b"\"tenants\":2,").unwrap() + 10;
        let shorter = [&whole[..1_000], &whole[1_001..]].concat();
        for (bytes, said) in [
            (Vec::new(), "no backup of Keywright"),
            (b"PK\x03\x04 an archive of something else".to_vec(), "no backup of Keywright"),
            (changed(3), "no backup of Keywright"),
            (database, "without the stamp"),
            (whole[..200_000].to_vec(), "without the stamp"),
            (whole[..whole.len() - 1].to_vec(), "without the stamp"),
            (whole[..whole.len() - 70].to_vec(), "without the stamp"),
            ([&whole[..], b"more"].concat(), "without the stamp"),
            (shorter, "300035 bytes before its stamp, which says 300036"),
            (changed(1_000), "does not have the hash"),
            (changed(digit), "does not have the hash"),
            (changed(whole.len() - 5), "does not have the hash"),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            let refused = unpack(&path, &mut io::sink()).unwrap_err().to_string();
            assert!(refused.contains(said), "{said}: {refused}");
        }
    }
}
