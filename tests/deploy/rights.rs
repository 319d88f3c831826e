//! Each function of `template.yaml` has the rights that it needs and no other: what it asks of S3 and Secrets Manager is held
//! against its policies.

use std::collections::BTreeMap;

use sandbox::function::Function;
use sandbox::stub::{Request, Response, Stub};
use sandbox::{Server, eventzilla, see_tickets, ticketmaster, xurrent};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::calls::{Call, Recorder};
use crate::script;

const SOURCES: [(&str, &str); 4] = [
    ("see_tickets", "SeeTicketsSecret"),
    ("ticketmaster", "TicketmasterSecret"),
    ("eventzilla", "EventzillaSecret"),
    ("xurrent", "XurrentSecret"),
];

fn sandbox(source: &str) -> Server {
    match source {
        "see_tickets" => see_tickets::start_blocking(see_tickets::Options { sales: 300, ..Default::default() }),
        "ticketmaster" => {
            ticketmaster::start_blocking(ticketmaster::Options { events: 200, revised: 0.3, ..Default::default() })
        }
        "eventzilla" => eventzilla::start_blocking(eventzilla::Options { events: 3, ..Default::default() }),
        _ => xurrent::start_blocking(xurrent::Options { organizations: 20, ..Default::default() }),
    }
    .unwrap()
}

/// Each list with one record that lacks its key; See Tickets' events with their keys unless `events`, as no sales are asked of
/// an event without one.
fn keyless(request: &Request, events: bool) -> Response {
    let first = request.number("offset") == 0 && request.json()["offset"].as_u64().unwrap_or(0) == 0;
    let name = request.path.rsplit('/').next().unwrap_or_default();
    let page = json!({"totalElements": 1, "totalPages": 1, "size": 200, "number": 0});
    let one = json!([{"name": "without a key"}]);
    match (name.strip_suffix(".json"), name) {
        (Some(resource), _) => Response::json(&json!({"_embedded": {resource: one}, "page": page})),
        (_, "search") if first && !events => Response::json(&json!({"data": [{"id": "1"}]})),
        (_, "search") if first => Response::json(&json!({"data": one})),
        (_, "sales") if first => Response::json(&json!({"data": [{"date": "2026-01-31 18:00:00"}]})),
        (_, "search" | "sales") => Response::json(&json!({"data": []})),
        (_, "events" | "categories" | "users") => {
            Response::json(&json!({name: if first { one } else { json!([]) }, "pagination": [{"total": 1}]}))
        }
        _ => Response::json(&one).with("x-pagination-total-entries", "1"),
    }
}

/// A function as the template deploys it, apart from where AWS and the API are, with a lake of its own.
fn deployed(description: &Value, lake: &str, aws: &Aws, recorder: &Recorder) -> Function {
    let mut function = Function::new(description["binary"].as_str().unwrap());
    for (name, value) in description["environment"].as_object().unwrap() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        function = function.env(name, &text);
    }
    if description["binary"] == "resource" {
        function = function.with(&["--resource", "all"]);
    }
    aws.grant(function).env("AWS_ENDPOINT_URL", recorder.endpoint()).env("LAKE", &format!("s3://lake/{lake}"))
}

fn at(function: &Function, source: &str, base_url: &str) -> Function {
    function.clone().env(&format!("{source}_BASE_URL").to_uppercase(), base_url)
}

#[test]
fn each_function_may_do_what_it_does_and_nothing_else() {
    let aws = Aws::start();
    let recorder = Recorder::start(&aws.environment().iter().find(|(name, _)| *name == "AWS_ENDPOINT_URL").unwrap().1);
    let secrets: BTreeMap<&str, String> = SOURCES
        .iter()
        .map(|(source, secret)| {
            aws.keep_secret(source, "sandbox-key");
            let described = aws.call("secretsmanager", &format!("describe_secret(SecretId='{source}')"));
            (*secret, described["ARN"].as_str().unwrap().to_owned())
        })
        .collect();
    let mut asked =
        json!({"parameters": {"Bucket": "lake", "XurrentAccount": "wdc"}, "secrets": secrets, "calls": null});
    let template = script("template", &asked);
    let functions = template["functions"].as_object().unwrap();
    assert_eq!(functions.len(), 10);

    let [stub, stub_of_events] =
        [false, true].map(|events| Stub::start(move |request| keyless(request, events)).unwrap());
    let mut calls: BTreeMap<&str, Vec<Call>> = BTreeMap::new();
    for (source, _) in SOURCES {
        let server = sandbox(source);
        let of_source = functions.iter().filter(|(_, description)| description["environment"]["SOURCE"] == source);
        for (name, description) in of_source {
            let looks_up = name == "TicketmasterEvents" || name == "TicketmasterAttractions";
            if looks_up {
                // Names are looked up in them.
                let classifications = deployed(&functions["TicketmasterClassifications"], name, &aws, &recorder);
                at(&classifications, source, &server.base_url).complete();
            }
            let function = deployed(description, name, &aws, &recorder);
            recorder.take();
            let known = at(&function, source, &server.base_url);
            for revision in [0, 1, 2] {
                server.set_revision(revision);
                let report = known.complete();
                assert!(report["records"]["received"].as_u64() > Some(0), "{name}: {report}");
                if description["binary"] == "resource" {
                    // What the source has is what the alarms of its tables look at.
                    let tables: Vec<&Value> =
                        report["resources"].as_array().unwrap().iter().map(|table| &table["resource"]).collect();
                    for metric in ["Complete", "Incomplete"] {
                        assert_eq!(template["watched"][metric][source], json!(tables), "{metric}");
                    }
                }
            }
            if looks_up {
                known.clone().with(&["--param", "segment=Music"]).run();
            }
            // A record without its key is kept aside, and read from there again.
            let stub = if description["binary"] == "events" { &stub_of_events } else { &stub };
            let unfit = at(&function, source, &stub.base_url);
            let ended = unfit.run();
            assert!(ended.report["records"]["rejected"].as_u64() > Some(0), "{name}: {}", ended.report);
            unfit.with(&["--replay-rejected"]).complete();
            let as_deployed = |(action, resource): Call| (action, resource.replace(&format!("/{name}/"), "/lake/"));
            calls.insert(name, recorder.take().into_iter().map(as_deployed).collect());
        }
    }

    asked["calls"] = json!(calls);
    let judged = &script("template", &asked)["functions"];
    let found = |fault: &str| -> BTreeMap<&String, &Value> {
        let each = judged.as_object().unwrap().iter().map(|(name, judged)| (name, &judged[fault]));
        each.filter(|(_, list)| **list != json!([])).collect()
    };
    assert_eq!(found("denied"), BTreeMap::new(), "what a function does and may not");
    assert_eq!(found("unused"), BTreeMap::new(), "what a function may and never does");
    for (name, judged) in judged.as_object().unwrap() {
        assert!(calls[name.as_str()].len() > 5, "{name} did next to nothing");
        for statement in judged["statements"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            assert!(statement.get("NotAction").is_none() && statement.get("NotResource").is_none(), "{statement}");
            let actions = match &statement["Action"] {
                Value::Array(actions) => actions.clone(),
                action => vec![action.clone()],
            };
            for action in actions {
                let action = action.as_str().unwrap();
                assert!(!action.contains('*') && !action.contains("Delete"), "{name}: {action}");
            }
        }
    }
}
