//! Pages of the sandboxes in memory, and a transport that gives them.

use std::path::Path;
use std::{fs, io};

use async_trait::async_trait;
use bytes::Bytes;
use client::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use manifest::endpoint::{Method, Paginator, ParamLocation};
use manifest::{JsonPath, Manifest, built_in};
use reqwest::header::HeaderMap;
use sandbox::{see_tickets, ticketmaster};
use serde_json::Value;

/// The pages of one API.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) bodies: Vec<Bytes>,
    pub(crate) records: usize,
}

/// Returns pages of the sales of See Tickets.
pub(crate) fn sales(count: usize, page_size: usize) -> Pages {
    let options = see_tickets::Options { sales: count, days: 30, ..see_tickets::Options::default() };
    let sales: Vec<Value> = options.truth().sales(0).collect();
    Pages::new(&sales, page_size, |list| format!(r#""data":{list}"#))
}

/// Returns pages of the events of Ticketmaster.
pub(crate) fn events(count: usize, page_size: usize) -> Pages {
    let truth = ticketmaster::Options { events: count, ..ticketmaster::Options::default() }.truth();
    let truth = truth.expect("a catalogue follows from the seed");
    let events: Vec<Value> = truth.event_ids(0).iter().filter_map(|id| truth.event(id, 0)).collect();
    Pages::new(&events, page_size, |list| format!(r#""_embedded":{{"events":{list}}}"#))
}

/// Returns the built-in manifest `source` with `resource` as its first resource, which is read by one query, page by page: how it is
/// planned is not measured.
pub(crate) fn manifest(source: &str, resource: &str) -> Manifest {
    let mut manifest = built_in::find(source).expect("it is built in").expect("it has no faults");
    let position = manifest.resources.iter().position(|known| known.name == resource).expect("it is declared");
    manifest.resources.swap(0, position);
    manifest.client.rate.windows.clear();
    let target = &mut manifest.resources[0];
    (target.parent, target.refresh, target.vanished) = (None, None, None);
    target.slices = manifest::Slices::default();
    let endpoint = &mut target.endpoint;
    (endpoint.body, endpoint.method, endpoint.page_size) = (None, Method::Get, None);
    (endpoint.total, endpoint.depth_limit, endpoint.total_limit) = (None, None, None);
    endpoint.params.clear();
    endpoint.paginator = Paginator::Cursor {
        cursor_path: JsonPath::of_field("next"),
        place: ParamLocation::Query("page".into()),
        stop_after_empty_page: false,
        has_more_path: None,
    };
    manifest
}

impl Pages {
    /// Divides the records into pages. `envelope` writes the member of a page with the list of its records.
    fn new(records: &[Value], page_size: usize, envelope: impl Fn(String) -> String) -> Self {
        let chunks: Vec<&[Value]> = records.chunks(page_size).collect();
        let body = |(index, chunk): (usize, &&[Value])| {
            let list = envelope(serde_json::to_string(chunk).expect("values are JSON"));
            let next = if index + 1 < chunks.len() { format!(r#""{}""#, index + 1) } else { "null".into() };
            Bytes::from(format!(r#"{{{list},"next":{next}}}"#))
        };
        Self { bodies: chunks.iter().enumerate().map(body).collect(), records: records.len() }
    }

    /// Reads pages that [`Pages::save`] wrote.
    pub(crate) fn load(file: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(file)?;
        let (records, bodies) = text.split_once('\n').unwrap_or_default();
        let records = records.parse().map_err(io::Error::other)?;
        Ok(Self { bodies: bodies.lines().map(|body| Bytes::copy_from_slice(body.as_bytes())).collect(), records })
    }

    /// Writes the number of the records and then the pages, one on a line, since compact JSON has no line break.
    pub(crate) fn save(&self, file: &Path) -> io::Result<()> {
        let mut text = format!("{}\n", self.records).into_bytes();
        for body in &self.bodies {
            text.extend_from_slice(body);
            text.push(b'\n');
        }
        fs::write(file, text)
    }

    /// The size of all pages.
    pub(crate) fn bytes(&self) -> usize {
        self.bodies.iter().map(Bytes::len).sum()
    }
}

#[async_trait]
impl Transport for Pages {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let number = request.url.query_pairs().find(|(name, _)| name == "page").map(|(_, number)| number.into_owned());
        let index: usize = number.and_then(|number| number.parse().ok()).unwrap_or_default();
        Ok(HttpResponse { status: 200, headers: HeaderMap::new(), body: self.bodies[index].clone() })
    }
}
