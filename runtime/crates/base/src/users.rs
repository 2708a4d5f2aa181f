//! Users of this machine: their names, and work with their permissions.
#![expect(unsafe_code, reason = "the C library's look-ups, and the ids of a single thread, have no safe binding here")]

use std::{
    ffi::{CStr, CString, c_char},
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    ptr, thread,
};

/// Space for the entry of a user, in bytes.
const ENTRY: usize = 16 << 10;
/// The maximum number of groups of a user: that of the kernel.
const MOST_GROUPS: usize = 65_536;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    uid: u32,
    gid: u32,
    /// As the machine's database of users has it.
    name: Option<CString>,
}

impl User {
    /// The user that this process runs as.
    pub fn current() -> Self {
        Self::of(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    /// The owner of a file or folder, if there is one at this path.
    pub fn owner_of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self::of(found.uid(), found.gid()))
    }

    /// The user with this number. The group is for one that the database does not have.
    fn of(uid: u32, gid: u32) -> Self {
        match look_up(uid) {
            Some((name, gid)) => Self { uid, gid, name: Some(name) },
            None => Self { uid, gid, name: None },
        }
    }

    /// Its number.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Whether both are the same user.
    pub fn is(&self, other: &Self) -> bool {
        self.uid == other.uid
    }

    /// Whether it is root.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// The user as a word of a shell, for `sudo -u`: the name, else `'#998'`.
    pub fn argument(&self) -> String {
        match &self.name {
            Some(name) => name.to_string_lossy().into_owned(),
            None => format!("'#{}'", self.uid),
        }
    }

    /// Does `work` with the permissions of this user and of the user's groups, for which this
    /// process has to be root.
    ///
    /// # Errors
    ///
    /// When the permissions cannot be taken on, before any work.
    pub fn does<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let groups = self.groups();
        // To Linux each thread has ids of its own. This one ends with the work.
        let work = || take_on(self.uid, self.gid, &groups).map(|()| work());
        let done = thread::scope(|scope| scope.spawn(work).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// All groups of the user.
    fn groups(&self) -> Vec<libc::gid_t> {
        let Some(name) = &self.name else { return vec![self.gid] };
        let mut groups = vec![0; MOST_GROUPS];
        let mut count = libc::c_int::try_from(groups.len()).unwrap_or(0);
        // SAFETY: `name` is a C string, and `groups` has room for `count` numbers.
        let found = unsafe { libc::getgrouplist(name.as_ptr(), self.gid, groups.as_mut_ptr(), &raw mut count) };
        groups.truncate(if found < 0 { 0 } else { usize::try_from(count).unwrap_or(0) });
        groups
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "user {} ({})", name.to_string_lossy(), self.uid),
            None => write!(formatter, "user {}", self.uid),
        }
    }
}

/// The name and the group of a user, by the machine's database.
fn look_up(uid: u32) -> Option<(CString, u32)> {
    let mut buffer = vec![0 as c_char; ENTRY];
    // SAFETY: `passwd` is a C struct of integers and pointers, for which all zeroes is a value.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = ptr::null_mut();
    // SAFETY: all pointers are to live values of the declared types, and `buffer` has the given size.
    let status = unsafe { libc::getpwuid_r(uid, &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found) };
    if status != 0 || found.is_null() || entry.pw_name.is_null() {
        return None;
    }
    // SAFETY: after success `pw_name` is a C string in `buffer`, which is still alive.
    let name = unsafe { CStr::from_ptr(entry.pw_name) }.to_owned();
    Some((name, entry.pw_gid))
}

/// Gives this thread the ids of another user, and nothing of root's.
fn take_on(uid: u32, gid: u32, groups: &[libc::gid_t]) -> io::Result<()> {
    let set = |status: libc::c_long| if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // The functions of the C library would change all threads.
    // SAFETY: `groups` has as many numbers as its length says; the other two take no pointers.
    unsafe {
        set(libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()))?;
        set(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        set(libc::syscall(libc::SYS_setresuid, uid, uid, uid))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::User;

    #[test]
    fn root_has_its_name_and_an_unknown_user_a_number() {
        let root = User::of(0, 0);
        assert_eq!((root.to_string().as_str(), root.argument().as_str()), ("user root (0)", "root"));
        let unknown = User::of(54_321, 7);
        assert_eq!((unknown.to_string().as_str(), unknown.argument().as_str()), ("user 54321", "'#54321'"));
    }

    #[test]
    fn work_as_another_user_has_that_users_permissions_and_other_threads_keep_theirs() {
        if !User::current().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, "x").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let read = User::of(54_321, 54_321).does(|| fs::read(&secret).map_err(|error| error.kind())).unwrap();
        assert_eq!(read, Err(std::io::ErrorKind::PermissionDenied));
        assert!(fs::read(&secret).is_ok());
    }
}
