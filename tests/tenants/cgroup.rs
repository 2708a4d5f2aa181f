//! The memory limit of the daemon and its children: a control group of version 1 or 2 where one can
//! be created. Elsewhere their memory is sampled, which is a failure with `CI=true`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use pattoo_tests::{in_environment_of, wrapped};
use rustix::process::{Pid, Signal, kill_process};

/// A limit on memory.
pub(crate) struct Memory {
    bytes: u64,
    group: Option<Group>,
    /// The most that was sampled.
    sampled: AtomicU64,
}

/// A control group of our own.
struct Group {
    folder: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Memory {
    /// A limit of so many bytes, swap included.
    pub(crate) fn limited_to(bytes: u64) -> Self {
        let group = Group::new(bytes);
        if let Err(why) = &group {
            assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "no control group for memory: {why}");
            println!("no control group for memory, it is sampled instead: {why}");
        }
        Self { bytes, group: group.ok(), sampled: AtomicU64::new(0) }
    }

    pub(crate) fn description(&self) -> String {
        let mib = self.bytes >> 20;
        match &self.group {
            Some(group) => format!("a control group of {mib} MiB (version {})", group.number()),
            None => format!("{mib} MiB, sampled"),
        }
    }

    /// The same command in the control group. All that it starts is there too.
    pub(crate) fn confine(&self, command: &Command) -> Command {
        let Some(group) = &self.group else {
            let mut same = Command::new(command.get_program());
            same.args(command.get_args());
            return in_environment_of(same, command);
        };
        let mut inside = Command::new("sh");
        let enter = "echo $$ > \"$1\" && shift && exec \"$@\"";
        inside.args(["-c", enter, "sh"]).arg(group.folder.join("cgroup.procs"));
        wrapped(inside, command)
    }

    /// Looks at what a process and its descendants use right now, where no control group counts it.
    pub(crate) fn sample(&self, pid: u32) {
        if self.group.is_none() {
            self.sampled.fetch_max(proportional_set(pid), Ordering::Relaxed);
        }
    }

    /// The most that was used, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.group.as_ref().map_or_else(|| self.sampled.load(Ordering::Relaxed), Group::peak)
    }

    /// How many processes were killed at the limit.
    pub(crate) fn kills(&self) -> u64 {
        self.group.as_ref().map_or(0, Group::kills)
    }

    /// A message if more was used than allowed, which can only happen where memory is sampled.
    pub(crate) fn exceeded(&self) -> Option<String> {
        (self.peak() > self.bytes).then(|| format!("{} MiB of memory were used", self.peak() >> 20))
    }
}

impl Group {
    fn new(bytes: u64) -> Result<Self, String> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| format!("/proc/self/cgroup: {error}"))?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("mountinfo: {error}"))?;
        let mut why = vec!["no file system of control groups for memory is mounted".to_owned()];
        for (version, mount) in mounts.lines().filter_map(hierarchy) {
            // Ours and those above it: where processes are, version 2 lets no group with a
            // controller be made.
            let controller = |names: &str| match version {
                Version::One => names.split(',').any(|name| name == "memory"),
                Version::Two => names.is_empty(),
            };
            let mut lines = own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
            let path = lines.find(|(names, _)| controller(names)).map_or("/", |(_, path)| path);
            for above in Path::new(path.trim_start_matches('/')).ancestors() {
                match Self::make(&mount.join(above), version, bytes) {
                    Ok(group) => return Ok(group),
                    Err(error) => why.push(error),
                }
            }
        }
        Err(why.pop().unwrap_or_default())
    }

    fn make(above: &Path, version: Version, bytes: u64) -> Result<Self, String> {
        let folder = above.join(format!("pattoo-tenants-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let group = Self { folder, version };
        let (limit, swap, most) = match version {
            Version::One => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes),
            Version::Two => ("memory.max", "memory.swap.max", 0),
        };
        // It is removed when this fails.
        group.write(limit, bytes)?;
        // Not there where the kernel does not account for swap.
        let _ = group.write(swap, most);
        Ok(group)
    }

    fn write(&self, name: &str, value: u64) -> Result<(), String> {
        let path = self.folder.join(name);
        // A file that is not there must not be made.
        let open = fs::OpenOptions::new().write(true).open(&path);
        let written = open.and_then(|mut file| std::io::Write::write_all(&mut file, value.to_string().as_bytes()));
        written.map_err(|error| format!("{}: {error}", path.display()))
    }

    fn number(&self) -> u8 {
        if self.version == Version::One { 1 } else { 2 }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    fn peak(&self) -> u64 {
        let name = if self.version == Version::One { "memory.max_usage_in_bytes" } else { "memory.peak" };
        self.read(name).trim().parse().unwrap_or(0)
    }

    fn kills(&self) -> u64 {
        let name = if self.version == Version::One { "memory.oom_control" } else { "memory.events" };
        let counted = self.read(name).lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        counted.expect("the kernel counts those that it kills")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What the daemon started may have outlived it.
        for process in self.read("cgroup.procs").lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            let _ = kill_process(process, Signal::KILL);
        }
        // It cannot be removed before the last process is gone, which may take the kernel a moment.
        for _ in 0..50 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

/// A line of `mountinfo`, if it is a hierarchy with memory: its version, and where it is.
fn hierarchy(line: &str) -> Option<(Version, PathBuf)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let place = PathBuf::from(mount.split(' ').nth(4)?);
    let mut words = file_system.split(' ');
    match (words.next()?, words.nth(1)?) {
        ("cgroup", options) if options.split(',').any(|option| option == "memory") => Some((Version::One, place)),
        ("cgroup2", _) => {
            let controllers = fs::read_to_string(place.join("cgroup.controllers")).ok()?;
            controllers.split_whitespace().any(|name| name == "memory").then_some((Version::Two, place))
        }
        _ => None,
    }
}

/// The memory of a process and its descendants in bytes, each page that several share counted once.
fn proportional_set(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let own: u64 = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let below: u64 = children
        .flat_map(|list| list.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<u32>>())
        .map(proportional_set)
        .sum();
    (own << 10) + below
}
