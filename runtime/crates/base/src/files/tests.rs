use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
    sync::mpsc,
    time::Duration,
};

use super::{
    Exposure, How, check_writable, create_folders, create_new,
    exposure::{Trusted, Walk},
    exposures, exposures_of_folder, exposures_of_secret, folder_of, open, open_or_create,
    owned::{WAYS, first_supported},
    read, read_text, rename_new,
};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The exposures that this user finds for the file itself.
fn found_by(us: u32, path: &Path) -> Vec<How> {
    let walk = Walk::of(path, Trusted { user: us, unmapped: None });
    walk.found.iter().filter(|exposure| exposure.path == path).map(|exposure| exposure.how).collect()
}

#[test]
fn folder_that_does_not_exist_is_writable_unless_a_file_is_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(check_writable(&folder.path().join("a/b")), Ok(()));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let why = check_writable(&file.join("a")).unwrap_err();
    assert!(why.starts_with(&format!("in {}: ", file.display())), "{why}");
}

#[test]
fn folder_of_a_path_that_is_only_a_name_is_the_current_one() {
    for (path, folder) in [("/d/f", "/d"), ("d/f", "d"), ("f", "."), ("./f", ".")] {
        assert_eq!(folder_of(Path::new(path)), Path::new(folder), "{path}");
    }
    assert_eq!(check_writable(folder_of(Path::new("f"))), Ok(()));
}

#[test]
fn sticky_folder_to_which_others_can_add_files_is_exposed_as_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let refused = || exposures_of_folder(&folder).iter().filter(|exposure| exposure.is_refused()).count();
    for (bits, expected) in [(0o755, 0), (0o1755, 0), (0o777, 1), (0o1777, 1)] {
        mode(&folder, bits);
        assert_eq!(refused(), expected, "{bits:o}");
    }
    assert_eq!(exposures(&folder), [], "as a part of a path it is not exposed");
    assert_eq!(exposures_of_folder(&root.path().join("missing")), []);
}

#[test]
fn only_regular_files_are_opened_and_nothing_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    symlink(at("pipe"), at("link-to-pipe")).unwrap();
    symlink("/dev/zero", at("zero")).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("file"), "text").unwrap();
    symlink(at("file"), at("link")).unwrap();
    let (done, waiting) = mpsc::channel();
    let paths = ["pipe", "link-to-pipe", "zero", "socket", "folder"].map(at);
    std::thread::spawn(move || {
        for path in paths {
            done.send((open(&path).map(drop), open_or_create(&path).map(drop))).unwrap();
        }
    });
    for words in ["a named pipe", "a named pipe", "a device", "a socket", "a directory"] {
        let (read, written) = waiting.recv_timeout(Duration::from_secs(20)).expect("it does not block");
        let expected = format!("it is {words}, not a regular file");
        assert_eq!(read.unwrap_err().to_string(), expected);
        let written = written.unwrap_err().to_string();
        assert!(written == expected || written == "it is a symbolic link, not a regular file", "{written}");
    }
    assert_eq!(read(&at("file"), 4).unwrap(), b"text");
    assert_eq!(read_text(&at("link"), 4).unwrap(), "text");
    assert!(read(&at("file"), 3).unwrap_err().to_string().contains("more than 3 bytes"));
    fs::write(at("file"), [0xff]).unwrap();
    assert_eq!(read_text(&at("file"), 4).unwrap_err().to_string(), "it is not UTF-8 text");
}

#[test]
fn file_that_others_can_write_or_replace_is_found_with_its_fix() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("folder");
    fs::create_dir(&folder).unwrap();
    mode(&folder, 0o755);
    let file = folder.join("file");
    fs::write(&file, "x").unwrap();
    mode(&file, 0o644);
    assert_eq!(exposures(&file), []);
    let all = |path: &Path, how| [Exposure { path: path.to_owned(), how, is_directory: path.is_dir() }];
    mode(&file, 0o666);
    assert_eq!(exposures(&file), all(&file, How::EveryoneWrites));
    assert_eq!(exposures(&file)[0].fix(), format!("chmod o-w {}", file.display()));
    assert!(exposures(&file)[0].is_refused());
    mode(&file, 0o600);
    // In a directory that everybody can write, the file can be replaced; with the sticky bit it
    // cannot.
    mode(&folder, 0o777);
    assert_eq!(exposures(&file), all(&folder, How::EveryoneWrites));
    mode(&folder, 0o1777);
    assert_eq!(exposures(&file), []);
    mode(&folder, 0o755);
    // Another user does not trust what belongs to this one, unless that is root.
    let (us, other) = (rustix::process::geteuid().as_raw(), 4242);
    let expected = if us == 0 { vec![] } else { vec![How::Owner(us)] };
    assert_eq!(found_by(other, &file), expected);
    assert_eq!(exposures_of_secret(&file), []);
    mode(&file, 0o604);
    let readable = exposures_of_secret(&file);
    assert_eq!(readable, all(&file, How::EveryoneReads));
    assert!(!readable[0].is_refused());
    // A missing file is not exposed.
    assert_eq!(exposures(&folder.join("missing/file")), []);
}

