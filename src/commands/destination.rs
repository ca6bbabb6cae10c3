//! Where fetched messages are written: stdout, a file, or a file each in a
//! directory.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use uuid::Uuid;

use super::UsageError;
use super::output::Stdout;

/// What is written, which names a directory's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    Json,
    /// The value's bytes.
    Payload,
    /// The object's bytes.
    Bson,
}

impl Form {
    fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Json => "json",
            Self::Payload => "payload",
            Self::Bson => "bson",
        }
    }
}

pub(super) enum Destination {
    Stdout(Stdout),
    File(PathBuf),
    /// `<uuid>.<extension>` in it.
    Directory(PathBuf),
}

impl Destination {
    /// `output` is a directory if it is one, ends in `/`, or is for several
    /// messages; then it is made where it is missing.
    pub fn open(output: Option<&Path>, is_for_several: bool) -> anyhow::Result<Self> {
        let Some(path) = output else {
            return Ok(Self::Stdout(Stdout::new()));
        };
        let ends_in_slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if !(is_for_several || ends_in_slash || path.is_dir()) {
            return Ok(Self::File(path.to_owned()));
        }
        if path.exists() && !path.is_dir() {
            return Err(UsageError(format!(
                "--output {}: several messages are written into a directory, and this is none",
                path.display()
            ))
            .into());
        }
        fs::create_dir_all(path)
            .with_context(|| format!("the directory {} cannot be made", path.display()))?;
        Ok(Self::Directory(path.to_owned()))
    }

    /// Whether a person looks at it as it is written.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout(out) if out.is_terminal())
    }

    /// Writes what `write` writes, for the message of `uuid`. A file appears
    /// whole or not at all, and replaces one that was there.
    pub fn put(
        &mut self,
        uuid: Uuid,
        form: Form,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let path = match self {
            Self::Stdout(out) => return Ok(write(out).and_then(|()| out.flush())?),
            Self::File(path) => path.clone(),
            Self::Directory(folder) => folder.join(format!("{uuid}.{}", form.extension())),
        };
        replace(&path, write).with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// Via a temporary file beside it. What is no plain file (a pipe, /dev/null) is
/// written to and not replaced; a symbolic link stays one.
fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let target = match fs::metadata(path) {
        Ok(there) if there.is_file() => path.canonicalize()?,
        Ok(_) => return write(&mut File::options().write(true).open(path)?),
        Err(_) => path.to_owned(),
    };
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // As any new file: readable by whom the umask lets.
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    let mut buffered = io::BufWriter::new(file.as_file_mut());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    file.persist(&target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(destination: &mut Destination, bytes: &[u8]) -> anyhow::Result<()> {
        destination.put(Uuid::nil(), Form::Bson, |out| out.write_all(bytes))
    }

    #[test]
    fn several_messages_go_into_a_directory_that_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("made/here");
        let mut destination = Destination::open(Some(&path), true).expect("a destination");
        put(&mut destination, b"bytes").expect("written");
        let file = path.join("00000000-0000-0000-0000-000000000000.bson");
        assert_eq!(fs::read(file).expect("a file"), b"bytes");
    }

    #[test]
    fn several_messages_do_not_go_into_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(Destination::open(Some(file.path()), true).is_err());
    }

    #[test]
    fn a_file_is_replaced_and_a_link_to_it_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old and longer").expect("written");
        std::os::unix::fs::symlink("file", &link).expect("a link");
        let mut destination = Destination::open(Some(&link), false).expect("a destination");
        put(&mut destination, b"new").expect("written");
        assert_eq!(fs::read(&file).expect("a file"), b"new");
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }

    #[test]
    fn what_fails_half_way_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "old").expect("written");
        let mut destination = Destination::open(Some(&path), false).expect("a destination");
        let half = destination.put(Uuid::nil(), Form::Bson, |out| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(half.is_err());
        assert_eq!(fs::read(&path).expect("a file"), b"old");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        let mut destination =
            Destination::open(Some(Path::new("/dev/null")), false).expect("a destination");
        put(&mut destination, b"bytes").expect("written");
        assert!(!fs::metadata("/dev/null").expect("a device").is_file());
    }
}
