//! The unit under a real systemd, which runs as the first process of a namespace.
//!
//! `cargo xtask soak systemd` runs it. It needs root, and a machine that lets it mount.

use std::{fs, process::Command};

use pattoo_tests::{IDLE, binary, dependent_branches, guest};
use serde_json::json;

/// A script that prints properties of the service as lines of `name=value`.
const PROBE: &str = r#"
exec > /out/probe.txt 2>&1
show() { systemctl show pattoo-wasm --property="$1" --value; }
children() { cat /proc/"$(show MainPID)"/task/*/children | tr ' ' '\n' | grep .; }
said() { grep "^$2:" "/proc/$1/status" | tr -d ' \t' | tr ':' '='; }
echo "started=$(show ActiveState)"
main=$(show MainPID)
echo "main.$(said "$main" Seccomp_filters)"
while [ -z "$(children)" ]; do sleep 0.1; done
child=$(children | tail -n 1)
echo "child.$(said "$child" Seccomp_filters)"
# As the kernel does for want of memory.
kill -9 "$child"
while [ -e "/proc/$child" ]; do sleep 0.1; done
sleep 1
echo "after=$(show ActiveState) same=$([ "$main" = "$(show MainPID)" ] && echo yes)"
child=$(children | tail -n 1)
kill -9 "$main"
sleep 1
[ -z "$child" ] || [ ! -e "/proc/$child" ] && echo "child.ended=yes"
while [ "$(show ActiveState)" != active ]; do sleep 0.5; done
echo "restarts=$(show NRestarts)"
"#;

#[test]
#[ignore = "needs root and a machine that lets it mount: `cargo xtask soak systemd` runs it"]
fn unit_runs_under_systemd_and_its_compiler_is_confined() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, out) = (folder.path().join("config"), folder.path().join("out"));
    for folder in [&config, &out] {
        fs::create_dir(folder).expect("a new folder");
    }
    let giant =
        IDLE.replacen("(memory", &format!("(func (param i32 i32 i32) {}) (memory", dependent_branches(60_000)), 1);
    fs::write(config.join("giant.wasm"), wat::parse_str(giant).expect("a module")).expect("a file");
    fs::copy(guest("counter"), config.join("counter.wasm")).expect("a file");
    let pattoo = json!({"pattoo": {"daemon_directory": "/var/lib/pattoo", "log_directory": "/var/log/pattoo"}});
    fs::write(config.join("pattoo.yaml"), pattoo.to_string()).expect("a file");
    let ours = json!({"pattoo_wasm": {
        "hostname": "gateway-7", "server": {"url": "http://127.0.0.1:9"},
        "collectors": [
            {"program": "GOOD", "module": "counter.wasm", "polling_interval": 1},
            {"program": "SLOW", "module": "giant.wasm", "polling_interval": 1, "limits": {"compile_time": "1h"}},
        ],
    }});
    fs::write(config.join("pattoo_wasm.yaml"), ours.to_string()).expect("a file");
    fs::write(out.join("probe.sh"), PROBE).expect("a file");
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let booted = Command::new("timeout")
        .args(["--signal", "KILL", "120", "unshare", "--kill-child", "--mount", "--pid", "--fork", "--mount-proc"])
        .args(["--cgroup", "--uts", "--ipc"])
        .arg(format!("{repository}/tests/systemd/boot.sh"))
        .env("BINARY", binary())
        .env("UNIT", format!("{repository}/packaging/pattoo-wasm.service"))
        .env("CONFIG", &config)
        .env("OUT", &out)
        .output()
        .expect("it starts");
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_default();
    let (probe, daemon) = (read("probe.txt"), read("daemon.txt"));
    let said = format!("{probe}\n{daemon}\n{}", String::from_utf8_lossy(&booted.stderr));
    let filters = |of: &str| -> u32 {
        let line = probe.lines().find_map(|line| line.strip_prefix(&format!("{of}.Seccomp_filters=")));
        line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{said}"))
    };
    assert_eq!(filters("child").checked_sub(filters("main")), Some(2), "the compiler has filters of its own: {said}");
    for line in ["started=active", "after=active same=yes", "child.ended=yes", "restarts=1"] {
        assert!(probe.lines().any(|said| said == line), "{line}: {said}");
    }
    assert!(daemon.contains("GOOD: runs") && !daemon.contains("without a filter"), "{said}");
}
