//! A pseudo-terminal as a serial line, with the device at its other end.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use rustix::{
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::unix::pipe,
};

/// Our end of the line.
#[derive(Debug)]
pub(super) struct Pty {
    // Both are the same terminal. Tokio's pipes work with any file descriptor that can be polled.
    reading: pipe::Receiver,
    writing: pipe::Sender,
    /// Kept open, so that the line stays open when its reader closes it.
    _theirs: OwnedFd,
    name: PathBuf,
    link: Option<PathBuf>,
}

impl Pty {
    /// Opens a line, and creates the symbolic link `link` to its name. The link of an earlier
    /// simulation is replaced; any other file is not.
    pub(super) fn open(link: Option<&Path>) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let name = PathBuf::from(name.to_string_lossy().into_owned());
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        // Bytes as they are: no echo, no lines, no signals.
        let mut raw = tcgetattr(&theirs)?;
        raw.make_raw();
        tcsetattr(&theirs, OptionalActions::Now, &raw)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        // A grant has an absolute path.
        let link = link.map(std::path::absolute).transpose()?;
        if let Some(link) = &link {
            if fs::read_link(link).is_ok_and(|old| old.starts_with("/dev/pts")) {
                fs::remove_file(link)?;
            }
            std::os::unix::fs::symlink(&name, link)?;
        }
        Ok(Self {
            writing: pipe::Sender::from_owned_fd_unchecked(ours.try_clone()?)?,
            reading: pipe::Receiver::from_owned_fd_unchecked(ours)?,
            _theirs: theirs,
            name,
            link,
        })
    }

    /// The path to open: the link, or the name from the system.
    pub(super) fn path(&self) -> &Path {
        self.link.as_deref().unwrap_or(&self.name)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Some(link) = &self.link
            && fs::read_link(link).is_ok_and(|target| target == self.name)
        {
            // If that fails, the next simulation replaces it.
            let _ = fs::remove_file(link);
        }
    }
}

impl AsyncRead for Pty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reading).poll_read(context, buffer)
    }
}

impl AsyncWrite for Pty {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writing).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writing).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writing).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn bytes_pass_unchanged_and_the_link_is_removed_with_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("line");
        let mut line = Pty::open(Some(&link)).unwrap();
        assert_eq!(line.path(), link);
        let mut theirs = fs::OpenOptions::new().read(true).write(true).open(&link).unwrap();
        // Bytes that a terminal would turn into signals, ends of line or echoes.
        let bytes = [3, 4, 10, 13, 17, 19, 26, 0, 255];
        theirs.write_all(&bytes).unwrap();
        let mut read = [0; 9];
        line.read_exact(&mut read).await.unwrap();
        assert_eq!(read, bytes);
        line.write_all(&bytes).await.unwrap();
        theirs.read_exact(&mut read).unwrap();
        assert_eq!(read, bytes);
        drop(line);
        assert!(fs::symlink_metadata(&link).is_err());
    }

    #[tokio::test]
    async fn link_of_an_earlier_simulation_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("line");
        std::os::unix::fs::symlink("/dev/pts/98765", &link).unwrap();
        drop(Pty::open(Some(&link)).unwrap());
        fs::write(&link, "mine").unwrap();
        assert_eq!(Pty::open(Some(&link)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&link).unwrap(), "mine");
    }
}
