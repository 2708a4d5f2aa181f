use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use wasmtime::Engine;

use super::{CHUNK, Cache, CompileFailure, ENTRY, FAILURE, FAILURES, ModuleDigest, PIECE};
use crate::{
    CompileError, CompileLimits,
    engine::{MemoryLayout, compiler_config},
};

const MODULE: &ModuleDigest = &ModuleDigest([0x9f; 32]);

/// The file name of a compiled form.
fn name(engine: &Engine, sha256: &ModuleDigest) -> String {
    super::name(engine, sha256, ENTRY)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("parent/compiled")
    }

    fn cache(&self) -> Cache {
        Cache::open(&self.path()).unwrap()
    }
}

fn engine() -> Engine {
    Engine::new(&compiler_config(MemoryLayout::Reserved)).unwrap()
}

/// The compiled form of a component that exports a function of this name.
fn compiled(engine: &Engine, export: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
          (core module $m (func (export "f")))
          (core instance $i (instantiate $m))
          (func (export "{export}") (canon lift (core func $i "f"))))"#
    );
    engine.precompile_component(&wat::parse_str(text).unwrap()).unwrap()
}

#[test]
fn what_was_kept_comes_back_also_after_a_restart() {
    let (folder, engine) = (Folder::new(), engine());
    assert!(folder.cache().get(&engine, MODULE).is_none());
    for length in [0, 1, PIECE, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
        let code: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
        folder.cache().put(&engine, MODULE, &code).unwrap();
        assert!(folder.cache().get(&engine, MODULE).unwrap().bytes().unwrap() == code, "{length} bytes");
    }
}

#[test]
fn what_comes_back_is_mapped_and_not_copied() {
    let (folder, engine) = (Folder::new(), engine());
    let cache = folder.cache();
    cache.put(&engine, MODULE, &compiled(&engine, "first")).unwrap();
    let component = cache.get(&engine, MODULE).unwrap().load(&engine).unwrap();
    assert!(component.get_export_index(None, "first").is_some());
    let path = folder.path().join(name(&engine, MODULE)).canonicalize().unwrap();
    let mapped = |how: &str| {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().any(|line| line.contains(how) && line.ends_with(path.to_str().unwrap()))
    };
    assert!(mapped(" r-xp "));
    assert!(!mapped(" rw"));
    drop(component);
    assert!(!mapped(" "));
}

#[test]
fn an_entry_that_is_replaced_after_it_verified_is_not_the_one_that_is_loaded() {
    let (folder, engine) = (Folder::new(), engine());
    let cache = folder.cache();
    cache.put(&engine, MODULE, &compiled(&engine, "first")).unwrap();
    let entry = cache.get(&engine, MODULE).unwrap();
    fs::write(folder.path().join("other"), compiled(&engine, "other")).unwrap();
    fs::rename(folder.path().join("other"), folder.path().join(name(&engine, MODULE))).unwrap();
    let component = entry.load(&engine).unwrap();
    assert!(component.get_export_index(None, "first").is_some());
    assert!(component.get_export_index(None, "other").is_none());
    assert!(cache.get(&engine, MODULE).is_none());
}

#[test]
fn an_entry_that_was_changed_anywhere_is_thrown_away() {
    let (folder, engine) = (Folder::new(), engine());
    let cache = folder.cache();
    let path = folder.path().join(name(&engine, MODULE));
    let refused = |entry: &[u8], what: &str| {
        // Private, like the entries.
        cache.put(&engine, MODULE, b"code").unwrap();
        fs::write(&path, entry).unwrap();
        assert!(cache.get(&engine, MODULE).is_none(), "{what}");
        assert!(!path.exists(), "{what}");
    };
    cache.put(&engine, MODULE, b"code").unwrap();
    let whole = fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        refused(&changed, &format!("byte {place}"));
        refused(&whole[..place], &format!("cut off at byte {place}"));
    }
    refused(&[&whole[..], b"\0"].concat(), "a byte behind it");
    refused(&[&b"\0"[..], &whole].concat(), "a byte before it");
    refused(&[&whole[..], &whole].concat(), "twice");
}

#[test]
fn an_entry_of_several_chunks_of_which_one_was_changed_or_moved_is_thrown_away() {
    let (folder, engine) = (Folder::new(), engine());
    let cache = folder.cache();
    let path = folder.path().join(name(&engine, MODULE));
    let mut code = vec![0; 2 * CHUNK + PIECE + 1];
    code[CHUNK] = 1;
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        cache.put(&engine, MODULE, &code).unwrap();
        let mut entry = fs::read(&path).unwrap();
        change(&mut entry);
        fs::write(&path, entry).unwrap();
        cache.get(&engine, MODULE).is_none() && !path.exists()
    };
    assert!(!refused(&|_| {}));
    for place in [0, PIECE - 1, PIECE, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + PIECE] {
        assert!(refused(&|entry| entry[place] ^= 1), "byte {place}");
    }
    assert!(refused(&|entry| entry.rotate_left(CHUNK)));
    assert!(refused(&|entry| entry[..2 * CHUNK].rotate_left(CHUNK)), "two chunks have changed places");
    assert!(refused(&|entry| drop(entry.drain(CHUNK..2 * CHUNK))), "a chunk is missing");
    assert!(refused(&|entry| entry.truncate(2 * CHUNK)));
}

