;; WASI 0.1 for core modules, on what a collector's world has: no files, arguments, environment or sockets.
;;
;; It keeps nothing and needs no memory of its own. An adapter that takes memory for itself has to ask the module's allocator
;; for it, which may not be ready when the first call comes, or to grow the module's memory: and Go's allocator takes every page
;; that comes after its own for its own. Results lie where the caller has room for them.
;;
;; Errors: 8 EBADF, 28 EINVAL, 52 ENOSYS, 70 ESPIPE. Layouts are those of WASI 0.1 (`wasi_snapshot_preview1.witx`).
(module
  (import "env" "memory" (memory 0))
  (import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))
  (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
  (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
    (func $write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop-stream (param i32)))
  (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $timer (param i64) (result i32)))
  (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop-timer (param i32)))
  (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
  (import "pattoo:agent/clock@0.1.0" "now" (func $now (result i64)))
  (import "pattoo:agent/clock@0.1.0" "monotonic" (func $monotonic (result i64)))

  ;; Arguments and environment: none.
  (func (export "args_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (call $nothing-twice (local.get $count) (local.get $bytes)))
  (func (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (call $nothing-twice (local.get $count) (local.get $bytes)))
  (func $nothing-twice (param $a i32) (param $b i32) (result i32)
    (i32.store (local.get $a) (i32.const 0))
    (i32.store (local.get $b) (i32.const 0))
    i32.const 0)
  (func (export "args_get") (param i32 i32) (result i32) i32.const 0)
  (func (export "environ_get") (param i32 i32) (result i32) i32.const 0)

  ;; Clocks: 0 is the wall clock, 1 the monotonic one.
  (func (export "clock_res_get") (param $id i32) (param $at i32) (result i32)
    (if (i32.gt_u (local.get $id) (i32.const 1)) (then (return (i32.const 28))))
    (i64.store (local.get $at) (select (i64.const 1) (i64.const 1000000) (local.get $id)))
    i32.const 0)
  (func (export "clock_time_get") (param $id i32) (param $precision i64) (param $at i32) (result i32)
    (if (i32.gt_u (local.get $id) (i32.const 1)) (then (return (i32.const 28))))
    (i64.store (local.get $at) (call $time (local.get $id)))
    i32.const 0)
  ;; Nanoseconds. Never 0, which Go takes for a clock that is broken.
  (func $time (param $id i32) (result i64)
    (if (result i64) (local.get $id)
      (then (i64.add (call $monotonic) (i64.const 1)))
      (else (i64.mul (call $now) (i64.const 1000000)))))

  (func (export "random_get") (param $at i32) (param $length i32) (result i32)
    (local $end i32) (local $bits i64)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (local.set $bits (call $random))
        (if (i32.ge_u (i32.sub (local.get $end) (local.get $at)) (i32.const 8))
          (then
            (i64.store align=1 (local.get $at) (local.get $bits))
            (local.set $at (i32.add (local.get $at) (i32.const 8))))
          (else
            (i64.store8 (local.get $at) (local.get $bits))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))))
        (br $next)))
    i32.const 0)

  (func (export "sched_yield") (result i32) i32.const 0)
  (func (export "proc_raise") (param i32) (result i32) i32.const 52)
  (func (export "proc_exit") (param $status i32)
    (call $exit (i32.ne (local.get $status) (i32.const 0)))
    unreachable)

  ;; Standard output and error.
  (func (export "fd_write") (param $fd i32) (param $iovs i32) (param $count i32) (param $written i32) (result i32)
    (local $stream i32) (local $sum i32) (local $length i32)
    (if (i32.eq (local.get $fd) (i32.const 1))
      (then (local.set $stream (call $stdout)))
      (else
        (if (i32.ne (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
        (local.set $stream (call $stderr))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $length (i32.load offset=4 (local.get $iovs)))
        (call $write-all (local.get $stream) (i32.load (local.get $iovs)) (local.get $length) (local.get $written))
        (local.set $sum (i32.add (local.get $sum) (local.get $length)))
        (local.set $iovs (i32.add (local.get $iovs) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (call $drop-stream (local.get $stream))
    (i32.store (local.get $written) (local.get $sum))
    i32.const 0)
  ;; One write takes at most 4 096 bytes. Its result is a byte where the caller wants the count, which is written at last: these
  ;; streams do not fail, so nothing follows that byte.
  (func $write-all (param $stream i32) (param $at i32) (param $length i32) (param $room i32)
    (local $part i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $length)))
        (local.set $part (select (local.get $length) (i32.const 4096) (i32.lt_u (local.get $length) (i32.const 4096))))
        (call $write (local.get $stream) (local.get $at) (local.get $part) (local.get $room))
        (local.set $at (i32.add (local.get $at) (local.get $part)))
        (local.set $length (i32.sub (local.get $length) (local.get $part)))
        (br $next))))

  ;; Standard input is at its end.
  (func (export "fd_read") (param $fd i32) (param $iovs i32) (param $count i32) (param $read i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $read) (i32.const 0))
    i32.const 0)

  ;; What is asked of any descriptor: the three that are there are terminals, so that C writes each line when it ends.
  (func (export "fd_fdstat_get") (param $fd i32) (param $at i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (memory.fill (local.get $at) (i32.const 0) (i32.const 24))
    (i32.store8 (local.get $at) (i32.const 2))
    ;; The right to read, or to write.
    (i64.store offset=8 (local.get $at) (select (i64.const 64) (i64.const 2) (local.get $fd)))
    i32.const 0)
  (func (export "fd_filestat_get") (param $fd i32) (param $at i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (memory.fill (local.get $at) (i32.const 0) (i32.const 64))
    (i32.store8 offset=16 (local.get $at) (i32.const 2))
    i32.const 0)
  (func $if-there (param $fd i32) (param $error i32) (result i32)
    (select (local.get $error) (i32.const 8) (i32.le_u (local.get $fd) (i32.const 2))))
  (func (export "fd_close") (param $fd i32) (result i32) (call $if-there (local.get $fd) (i32.const 0)))
  (func (export "fd_sync") (param $fd i32) (result i32) (call $if-there (local.get $fd) (i32.const 0)))
  (func (export "fd_datasync") (param $fd i32) (result i32) (call $if-there (local.get $fd) (i32.const 0)))
  (func (export "fd_fdstat_set_flags") (param $fd i32) (param i32) (result i32)
    (call $if-there (local.get $fd) (i32.const 0)))
  (func (export "fd_seek") (param $fd i32) (param i64 i32 i32) (result i32)
    (call $if-there (local.get $fd) (i32.const 70)))
  (func (export "fd_tell") (param $fd i32) (param i32) (result i32) (call $if-there (local.get $fd) (i32.const 70)))

  ;; Waits for the clock that is due first. A descriptor is ready at once, so that nobody waits then.
  ;;
  ;; A subscription is 48 bytes: user data, kind (0 is a clock) at 8, clock at 16, time at 24, flags (1 is a time of day, not
  ;; a span) at 40. An event is 32: user data, error at 8, kind at 10.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)
    (local $wait i64) (local $timer i32) (local $found i32)
    (if (i32.eqz (local.get $count)) (then (return (i32.const 28))))
    (local.set $wait (call $shortest (local.get $in) (local.get $count)))
    (loop $next
      ;; What is due within a millisecond of the first is due with it.
      (if (i64.le_u (call $left (local.get $in)) (i64.add (local.get $wait) (i64.const 1000000)))
        (then
          (memory.fill (local.get $out) (i32.const 0) (i32.const 32))
          (i64.store (local.get $out) (i64.load (local.get $in)))
          (i32.store8 offset=10 (local.get $out) (i32.load8_u offset=8 (local.get $in)))
          (local.set $out (i32.add (local.get $out) (i32.const 32)))
          (local.set $found (i32.add (local.get $found) (i32.const 1)))))
      (local.set $in (i32.add (local.get $in) (i32.const 48)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $next (local.get $count)))
    (i32.store (local.get $events) (local.get $found))
    (if (i64.ne (local.get $wait) (i64.const 0))
      (then
        (local.set $timer (call $timer (local.get $wait)))
        (call $block (local.get $timer))
        (call $drop-timer (local.get $timer))))
    i32.const 0)
  ;; The least that is left of any subscription, up to some 146 years.
  (func $shortest (param $in i32) (param $count i32) (result i64)
    (local $shortest i64) (local $left i64)
    (local.set $shortest (i64.const 0x3fffffffffffffff))
    (loop $next
      (local.set $left (call $left (local.get $in)))
      (if (i64.lt_u (local.get $left) (local.get $shortest)) (then (local.set $shortest (local.get $left))))
      (local.set $in (i32.add (local.get $in) (i32.const 48)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $next (local.get $count)))
    local.get $shortest)
  ;; The nanoseconds that are left of a subscription.
  (func $left (param $in i32) (result i64)
    (local $until i64) (local $time i64)
    (if (i32.load8_u offset=8 (local.get $in)) (then (return (i64.const 0))))
    (local.set $until (i64.load offset=24 (local.get $in)))
    (if (i32.eqz (i32.and (i32.load16_u offset=40 (local.get $in)) (i32.const 1)))
      (then (return (local.get $until))))
    (local.set $time (call $time (i32.ne (i32.load offset=16 (local.get $in)) (i32.const 0))))
    (if (result i64) (i64.le_u (local.get $until) (local.get $time))
      (then (i64.const 0))
      (else (i64.sub (local.get $until) (local.get $time)))))

  ;; What needs a file, a folder or a socket: no such descriptor is open.
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) i32.const 8)
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) i32.const 8)
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) i32.const 8)
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) i32.const 8)
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) i32.const 8)
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) i32.const 8)
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "fd_prestat_get") (param i32 i32) (result i32) i32.const 8)
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) i32.const 8)
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) i32.const 8)
  (func (export "fd_renumber") (param i32 i32) (result i32) i32.const 8)
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) i32.const 8)
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) i32.const 8)
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "sock_accept") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "sock_shutdown") (param i32 i32) (result i32) i32.const 8))
