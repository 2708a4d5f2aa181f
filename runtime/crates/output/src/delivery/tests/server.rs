//! A server that does what a test tells it.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};

use crate::ServerUrl;

type Answer = Box<dyn FnMut(&str, &str) -> (u16, HeaderMap) + Send>;

/// Listens on loopback, and remembers all that it accepted and was asked.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) url: ServerUrl,
    heard: Arc<Mutex<Heard>>,
}

struct Heard {
    answer: Answer,
    accepted: Vec<(String, String)>,
    asked: usize,
    headers: HeaderMap,
}

impl Server {
    /// Accepts everything.
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let heard = Arc::new(Mutex::new(Heard {
            answer: Box::new(|_, _| (200, HeaderMap::new())),
            accepted: Vec::new(),
            asked: 0,
            headers: HeaderMap::new(),
        }));
        let router =
            Router::new().route("/pattoo/api/v1/agent/receive/{agent}", post(receive)).with_state(Arc::clone(&heard));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, heard }
    }

    /// From now on answers with the status that `answer` gives for an agent and a body.
    pub(super) fn answers(&self, mut answer: impl FnMut(&str, &str) -> u16 + Send + 'static) {
        self.heard.lock().unwrap().answer = Box::new(move |agent, body| (answer(agent, body), HeaderMap::new()));
    }

    /// From now on answers with this status and a header.
    pub(super) fn answers_with(&self, status: u16, header: &'static str, value: &'static str) {
        let headers: HeaderMap = [(header.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
        self.heard.lock().unwrap().answer = Box::new(move |_, _| (status, headers.clone()));
    }

    /// The bodies that were accepted of an agent, in their order.
    pub(super) fn accepted(&self, digit: char) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let of_agent = heard.accepted.iter().filter(|(agent, _)| agent.starts_with(digit));
        of_agent.map(|(_, body)| body.clone()).collect()
    }

    /// How many requests came.
    pub(super) fn asked(&self) -> usize {
        self.heard.lock().unwrap().asked
    }

    /// A header of the last request.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.heard.lock().unwrap().headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

async fn receive(
    State(heard): State<Arc<Mutex<Heard>>>,
    Path(agent): Path<String>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, HeaderMap, &'static str) {
    let mut heard = heard.lock().unwrap();
    heard.asked += 1;
    heard.headers = headers;
    let (status, headers) = (heard.answer)(&agent, &body);
    if status == 200 {
        heard.accepted.push((agent, body));
    }
    (StatusCode::from_u16(status).unwrap(), headers, "said")
}
