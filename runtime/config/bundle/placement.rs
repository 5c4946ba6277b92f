//! Putting a finished directory in the place of an older one, so that a reader finds the one or the other, never a part.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::manifest::{BundleDirectoryError, MANIFEST};

/// A directory that is there may be replaced when it is a bundle or empty.
pub(super) fn check_replaceable(directory: &Path) -> Result<(), BundleDirectoryError> {
    let entries = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            return Err(BundleDirectoryError::Write { path: directory.to_owned(), error });
        }
    };
    if entries && !directory.join(MANIFEST).is_file() {
        return Err(BundleDirectoryError::Occupied { directory: directory.to_owned() });
    }
    Ok(())
}

/// A path beside `directory`, of this process alone.
pub(super) fn sibling(directory: &Path, purpose: &str) -> Result<PathBuf, BundleDirectoryError> {
    let failed = |error| BundleDirectoryError::Write { path: directory.to_owned(), error };
    let absolute = std::path::absolute(directory).map_err(failed)?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy();
    Ok(absolute.with_file_name(format!(".{name}.{purpose}-{}", std::process::id())))
}

pub(super) fn remove_if_there(directory: &Path) -> Result<(), BundleDirectoryError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BundleDirectoryError::Write { path: directory.to_owned(), error })
        }
        _ => Ok(()),
    }
}

/// Renames `staging` to `directory`; what was there is moved aside first, since a rename replaces only an empty one.
pub(super) fn put_in_place(staging: &Path, directory: &Path) -> Result<(), BundleDirectoryError> {
    let failed = |error| BundleDirectoryError::Write { path: directory.to_owned(), error };
    let old = sibling(directory, "old")?;
    remove_if_there(&old)?;
    let replaced = directory.exists();
    if replaced {
        fs::rename(directory, &old).map_err(failed)?;
    }
    if let Err(error) = fs::rename(staging, directory) {
        if replaced {
            // Puts the old bundle back; the error to report is the first.
            let _ = fs::rename(&old, directory);
        }
        return Err(failed(error));
    }
    remove_if_there(&old)
}
