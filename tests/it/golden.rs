//! Golden cases: records at times → declarations. `UPDATE_GOLDEN=1` writes what came out into the case.

use std::fs;
use std::path::PathBuf;

use super::case::{Case, events, line_since};

pub(super) fn cases() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).expect("the cases").map(|e| e.expect("a case").path()).collect();
    cases.sort();
    cases
}

#[test]
fn every_case_gives_its_declarations() {
    let mut wrong = vec![];
    for path in cases() {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("readable");
        let case = Case::parse(&name, &text);
        let out = case.run();
        let told: String = events(&out.messages).iter().map(|event| line_since(case.records[0].ts, event) + "\n").collect();
        if told != case.section("declarations") {
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                let head = text.split("== declarations").next().expect("a head");
                fs::write(&path, format!("{head}== declarations\n{told}")).expect("writable");
            }
            wrong.push(format!("{name}: expected\n{}got\n{told}", case.section("declarations")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_same_records_give_the_same_bytes() {
    for path in cases() {
        let case = Case::parse("case", &fs::read_to_string(&path).expect("readable"));
        let (a, b) = (case.run(), case.run());
        assert_eq!(a.messages, b.messages, "{}", path.display());
        assert_eq!(a.trace, b.trace, "{}", path.display());
    }
}

/// Who waits for the answer to a command takes the first event that names it.
#[test]
fn what_is_told_before_a_command_is_refused_does_not_answer_it() {
    let text = fs::read_to_string("tests/cases/what_was_not_told_is_not_cancelled.txt").expect("readable");
    let told = events(&Case::parse("refused", &text).run().messages);
    let refused = told.iter().position(|event| event["type"] == "io.richter.command.rejected.v1").expect("refused");
    let command = &told[refused]["data"]["command"];
    let first = told.iter().position(|event| event["data"]["event"]["command"] == *command || event["data"]["command"] == *command);
    assert_eq!(
        (first, &told[refused - 1]["data"]["event"]["reason"]),
        (Some(refused), &"now also The service is down (CheckoutErrors of service=checkout)".into())
    );
}
