#!/bin/bash
# Boots systemd as the first process of a namespace, over a copy of this machine's files that is thrown away, with the unit of this
# repository and nothing else. Runs `$OUT/probe.sh` when the unit has started, and ends with it. Needs root.
#   unshare --kill-child --mount --pid --fork --mount-proc --cgroup --uts --ipc tests/systemd/boot.sh
set -eu
: "${BINARY:?}" "${UNIT:?}" "${CONFIG:?}" "${OUT:?}"
mount --make-rprivate /
work=$(mktemp -d)
mount -t tmpfs tmpfs "$work"
root=$work/root
mkdir "$work"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mkdir "$root/out"
mount --bind "$OUT" "$root/out"
legacy=
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    for controller in cpu cpuacct memory pids devices freezer blkio cpuset; do
        mkdir "$root/sys/fs/cgroup/$controller"
        mount -t cgroup -o $controller cgroup "$root/sys/fs/cgroup/$controller"
    done
    mkdir "$root"/sys/fs/cgroup/{systemd,unified}
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
    legacy="systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
fi
install -m 755 "$BINARY" "$root/usr/local/bin/pattoo-wasm"
units=$root/etc/systemd/system
rm -rf "$units"
mkdir -p "$units/probe.target.wants" "$units/pattoo-wasm.service.d" "$root/etc/pattoo"
cp "$UNIT" "$units/pattoo-wasm.service"
cp -r "$CONFIG/." "$root/etc/pattoo/"
chmod -R a+rX "$root/etc/pattoo"
echo "pattoo:x:990:990::/var/lib/pattoo:/usr/sbin/nologin" >> "$root/etc/passwd"
echo "pattoo:x:990:" >> "$root/etc/group"
# There is no network to wait for.
printf '[Unit]\nAfter=\nWants=\n[Service]\nStandardError=append:/out/daemon.txt\n' > "$units/pattoo-wasm.service.d/test.conf"
printf '[Unit]\nDefaultDependencies=no\n' > "$units/probe.target"
printf '[Unit]\nDefaultDependencies=no\nAfter=pattoo-wasm.service\n[Service]\nType=oneshot\nExecStart=/bin/bash /out/probe.sh\nExecStopPost=/bin/systemctl poweroff --force --force\n' \
    > "$units/probe.service"
ln -s ../pattoo-wasm.service ../probe.service "$units/probe.target.wants/"
# Not chroot: in one, no unit has users of its own.
cd "$root"
mkdir oldroot
pivot_root . oldroot
umount -l /oldroot
exec env -i PATH="$PATH" container=other SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 SYSTEMD_PROC_CMDLINE="$legacy" \
    /lib/systemd/systemd --system --unit=probe.target
