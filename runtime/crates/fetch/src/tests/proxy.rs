//! A proxy in the environment would connect where no policy looked.

use std::{env, process::Command};

use super::site::{Book, Site, client_on, get, ok};
use crate::OriginGrant;

/// Set in the child: the port of the site to fetch.
const PORT: &str = "PATTOO_WASM_TEST_SITE_PORT";

/// The environment of a process is set before it starts: the test runs itself as a child.
#[tokio::test]
async fn proxies_in_the_environment_are_ignored() {
    if let Ok(port) = env::var(PORT) {
        let origin = format!("http://site-a.example.org:{port}");
        let book = Book::default().with("site-a.example.org", &[&["127.0.0.1"]]);
        let client = client_on(vec![OriginGrant::new(origin.parse().unwrap()).private(true)], &book);
        assert_eq!(client.fetch(get(format!("{origin}/"))).await.unwrap().body, b"straight");
        return;
    }
    let site = Site::saying("straight").await;
    let proxy = Site::answering(|_| ok("by proxy")).await;
    let name = format!("{}::proxies_in_the_environment_are_ignored", module_path!().split_once("::").unwrap().1);
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", &name]).env(PORT, site.address.port().to_string());
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(variable, proxy.url(""));
    }
    child.env_remove("no_proxy").env_remove("NO_PROXY");
    let done = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!((site.seen().len(), proxy.seen().len()), (1, 0));
}
