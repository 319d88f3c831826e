//! What is stored, column by column, beside what the API has.

use chrono::DateTime;
use sandbox::xurrent::Resource;
use serde_json::{Value, json};

use crate::lake::Lake;

/// The columns of Fivetran's sample, each with its field where that has another name; the sample's `synced_at` is the engine's.
fn seed(resource: Resource) -> &'static str {
    match resource {
        Resource::Organizations => {
            "id name source_id=sourceID disabled parent_id=parent.id parent_name=parent.name manager_id=manager.id \
             manager_name=manager.name business_unit_id=business_unit_organization.id region remarks created_at updated_at"
        }
        Resource::Products => {
            "id name source_id=sourceID brand category model disabled service_id=service.id service_name=service.name \
             support_team_id=support_team.id support_team_name=support_team.name financial_owner_id=financial_owner.id \
             supplier_id=supplier.id useful_life depreciation_method remarks created_at updated_at"
        }
        Resource::Projects => {
            "id subject source_id=sourceID category status program justification time_zone completion_target_at \
             service_id=service.id service_name=service.name customer_id=customer.id customer_name=customer.name \
             manager_id=manager.id manager_name=manager.name work_hours_id=work_hours.id created_at updated_at"
        }
    }
}

/// The columns that the sample does not have.
fn more(resource: Resource) -> &'static str {
    match resource {
        Resource::Organizations => {
            "node_id=nodeID source financial_id=financialID business_unit \
             business_unit_name=business_unit_organization.name end_user_privacy substitute_id=substitute.id \
             substitute_name=substitute.name order_template_id=order_template.id \
             order_template_subject=order_template.subject ui_extension_id=ui_extension.id \
             ui_extension_name=ui_extension.name custom_fields addresses contacts attachments picture_uri"
        }
        Resource::Products => {
            "node_id=nodeID source product_id=productID rule_set rate salvage_value salvage_value_currency \
             financial_owner_name=financial_owner.name supplier_name=supplier.name \
             service_localized_name=service.localized_name service_provider_id=service.provider.id \
             service_provider_name=service.provider.name workflow_manager_id=workflow_manager.id \
             workflow_manager_name=workflow_manager.name workflow_template_id=workflow_template.id \
             workflow_template_subject=workflow_template.subject recurrence ui_extension_id=ui_extension.id \
             ui_extension_name=ui_extension.name custom_fields attachments picture_uri"
        }
        Resource::Projects => {
            "node_id=nodeID source completed_at completion_reason resolution_duration risk_level effort cost_of_effort \
             cost_of_purchases total_cost value value_currency roi work_hours_name=work_hours.name \
             service_localized_name=service.localized_name service_provider_id=service.provider.id \
             service_provider_name=service.provider.name ui_extension_id=ui_extension.id \
             ui_extension_name=ui_extension.name custom_fields attachments"
        }
    }
}

const JSON: [&str; 5] = ["custom_fields", "addresses", "contacts", "attachments", "recurrence"];
const DECIMAL: [&str; 5] = ["salvage_value", "cost_of_effort", "cost_of_purchases", "total_cost", "value"];

/// The names of the sample's columns.
pub(super) fn seed_names(resource: Resource) -> Vec<&'static str> {
    seed(resource).split_whitespace().map(|column| column.split('=').next().unwrap()).collect()
}

/// The lake has these records of `resource`, each once and with every value, and no others; nothing is the matter with any.
pub(super) fn assert_stored(lake: &Lake, resource: Resource, records: impl Iterator<Item = Value>) {
    assert_values(lake, resource, records);
    let broken = "SELECT count(*) FROM {table} WHERE _issues IS NOT NULL OR synced_at IS NULL";
    assert_eq!(lake.value(&table(resource), broken), json!(0));
}

/// The lake has these records of `resource`, each once and with every value, and no others.
pub(super) fn assert_values(lake: &Lake, resource: Resource, records: impl Iterator<Item = Value>) {
    let columns: Vec<(&str, &str)> = [seed(resource), more(resource)]
        .iter()
        .flat_map(|list| list.split_whitespace())
        .map(|column| column.split_once('=').unwrap_or((column, column)))
        .collect();
    let selected: Vec<String> = columns.iter().map(|(column, _)| read(column)).collect();
    let query = format!("SELECT {} FROM {{table}} ORDER BY id", selected.join(", "));
    let stored = lake.query(&table(resource), &query);
    let mut records: Vec<Value> = records.collect();
    records.sort_by_key(|record| record["id"].as_u64().unwrap());
    let ids = |rows: &[Value]| rows.iter().map(|row| row["id"].as_u64().unwrap()).collect::<Vec<_>>();
    let stored_ids: Vec<u64> = stored.iter().map(|row| row[0].as_u64().unwrap()).collect();
    assert_eq!(stored_ids, ids(&records), "{}", resource.name());
    for (row, record) in stored.iter().zip(&records) {
        for ((column, field), value) in columns.iter().zip(row) {
            assert_eq!(given(column, value), expected(column, field, record), "{column} of {record}");
        }
    }
}

/// Where the rows of `resource` lie.
pub(super) fn table(resource: Resource) -> String {
    format!("xurrent/{}", resource.name())
}

/// How a column is selected, so that it comes as JSON.
fn read(column: &str) -> String {
    if column.ends_with("_at") {
        format!("CAST(epoch({column}) AS BIGINT)")
    } else if DECIMAL.contains(&column) {
        format!("CAST({column} AS DOUBLE)")
    } else {
        column.to_owned()
    }
}

/// A stored value; JSON is a text in a column.
fn given(column: &str, value: &Value) -> Value {
    match value.as_str().filter(|_| JSON.contains(&column)) {
        Some(text) => serde_json::from_str(text).unwrap(),
        None => value.clone(),
    }
}

/// What the API's record has for a column.
fn expected(column: &str, field: &str, record: &Value) -> Value {
    let value = field.split('.').fold(record, |at, name| &at[name]);
    match value.as_str() {
        Some(text) if column.ends_with("_at") => json!(DateTime::parse_from_rfc3339(text).unwrap().timestamp()),
        Some(text) if DECIMAL.contains(&column) => json!(text.parse::<f64>().unwrap()),
        _ => value.clone(),
    }
}
