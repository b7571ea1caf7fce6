//! The house rules that a machine can check: who may use whom, what pure rooms may not contain, how long a file may be.
//!
//! The rules are one table, in `tests/tidy/rules.rs`. What clippy can check is left to clippy.

#[path = "tidy/check.rs"]
mod check;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::path::Path;

use source::Source;

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources = Source::all_below(&root);
    assert!(sources.len() > 20, "only {} files found below {}", sources.len(), root.display());
    let complaints: Vec<String> = sources.iter().flat_map(check::complaints).collect();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn every_rule_is_about_something_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms: Vec<&str> = rules::ROOMS.iter().map(|room| room.name).collect();
    for room in rules::ROOMS {
        for used in room.may_use {
            let used = used.split("::").next().unwrap_or_default();
            assert!(rooms.contains(&used), "{} may use {used}, which is no room", room.name);
        }
    }
    for (library, may) in rules::LIBRARIES {
        assert!(may.iter().all(|room| rooms.contains(room)), "{library}: one of {may:?} is no room");
    }
    for (file, _) in rules::LONG_FILES {
        assert!(root.join(file).is_file(), "{file} is excused from the limit of lines, but does not exist");
    }
}
