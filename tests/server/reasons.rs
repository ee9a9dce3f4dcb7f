use std::collections::BTreeMap;

use anomalyd::error::reason;
use anomalyd::service::status::{code, code_name};

/// The reasons that only errors of the transport have.
const OF_THE_TRANSPORT: [(&str, &str); 2] = [
    ("UNKNOWN_METHOD", "UNIMPLEMENTED"),
    ("REQUEST_BROKEN_OFF", "ABORTED"),
];

#[test]
fn every_reason_is_documented_with_its_code() {
    let page = include_str!("../../docs/errors.md");
    let (_, table) = page.split_once("| reason | code | |").expect("a table");
    let mut documented = BTreeMap::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').collect();
        for name in cells[1].split(',') {
            let [name, code] = [name, cells[2]].map(|text| text.trim().trim_matches('`'));
            assert_eq!(documented.insert(name, code), None, "{name} stands twice");
        }
    }
    let library = anomaly_detection::error::reason::ALL;
    let mut defined: BTreeMap<&str, &str> = library
        .iter()
        .chain(reason::ALL)
        .map(|reason| (reason.name(), code_name(code(reason.kind()))))
        .collect();
    defined.extend(OF_THE_TRANSPORT);
    assert_eq!(documented, defined);
}
