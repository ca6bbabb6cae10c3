//! The demo kernel: something to see with nothing installed.

use archive_ingest::entities::{self, Position};
use archive_ingest::shutdown;
use serde_json::Value;

use crate::kernel::{Kernel, eventually, far_future};

#[test]
fn a_new_demo_kernel_has_types_in_two_realms_whose_schemas_have_attributes_of_aethers() {
    let kernel = Kernel::demo();
    let types = kernel.source.types().unwrap();
    let names: Vec<_> = types
        .iter()
        .map(|found| format!("{}.{}", found.id.realm, found.schema_name))
        .collect();
    assert_eq!(
        names,
        [
            "north-district.Person",
            "north-district.Vaccination",
            "water-survey.WaterPoint"
        ]
    );
    for found in &types {
        let definition: Value = found.definition.parse().unwrap();
        assert_eq!(definition["type"], "record");
        assert!(found.definition.contains("aetherMaskingLevel"));
        let page = kernel
            .source
            .page(&found.id, &Position::start(), &far_future(), 1000, 1 << 24);
        let entities = page.unwrap().entities;
        assert!(entities.len() >= 40, "{}", entities.len());
        let fields = definition["fields"].as_array().unwrap();
        for entity in entities {
            let payload: Value = entity.payload.parse().unwrap();
            assert_eq!(payload["id"], entity.id.to_string());
            let present = payload.as_object().unwrap();
            assert!(
                fields
                    .iter()
                    .all(|f| present.contains_key(f["name"].as_str().unwrap()))
            );
        }
    }
}

#[test]
fn its_first_entities_are_below_the_bound_at_once_and_the_same_each_time() {
    let first = |kernel: &Kernel| {
        let of = kernel.source.types().unwrap().remove(0).id;
        let bound = kernel.source.bound().unwrap();
        kernel
            .source
            .page(&of, &Position::start(), &bound, 1000, 1 << 24)
            .unwrap()
            .entities
    };
    let (one, other) = (Kernel::demo(), Kernel::demo());
    assert!(!first(&one).is_empty());
    assert_eq!(first(&one), first(&other));
}

#[test]
fn its_writer_makes_new_entities_until_it_is_told_to_end() {
    let kernel = Kernel::demo();
    let count = || -> u64 {
        let types = kernel.source.types().unwrap();
        let counts = types.iter().map(|found| kernel.source.count(&found.id));
        counts.map(Result::unwrap).sum()
    };
    let before = count();
    let (trigger, shutdown) = shutdown::signal();
    let writer = entities::start_demo(&kernel.config, shutdown)
        .unwrap()
        .expect("a demo has one");
    eventually("there are new ones", || {
        (count() >= before + 3).then_some(())
    });
    trigger.shut_down();
    drop(writer);
    let after = count();
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(count(), after);
}

#[test]
fn opening_it_again_changes_nothing() {
    let kernel = Kernel::demo();
    let again = kernel.open();
    let of = kernel.source.types().unwrap().remove(0).id;
    assert_eq!(again.types().unwrap(), kernel.source.types().unwrap());
    assert_eq!(again.count(&of).unwrap(), kernel.source.count(&of).unwrap());
}
