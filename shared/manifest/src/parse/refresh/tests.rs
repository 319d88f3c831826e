use crate::Manifest;

fn faults(keys: &str) -> String {
    let text = format!(
        "client: {{base_url: 'https://x'}}
resources:
  - name: things
    primary_key: id
    write_disposition: merge
    columns: {{id: {{data_type: text}}, at: {{data_type: timestamp}}, day: {{data_type: date}}}}
    {keys}"
    );
    Manifest::parse("my.yaml", &text).map(|_| String::new()).unwrap_or_else(|faults| faults.to_string())
}

#[test]
fn valid_keys_have_no_fault() {
    let keys = "refresh: {full_every_days: 7, announced: {start_param: since, end_param: until}}
    passed_by: [at, day]
    vanished: {column: gone_at, confirm: {param: id, most: 50}}";
    assert_eq!(faults(keys), "");
}

#[test]
fn a_fault_names_its_key_and_the_values_allowed() {
    for (keys, words) in [
        ("refresh: {every: 7}", ["full_every_days", "every"]),
        ("refresh: {full_every_days: 0}", ["full_every_days", "1 to 3660"]),
        ("refresh: {full_every_days: 7, near: [{ahead_days: 14, every_days: 1}]}", ["near", "slices.time"]),
        ("refresh: {full_every_days: 7, announced: {lag: 5}}", ["announced", "start_param"]),
        ("passed_by: [start]", ["passed_by", "start"]),
        ("passed_by: id", ["passed_by", "timestamp or date"]),
        ("vanished: {column: at}", ["vanished.column", "choose another"]),
        ("vanished: {column: gone_at, confirm: {param: id, most: 1}}", ["vanished.confirm.most", "2 to 1000"]),
        ("vanished: {columns: gone_at}", ["vanished", "columns"]),
    ] {
        let faults = faults(keys);
        assert!(words.iter().all(|word| faults.contains(word)), "{keys}: {faults}");
    }
    let incremental = "endpoint: {incremental: {cursor_path: at}}\n    refresh: {full_every_days: 7}";
    assert!(faults(incremental).contains("endpoint.incremental"), "{}", faults(incremental));
}
