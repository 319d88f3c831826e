//! README's own manifest and command, as they stand there, against the sandbox of a generic event API.

use sandbox::event_api::{Options, start_blocking};
use sandbox::function::{self, Function};
use serde_json::json;

use crate::lake::Lake;
use crate::records::written;

/// The first block of `language` in the section `title`.
fn block(readme: &str, title: &str, language: &str) -> String {
    let section = readme.split("\n## ").find(|section| section.starts_with(title)).unwrap();
    let begin = format!("```{language}\n");
    let from = section.find(&begin).unwrap() + begin.len();
    section[from..].split("```").next().unwrap().to_owned()
}

#[test]
fn the_manifest_for_an_api_of_one_s_own_and_its_command_work() {
    let readme = std::fs::read_to_string(function::root().join("README.md")).unwrap();
    let manifest = block(&readme, "Your own API", "yaml");
    assert!(manifest.lines().count() <= 10, "{manifest}");
    let command = block(&readme, "Your own API", "sh");
    let lines: Vec<&str> = command.lines().collect();
    let [export, run] = lines.as_slice() else { panic!("{command}") };
    let variable = export.strip_prefix("export ").unwrap().split('=').next().unwrap();

    let options = Options { events: 130, ..Options::default() };
    let truth = options.truth();
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let file = lake.path().join("_tmp/my.yaml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, manifest).unwrap();
    let place = |word: &str| match word {
        "my.yaml" => file.display().to_string(),
        "./lake" => lake.path().display().to_string(),
        word => word.to_owned(),
    };
    let arguments: Vec<String> = run.strip_prefix("cargo run -p resource -- ").unwrap().split(' ').map(place).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let function = Function::new("resource").with(&arguments).env(variable, "sandbox-key");
    let function = function.with(&["--base-url", &format!("{}/v1", server.base_url)]);
    let report = function.complete();
    assert_eq!(report["records"]["new"], json!(130 + truth.attendees(0).count()));
    let emails = "SELECT count(DISTINCT email) FROM {table} JOIN read_parquet('EVENTS') AS event ON event.id = CAST(event_id AS VARCHAR)";
    let events = lake.path().join("my/events/**/*.parquet").display().to_string();
    assert_eq!(lake.value("my/attendees", &emails.replace("EVENTS", &events)), json!(truth.attendees(0).count()));
    assert_eq!(written(&function.complete()), [0, 0, 0]);
}
