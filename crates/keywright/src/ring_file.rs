//! The master keys, in a file that is not the database.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, bail};
use crypto::ring::KeyRing;

use crate::entropy::ThreadEntropy;

/// Reads the key ring.
pub(crate) fn read(path: &Path) -> anyhow::Result<KeyRing> {
    let text = zeroize::Zeroizing::new(
        fs::read_to_string(path).with_context(|| format!("the master key file {} cannot be read", path.display()))?,
    );
    warn_if_open(path);
    KeyRing::parse(&text).with_context(|| format!("the master key file {} is damaged", path.display()))
}

/// Reads the key ring, or makes one that only its owner may read.
pub(crate) fn read_or_create(path: &Path) -> anyhow::Result<KeyRing> {
    if path.exists() {
        return read(path);
    }
    let ring = KeyRing::generate(&mut ThreadEntropy);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("the master key file {} cannot be made", path.display()))?;
    file.write_all(ring.to_text().as_bytes())?;
    file.sync_all()?;
    Ok(ring)
}

/// Replaces the key ring as a whole: either the old one or the new one is there, never a half.
pub(crate) fn replace(path: &Path, ring: &KeyRing) -> anyhow::Result<()> {
    let Some(folder) = path.parent() else { bail!("{} is no file", path.display()) };
    let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o600)).tempfile_in(folder)?;
    file.write_all(ring.to_text().as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).with_context(|| format!("the master key file {} cannot be replaced", path.display()))?;
    Ok(())
}

fn warn_if_open(path: &Path) {
    let Ok(metadata) = fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "others can read the master key file; chmod 600 it");
    }
}
