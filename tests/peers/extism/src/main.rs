//! A plugin of Extism that hands ten datapoints to a function of its host, for comparison: each
//! time a fresh instance of what was compiled once.
//!
//! Usage: `extism-peer ROUNDS` says for each line on standard input the processor seconds that so
//! many collections took.
//!
//! The plugin does what Extism's SDK for plugins does, in as few instructions as can be: it asks
//! the host for memory, copies a text of JSON there, and calls the host's function with the place.
//! The host reads it as its documentation shows, into a list of datapoints. No WASI, no limit, no
//! time to end at.

use std::{
    io::BufRead,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use extism::{CompiledPlugin, PTR, Plugin, PluginBuilder, UserData, convert::Json, host_fn};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Datapoints that arrived.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

#[derive(serde::Deserialize)]
struct Emission {
    target: String,
    points: Vec<Datapoint>,
}

#[derive(serde::Deserialize)]
struct Datapoint {
    key: String,
    integer: i64,
}

host_fn!(emit(emission: Json<Emission>) {
    let Emission { target, points } = emission.0;
    let good = points.iter().filter(|point| !point.key.is_empty() && (0..65536).contains(&point.integer)).count();
    TAKEN.fetch_add(if target == "plc1" { good } else { 0 }, Ordering::Relaxed);
    Ok(())
});

/// A module that emits these datapoints.
fn plugin(points: usize) -> String {
    let point = |number: usize| format!(r#"{{"key":"holding_register_{number}","integer":{}}}"#, number * 7919 % 65536);
    let points: Vec<String> = (0..points).map(point).collect();
    let mut json = format!(r#"{{"target":"plc1","points":[{}]}}"#, points.join(","));
    // It is copied in words.
    json.push_str(&" ".repeat(json.len().next_multiple_of(8) - json.len()));
    let (length, escaped) = (json.len(), json.replace('"', "\\22"));
    format!(
        r#"(module
          (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
          (import "extism:host/env" "store_u64" (func $store (param i64 i64)))
          (import "extism:host/user" "emit" (func $emit (param i64)))
          (memory (export "memory") 1)
          (func (export "collect") (result i32) (local $there i64) (local $here i32)
            (local.set $there (call $alloc (i64.const {length})))
            (loop $next
              (call $store (i64.add (local.get $there) (i64.extend_i32_u (local.get $here))) (i64.load (local.get $here)))
              (local.set $here (i32.add (local.get $here) (i32.const 8)))
              (br_if $next (i32.lt_u (local.get $here) (i32.const {length}))))
            (call $emit (local.get $there))
            i32.const 0)
          (data (i32.const 0) "{escaped}"))"#
    )
}

fn compiled(points: usize) -> CompiledPlugin {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(50).total_memories(10).total_tables(50);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    PluginBuilder::new(plugin(points).into_bytes())
        .with_wasi(false)
        .with_cache_disabled()
        .with_wasmtime_config(config)
        .with_function("emit", [PTR], [], UserData::<()>::default(), emit)
        .compile()
        .expect("a plugin")
}

fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn main() {
    let rounds: usize = std::env::args().nth(1).expect("a number of rounds").parse().expect("a number");
    let ten = compiled(10);
    for _ in std::io::stdin().lock().lines() {
        let (start, before) = (thread_time(), TAKEN.load(Ordering::Relaxed));
        for _ in 0..rounds {
            let mut plugin = Plugin::new_from_compiled(&ten).expect("an instance");
            plugin.call::<_, ()>("collect", ()).expect("a collection");
        }
        println!("{}", (thread_time() - start).as_secs_f64());
        assert_eq!(TAKEN.load(Ordering::Relaxed) - before, 10 * rounds);
    }
}
