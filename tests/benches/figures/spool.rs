//! The spool: payloads committed per second, the time to open a full one, and how fast it is
//! drained.

use std::{sync::Arc, time::Duration};

use pattoo_measurement::{Agent, Candidate, DEFAULT_FUTURE_BOUND, Value};
use pattoo_output::pattoo::{Batch, Body};
use pattoo_output::{Delivery, DeliverySettings, ServerUrl};
use pattoo_spool::{Spool, SpoolLimits};
use pattoo_tests::storing::store_body;
use pattoo_tests::{
    Cli, agent,
    figures::{Target, repeated, say, seconds},
};
use tokio::runtime::Runtime;

/// The number of concurrent writers.
const CALLERS: usize = 128;
/// What one sample stores.
const SAMPLE: usize = 20_000;
const MANY: usize = 1_000_000;
const DELIVERED: usize = 10_000;

pub(crate) fn figures() {
    let tokio = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.sqlite3");
    let open = || Spool::open(&path, SpoolLimits { bytes: 1 << 40, ..SpoolLimits::default() }).unwrap();
    let agents: Vec<Arc<Agent>> = (0..CALLERS).map(numbered).collect();
    let cli = Cli::new();
    let receiver = cli.receive();
    let server: ServerUrl = format!("http://{}", receiver.address()).parse().unwrap();

    let spool = open();
    let rate = |bodies: usize, points: i64| {
        bodies as f64 / seconds(|| tokio.block_on(store(&spool, &agents, &server, bodies, points)))
    };
    let rates = repeated(9, || rate(SAMPLE, 10));
    say("spool: bodies/s committed before they count, 128 callers", &rates, None, Target::AtLeast(50_000.0));
    // Small ones: they need not fill a disk.
    rate(MANY - 9 * SAMPLE, 1);
    spool.close();
    let times = repeated(5, || 1e3 * seconds(|| open().close()));
    say("spool: ms to open it with a million payloads in it", &times, None, Target::None);
    let times = repeated(5, || 1e3 * seconds(|| tokio.block_on(one_is_delivered(open()))));
    say("spool: ms to open it so, until the first of them is delivered", &times, None, Target::None);

    let path = folder.path().join("delivered/spool.sqlite3");
    let spool = Spool::open(&path, SpoolLimits::default()).unwrap();
    let rates = repeated(3, || {
        tokio.block_on(store(&spool, &agents, &server, DELIVERED, 10));
        let took = seconds(|| {
            tokio.block_on(async {
                let delivery = Delivery::start(spool.clone(), DeliverySettings::default());
                assert!(delivery.drain(Duration::from_mins(5)).await);
                delivery.shutdown(Duration::from_secs(5)).await;
            });
        });
        DELIVERED as f64 / took
    });
    say("spool: bodies/s delivered to `receive`, which commits each", &rates, None, Target::None);
}

/// Delivers until the first body is gone.
async fn one_is_delivered(spool: Spool) {
    let before = spool.stats().await.unwrap().delivered;
    let delivery = Delivery::start(spool.clone(), DeliverySettings::default());
    while spool.stats().await.unwrap().delivered == before {}
    delivery.shutdown(Duration::from_secs(5)).await;
    spool.close();
}

fn numbered(number: usize) -> Arc<Agent> {
    let mut agent = Agent::clone(&agent("modbus_registers"));
    agent.id = format!("{number:064x}").parse().unwrap();
    Arc::new(agent)
}

fn body(agent: &Arc<Agent>, points: i64) -> Body {
    let mut batch = Batch::new(Arc::clone(agent), DEFAULT_FUTURE_BOUND);
    let candidates = (0..points).map(|number| Candidate {
        key: format!("holding_register_{number}"),
        value: Value::Integer(number),
        timestamp: None,
        metadata: Vec::new(),
    });
    batch.emit("plc1", candidates.collect(), 1_700_000_000_000).unwrap();
    batch.into_body(1_700_000_000_000).unwrap()
}

/// Stores so many bodies of so many datapoints, one of each agent at a time.
async fn store(spool: &Spool, agents: &[Arc<Agent>], server: &ServerUrl, bodies: usize, points: i64) {
    let callers = agents.iter().map(|agent| {
        let (spool, server, agent) = (spool.clone(), server.clone(), Arc::clone(agent));
        let count = bodies.div_ceil(agents.len());
        tokio::spawn(async move {
            let body = body(&agent, points);
            for _ in 0..count {
                store_body(&spool, &body, &agent.program, &server).await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}
