//! What the system lets this process have of memory: the control group that it runs in, and the machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// The memory that this process and its children may use together, in bytes: the least that a control group above it or the machine
/// allows.
pub(crate) fn memory() -> u64 {
    let machine = rustix::system::sysinfo();
    let groups = groups();
    let limit = groups.iter().flat_map(Group::limits).min();
    limit.unwrap_or(u64::MAX).min(machine.totalram.saturating_mul(machine.mem_unit.into()))
}

/// How many processes of this control group the kernel has killed so far for want of memory, if it tells.
pub(super) fn kills() -> Option<u64> {
    groups().iter().find_map(Group::kills)
}

/// A control group as the file system shows it.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    /// Where its hierarchy is mounted.
    mount: PathBuf,
    /// Its folder.
    folder: PathBuf,
    /// What its limit and its count of kills are called.
    files: [&'static str; 2],
}

/// Those of this process that can bound its memory.
fn groups() -> Vec<Group> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    text.lines().filter_map(|line| Group::of(line, Path::new(MOUNT))).collect()
}

impl Group {
    /// The one that a line of `/proc/self/cgroup` names: `0::/path` of the unified hierarchy, or `4:memory:/path` of the older one.
    fn of(line: &str, mount: &Path) -> Option<Self> {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (mount, files) = match controllers {
            "" => (mount.to_owned(), ["memory.max", "memory.events"]),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (mount.join("memory"), ["memory.limit_in_bytes", "memory.oom_control"])
            }
            _ => return None,
        };
        let folder = mount.join(path.trim_start_matches('/'));
        Some(Self { mount, folder, files })
    }

    /// The limits of the group and of those above it.
    fn limits(&self) -> impl Iterator<Item = u64> {
        let [limit, _] = self.files;
        let folders = self.folder.ancestors().take_while(|folder| folder.starts_with(&self.mount));
        // Without a limit there is the word `max`, or no file.
        folders.filter_map(move |folder| fs::read_to_string(folder.join(limit)).ok()?.trim().parse().ok())
    }

    fn kills(&self) -> Option<u64> {
        let [_, events] = self.files;
        let text = fs::read_to_string(self.folder.join(events)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Group, kills, memory};

    #[test]
    fn the_least_limit_of_a_control_group_and_those_above_it_holds() {
        let mount = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("system.slice/memory.max", "1073741824\n");
        write("system.slice/pattoo-wasm.service/memory.max", "max\n");
        write("system.slice/pattoo-wasm.service/memory.events", "low 0\noom 3\noom_kill 2\n");
        write("memory/box/memory.limit_in_bytes", "536870912\n");
        write("memory/box/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
        let of = |line: &str| {
            let group = Group::of(line, mount.path())?;
            Some((group.limits().min(), group.kills()))
        };
        assert_eq!(of("0::/system.slice/pattoo-wasm.service"), Some((Some(1 << 30), Some(2))));
        assert_eq!(of("4:memory:/box"), Some((Some(512 << 20), Some(5))));
        assert_eq!(of("0::/"), Some((None, None)));
        assert_eq!(of("2:cpuacct:/box"), None);
        assert_eq!(of("what is this"), None);
    }

    #[test]
    fn this_process_may_use_some_memory_and_not_more_than_there_is() {
        let may = memory();
        assert!(may > 64 << 20 && may < 1 << 50, "{may}");
        // Whether it can be read depends on the machine.
        let _ = kills();
    }
}
