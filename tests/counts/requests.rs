//! The requests of a collection to a device and a web site.

use std::{
    collections::HashSet,
    io::Write as _,
    sync::{Arc, Mutex},
};

use pattoo_modbus::{EndpointSettings, Endpoints, Readable, Span, Table};
use pattoo_tests::{
    Collecting, RawSite, agent, assignment_with_grants, http_ok, libmodbus_device, long_timeout,
    request_modules::{fetcher, reader},
    unused_address,
};
use serde_json::{Value, json};

use super::BOUNDS;

#[test]
fn thousand_spans_of_four_tables_need_six_requests() {
    let device = libmodbus_device(None);
    let collecting = Collecting::new();
    let granted = collecting.tokio.block_on(async {
        assignment_with_grants(agent("boundary"), device.address(), unused_address()).build().unwrap()
    });
    collecting.collect(&collecting.load(&reader(1)), &Arc::new(granted));

    // The device prints each request; this one is the last.
    let last = Span::new(247, Table::Coils, 65535, 1).unwrap();
    let url: pattoo_modbus::DeviceUrl = format!("tcp://{}", device.address()).parse().unwrap();
    collecting.tokio.block_on(async {
        let endpoint = Endpoints::new().endpoint(url.endpoint(), &EndpointSettings::default());
        let _ = endpoint.read(&[last], &Readable::everything()).await;
    });
    let lines = std::iter::repeat_with(|| serde_json::from_str::<Value>(&device.next_line()).unwrap());
    let requests: Vec<Value> = lines.take_while(|line| *line != json!([247, 1, 65535, 1])).collect();
    assert_eq!(requests.len(), BOUNDS.requests, "{requests:?}");
}

#[test]
fn hundred_fetches_share_few_connections() {
    let connections: Arc<Mutex<HashSet<_>>> = Arc::default();
    let seen = Arc::clone(&connections);
    let site = RawSite::scripted(move |_, stream| {
        seen.lock().unwrap().insert(stream.peer_addr().unwrap());
        let _ = stream.write_all(&http_ok("{}"));
    });
    let collecting = Collecting::new();
    let granted = collecting.tokio.block_on(async {
        assignment_with_grants(agent("boundary"), unused_address(), site.address()).limits(long_timeout()).build()
    });
    let granted = Arc::new(granted.unwrap());
    let collector = collecting.load(&fetcher(&format!("http://{}/weather.json", site.address()), 100, 1));
    for collection in 1..=2 {
        collecting.collect(&collector, &granted);
        assert_eq!(site.seen().len(), collection * 100);
        let used = connections.lock().unwrap().len();
        assert!(used <= BOUNDS.connections, "{used} connections after collection {collection}");
    }
}