#[test]
fn each_directory_of_a_path_with_links_is_checked() {
    let root = tempfile::tempdir().unwrap();
    let (open, own) = (root.path().join("open"), root.path().join("own"));
    fs::create_dir(&open).unwrap();
    fs::create_dir(&own).unwrap();
    fs::write(own.join("secret"), "x").unwrap();
    // own/link -> ../open/hop -> ../own/secret: other users can write the folder of the second.
    symlink("../own/secret", open.join("hop")).unwrap();
    symlink("../open/hop", own.join("link")).unwrap();
    assert_eq!(exposures(&own.join("link")), []);
    mode(&open, 0o777);
    let found = exposures(&own.join("link"));
    assert_eq!(found.iter().map(|one| (one.path.clone(), one.how)).collect::<Vec<_>>(), [(open, How::EveryoneWrites)]);
    // As Kubernetes mounts a secret: file -> ..data/file, ..data -> ..2024, all owned by root.
    let volume = root.path().join("volume");
    fs::create_dir_all(volume.join("..2024")).unwrap();
    fs::write(volume.join("..2024/token"), "x").unwrap();
    symlink("..2024", volume.join("..data")).unwrap();
    symlink("..data/token", volume.join("token")).unwrap();
    assert_eq!(exposures(&volume.join("token")), []);
    // A cycle of links ends.
    symlink("b", root.path().join("a")).unwrap();
    symlink("a", root.path().join("b")).unwrap();
    assert_eq!(exposures(&root.path().join("a")), []);
}

#[test]
fn owner_is_checked_in_public_directories_and_everywhere_except_for_root() {
    let user = Trusted { user: 1000, unmapped: None };
    assert!(user.trusts(1000, true) && user.trusts(0, true));
    assert!(!user.trusts(1001, false) && !user.trusts(65534, false));
    let root = Trusted { user: 0, unmapped: None };
    assert!(root.trusts(1001, false) && !root.trusts(1001, true));
    let in_namespace = Trusted { user: 1000, unmapped: Some(65534) };
    assert!(in_namespace.trusts(65534, true) && !in_namespace.trusts(1001, false));
}

#[test]
fn what_root_creates_belongs_to_the_owner_of_the_folder_that_it_is_in() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let theirs = root.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(12_345), Some(54_321)).unwrap();
    create_folders(&theirs.join("a/b"), 0o700).unwrap();
    open_or_create(&theirs.join("a/b/lock")).unwrap();
    create_new(&root.path().join("ours"), 0o600).unwrap();
    // A link leads out of their folder: the file belongs to the owner of where it really is.
    fs::create_dir(root.path().join("private")).unwrap();
    symlink(root.path().join("private"), theirs.join("link")).unwrap();
    create_folders(&theirs.join("link/folder"), 0o700).unwrap();
    open_or_create(&theirs.join("link/folder/lock")).unwrap();
    let owner = |name: &str| {
        let found = fs::symlink_metadata(root.path().join(name)).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o777)
    };
    assert_eq!(owner("theirs/a"), (12_345, 54_321, 0o700));
    assert_eq!(owner("theirs/a/b"), (12_345, 54_321, 0o700));
    assert_eq!(owner("theirs/a/b/lock"), (12_345, 54_321, 0o600));
    assert_eq!(owner("ours"), (0, 0, 0o600));
    assert_eq!(owner("private/folder"), (0, 0, 0o700));
    assert_eq!(owner("private/folder/lock"), (0, 0, 0o600));
    // A link in place of the file itself is not followed.
    symlink(root.path().join("private/lock"), theirs.join("lock")).unwrap();
    let refused = open_or_create(&theirs.join("lock")).unwrap_err();
    assert!(refused.to_string().contains("symbolic link"), "{refused}");
    assert!(!root.path().join("private/lock").exists());
}

#[test]
fn rename_to_a_new_name_replaces_nothing_whatever_the_file_system_supports() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    for way in WAYS {
        fs::write(&from, "new").unwrap();
        way(&from, &to).unwrap();
        assert_eq!((fs::read_to_string(&to).unwrap().as_str(), from.exists()), ("new", false));
        fs::write(&from, "newer").unwrap();
        assert_eq!(way(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&to).unwrap(), "new");
        fs::remove_file(&to).unwrap();
    }
    // As vfat answers to a link, and exFAT to both.
    let refuse: [fn(&Path, &Path) -> io::Result<()>; 2] =
        [|_, _| Err(io::Error::from_raw_os_error(libc::EPERM)), |_, _| Err(io::Error::from_raw_os_error(libc::EINVAL))];
    first_supported(&[refuse[0], refuse[1], WAYS[2]], &from, &to).unwrap();
    assert!(to.exists());
    // Another error is the answer.
    let missing = rename_new(&from, &root.path().join("missing/to")).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}
