//! A deadline that falls into `fetch-all` costs only what had not arrived.

use std::{io::Write as _, time::Duration};

use pattoo_tests::{Cli, RawSite, http_ok};

#[test]
fn responses_that_arrived_before_the_deadline_are_kept_and_the_rest_are_timeouts() {
    let site = RawSite::scripted(|request, stream| {
        if request.starts_with("GET /slow") {
            std::thread::sleep(Duration::from_mins(1));
        }
        let _ = stream.write_all(&http_ok("fast"));
    });
    // Three requests, of 44 bytes each: the slow one, and two fast ones that wait behind it if one is
    // sent at a time. Each result has 32 bytes: whether it is an error, then at 8 the status or the
    // case of the error, of which 2 is `timeout`.
    let (slow, fast) = (format!("{}/slow", site.origin()), format!("{}/fast", site.origin()));
    let request = |at: u32, url: u32, length: usize| {
        format!(
            "(i32.store (i32.const {at}) (i32.const 0)) (i32.store (i32.const {}) (i32.const 3))
             (i32.store (i32.const {}) (i32.const {url})) (i32.store (i32.const {}) (i32.const {length}))",
            at + 4,
            at + 8,
            at + 12
        )
    };
    let requests = [request(4096, 8, slow.len()), request(4140, 264, fast.len()), request(4184, 264, fast.len())];
    let text = format!(
        r#"(module
          (import "pattoo:agent/http@0.1.0" "fetch-all" (func $fetch-all (param i32 i32 i32)))
          (memory (export "memory") 2)
          (data (i32.const 0) "GET") (data (i32.const 8) "{slow}") (data (i32.const 264) "{fast}")
          (global $free (mut i32) (i32.const 32768))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
            global.get $free
            (global.set $free (i32.add (global.get $free) (local.get 3))))
          (func (export "collect") (result i32) (local $results i32)
            {}
            (call $fetch-all (i32.const 4096) (i32.const 3) (i32.const 1024))
            (local.set $results (i32.load (i32.const 1024)))
            (if (i32.eqz (i32.load8_u (local.get $results))) (then unreachable))
            (if (i32.ne (i32.load8_u offset=8 (local.get $results)) (i32.const 2)) (then unreachable))
            (if (i32.ne (i32.load16_u offset=40 (local.get $results)) (i32.const 200)) (then unreachable))
            (if (i32.ne (i32.load16_u offset=72 (local.get $results)) (i32.const 200)) (then unreachable))
            i32.const 61440))"#,
        requests.concat()
    );
    let cli = Cli::new();
    cli.file("guest.wat", text);
    let run =
        cli.run(&["run", "guest.wat", "--http", &site.origin(), "--timeout", "2s", "--limit", "concurrent_fetches=2"]);
    assert_eq!(run.code, Some(0), "{run:#?}");
}
