//! As much of an HTTP client as these tests need: one request a connection, read to its end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A response, read whole.
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// A response that is still read.
pub(crate) struct Reading {
    stream: TcpStream,
    read: Vec<u8>,
}

/// Sends a request; `headers` are whole lines.
pub(crate) fn send(address: &str, method: &str, path: &str, headers: &[&str], body: &str) -> Reading {
    let mut stream = TcpStream::connect(address).unwrap();
    // The end is for a test that fails.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
    Reading { stream, read: Vec::new() }
}

pub(crate) fn get(address: &str, path: &str) -> Response {
    send(address, "GET", path, &[], "").whole()
}

pub(crate) fn post(address: &str, path: &str, body: &str) -> Response {
    send(address, "POST", path, &[], body).whole()
}

impl Reading {
    /// Reads until this text has arrived.
    pub(crate) fn until(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&self.read).contains(text) {
            let n = self.stream.read(&mut buffer).unwrap();
            assert!(n > 0, "it ended before `{text}`: {}", String::from_utf8_lossy(&self.read));
            self.read.extend_from_slice(&buffer[..n]);
        }
    }

    pub(crate) fn whole(mut self) -> Response {
        self.stream.read_to_end(&mut self.read).unwrap();
        let text = String::from_utf8(self.read).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        let body = if head.contains("transfer-encoding: chunked") { dechunked(body) } else { body.to_owned() };
        Response { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body }
    }
}

fn dechunked(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
}

impl Response {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The events of a stream: name and data.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let event = |event: &str| {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let data = field("data: ");
            let data = serde_json::from_str(data).unwrap_or_else(|_| Value::from(data));
            (field("event: ").to_owned(), data)
        };
        self.body.split("\n\n").filter(|text| text.contains("data: ")).map(event).collect()
    }
}