#[test]
fn an_entry_of_another_module_or_another_engine_is_not_taken() {
    let (folder, engine) = (Folder::new(), engine());
    let cache = folder.cache();
    cache.put(&engine, MODULE, b"code").unwrap();
    let other = ModuleDigest([0x8f; 32]);
    fs::rename(folder.path().join(name(&engine, MODULE)), folder.path().join(name(&engine, &other))).unwrap();
    assert!(cache.get(&engine, &other).is_none());
    let mut config = compiler_config(MemoryLayout::Reserved);
    config.epoch_interruption(false);
    assert_ne!(name(&engine, MODULE), name(&Engine::new(&config).unwrap(), MODULE));
}

#[test]
fn an_entry_made_under_another_key_is_not_taken() {
    let (mine, theirs, engine) = (Folder::new(), Folder::new(), engine());
    theirs.cache().put(&engine, MODULE, b"evil").unwrap();
    let cache = mine.cache();
    let file = name(&engine, MODULE);
    fs::copy(theirs.path().join(&file), mine.path().join(&file)).unwrap();
    assert!(cache.get(&engine, MODULE).is_none());
}

#[test]
fn a_folder_or_entry_that_others_can_touch_is_refused() {
    let (folder, engine) = (Folder::new(), engine());
    let cache = folder.cache();
    cache.put(&engine, MODULE, b"code").unwrap();
    let path = folder.path().join(name(&engine, MODULE));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
    assert!(cache.get(&engine, MODULE).is_none());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Cache::open(&folder.path()).unwrap_err().to_string().contains("mode 0700"));
    let link = folder.0.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    assert!(Cache::open(&link).is_err());
}

#[test]
fn a_folder_that_was_given_to_its_group_is_taken_back_without_its_entries_and_its_key() {
    let (folder, engine) = (Folder::new(), engine());
    folder.cache().put(&engine, MODULE, b"code").unwrap();
    let key = fs::read(folder.path().join("key")).unwrap();
    // As Kubernetes changes a volume with `fsGroup` when it is mounted.
    for entry in fs::read_dir(folder.path()).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o660)).unwrap();
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o2770)).unwrap();
    let cache = folder.cache();
    assert!(cache.get(&engine, MODULE).is_none());
    assert_ne!(fs::read(folder.path().join("key")).unwrap(), key);
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    cache.put(&engine, MODULE, b"code").unwrap();
    assert!(folder.cache().get(&engine, MODULE).is_some());
}

#[test]
fn root_has_a_folder_of_its_own_beside_that_of_the_owner() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (folder, engine) = (Folder::new(), engine());
    let parent = folder.path().parent().unwrap().to_owned();
    fs::create_dir(&parent).unwrap();
    std::os::unix::fs::chown(&parent, Some(12_345), Some(12_345)).unwrap();
    folder.cache().put(&engine, MODULE, b"code").unwrap();
    assert!(folder.cache().get(&engine, MODULE).is_some());
    let names: Vec<_> = fs::read_dir(&parent).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["compiled-0"]);
}

#[test]
fn an_entry_that_is_a_link_is_not_followed() {
    let (folder, engine) = (Folder::new(), engine());
    let cache = folder.cache();
    cache.put(&engine, MODULE, b"code").unwrap();
    let path = folder.path().join(name(&engine, MODULE));
    fs::rename(&path, folder.0.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.0.path().join("elsewhere"), &path).unwrap();
    assert!(cache.get(&engine, MODULE).is_none());
}

/// A failure that counts, and whether what is kept says so.
fn is_refused(cache: &Cache, engine: &Engine, sha256: &ModuleDigest) -> bool {
    let now = std::time::Duration::from_secs(1);
    let failure = cache.failure(engine, sha256);
    failure.is_some_and(|failure| failure.counts("this", &CompileLimits::default(), 0, now).is_some())
}

fn failure() -> CompileFailure {
    let now = std::time::Duration::from_secs(1);
    CompileFailure::of(&CompileError::Outgrown(1), "this", &CompileLimits::default(), 0, now).unwrap()
}

#[test]
fn a_failed_compilation_is_kept_and_thrown_away_when_it_was_changed() {
    let (folder, engine) = (Folder::new(), engine());
    assert!(!is_refused(&folder.cache(), &engine, MODULE));
    folder.cache().put_failure(&engine, MODULE, &failure()).unwrap();
    assert!(is_refused(&folder.cache(), &engine, MODULE));
    // A record of a failure is never treated as compiled code, nor the other way round, under any name.
    let (kept, code) = (folder.path().join(super::name(&engine, MODULE, FAILURE)), name(&engine, MODULE));
    fs::copy(&kept, folder.path().join(&code)).unwrap();
    assert!(folder.cache().get(&engine, MODULE).is_none());
    let mut changed = fs::read(&kept).unwrap();
    changed[10] ^= 1;
    fs::write(&kept, changed).unwrap();
    assert!(!is_refused(&folder.cache(), &engine, MODULE) && !kept.exists());
}

#[test]
fn of_failed_compilations_only_the_last_ones_are_kept() {
    let (folder, engine) = (Folder::new(), engine());
    let cache = folder.cache();
    let digest = |number: usize| format!("{number:064}").parse::<ModuleDigest>().unwrap();
    for number in 0..FAILURES + 5 {
        cache.put_failure(&engine, &digest(number), &failure()).unwrap();
    }
    let kept = fs::read_dir(folder.path()).unwrap().flatten();
    let kept = kept.filter(|entry| entry.path().extension().is_some_and(|ending| ending == FAILURE)).count();
    assert_eq!(kept, FAILURES);
    assert!(is_refused(&cache, &engine, &digest(FAILURES + 4)) && !is_refused(&cache, &engine, &digest(0)));
}
