//! A trivial proxy on the same stack as Baton (axum), with the client that most would take
//! (reqwest): it reads a body and passes it on, and knows nothing. What a gateway in this language
//! can be measured by.

use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

use crate::children::block_on;
use crate::report::line;

/// Run as a process of its own by `bench overhead`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where calls go
    #[arg(long)]
    upstream: SocketAddr,
}

type Shared = (reqwest::Client, String);

/// Serves until it is killed; the first line printed is the address.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    block_on(async {
        let client = reqwest::Client::builder().tcp_nodelay(true).pool_max_idle_per_host(128).build()?;
        let url = format!("http://{}/v1/chat/completions", arguments.upstream);
        let router = Router::new().fallback(pass).with_state((client, url));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        line(&format!("http://{}", listener.local_addr()?));
        Ok(axum::serve(axum::serve::ListenerExt::tap_io(listener, no_delay), router).await?)
    })
}

fn no_delay(connection: &mut tokio::net::TcpStream) {
    let _slower = connection.set_nodelay(true);
}

async fn pass(State((client, url)): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut request = client.post(url).body(body);
    for name in [CONTENT_TYPE, http::header::AUTHORIZATION] {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    match answer(request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Response> {
    let response = request.send().await?;
    let (status, kind) = (response.status(), response.headers().get(CONTENT_TYPE).cloned());
    let body = response.bytes().await?;
    let mut response = (status, body).into_response();
    response.headers_mut().extend(kind.map(|kind| (CONTENT_TYPE, kind)));
    Ok(response)
}
