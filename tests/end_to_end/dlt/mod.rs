//! dlt's vocabulary: everything a manifest can say of an API, seen from the API's side; and what dlt loses in silence.

mod auth;
mod losses;
mod parents;
mod secrets;
mod stored_manifest;

mod worker;

use std::path::PathBuf;

use sandbox::function::{Ended, Function};
use sandbox::stub::{Request, Response, Stub};
use serde_json::{Value, json};

use crate::lake::Lake;

/// What every secret is, in either program.
const SECRET: &str = "k3y-of-the-stub";

/// A script's server.
fn stub(script: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Stub {
    Stub::start(script).unwrap()
}

/// A manifest of one's own, called `mine` after its file, and a lake to read into.
struct Mine {
    lake: Lake,
    file: PathBuf,
}

impl Mine {
    /// A manifest as JSON.
    fn json(manifest: &Value) -> Self {
        Self::file("mine.json", &manifest.to_string())
    }

    /// The file `name` with that text.
    fn file(name: &str, text: &str) -> Self {
        let lake = Lake::new();
        // Beside the lake's objects, where no listing looks.
        let file = lake.path().join("_tmp").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        Self { lake, file }
    }

    /// The function that reads `resource`, with [`SECRET`] for a key of each usual name.
    fn reading(&self, resource: &str) -> Function {
        let file = self.file.to_str().unwrap();
        let function = Function::reading("resource", "mine", self.lake.path());
        let function = function.with(&["--resource", resource, "--sources", file]);
        ["TOKEN", "API_KEY", "CLIENT_SECRET", "PASSWORD"]
            .iter()
            .fold(function, |function, name| function.env(&format!("MINE_{name}"), SECRET))
    }

    /// The ids of `resource` in the lake, in order, each as often as it is stored.
    fn ids(&self, resource: &str) -> Vec<String> {
        self.column(resource, "id")
    }

    /// One column of `resource` in the lake as texts, in their order.
    fn column(&self, resource: &str, column: &str) -> Vec<String> {
        let query = format!("SELECT CAST({column} AS VARCHAR) FROM {{table}} ORDER BY 1");
        let rows = self.lake.query(&format!("mine/{resource}"), &query);
        rows.into_iter().map(|mut row| row.remove(0).as_str().unwrap_or("null").to_owned()).collect()
    }
}

/// A run that must end with `code`, having said all of `words`, and the secret nowhere.
fn ended(function: &Function, code: i32, words: &[&str]) -> Ended {
    let ended = function.run();
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.report, ended.errors);
    let said = format!("{}\n{}", ended.report, ended.errors);
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert!(!said.contains(SECRET), "{said}");
    ended
}

/// The records with ids `from..to`, the first and so on.
fn records(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(|id| json!({"id": id, "name": format!("n{id}")})).collect()
}

/// A manifest of the one resource `events`, which is asked for by `endpoint`.
fn events(stub: &Stub, endpoint: &Value) -> Value {
    let resource = json!({"name": "events", "primary_key": "id", "write_disposition": "merge", "endpoint": endpoint});
    json!({"client": {"base_url": stub.base_url}, "resources": [resource]})
}

/// A page of `total` records by `offset` and `limit`, of which the server gives at most `cap` at once.
fn page(request: &Request, total: usize, cap: usize) -> Response {
    let offset = request.number("offset").min(total);
    let end = (offset + request.number("limit").min(cap)).min(total);
    Response::json(&json!({"events": records(offset..end), "total": total}))
}
