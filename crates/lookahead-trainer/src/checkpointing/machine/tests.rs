use super::*;
use lookahead_run::MachineInfo;
use lookahead_run::event::Compute;

fn machine() -> Machine {
    let environment = [("MKL_CBWR".to_owned(), "AVX2".to_owned())].into();
    let (cpu_capability, processor) = ("AVX2".to_owned(), "Some CPU".to_owned());
    Machine { threads: 2, cpu_capability, processor, environment }
}

fn metadata(of: &Machine) -> TrainingMetadata {
    let (threads, cpu_capability) = (of.threads, of.cpu_capability.clone());
    let machine = MachineInfo {
        compute: Compute { threads, cpu_capability, ..Compute::default() },
        processor: of.processor.clone(),
        environment: Some(of.environment.clone()),
    };
    TrainingMetadata { machine, ..TrainingMetadata::default() }
}

#[test]
fn what_differs_is_named() {
    let here = machine();
    assert_eq!(here.other_bits(&metadata(&here)), None);
    let other = |change: fn(&mut Machine)| {
        let mut saved = machine();
        change(&mut saved);
        here.other_bits(&metadata(&saved)).unwrap()
    };
    let message = [
        (other(|m| m.threads = 4), "4 threads then and 2 now"),
        (other(|m| m.cpu_capability = "AVX512".into()), "AVX512 kernels then and AVX2 now"),
        (other(|m| m.processor = "Another".into()), "Another then and Some CPU now"),
        (other(|m| m.environment.clear()), "no MKL_CBWR then and MKL_CBWR=AVX2 now"),
    ];
    for (message, words) in &message {
        assert!(message.contains(words), "{message}");
    }
    let message = other(|m| drop(m.environment.insert("MKL_CBWR".into(), "SSE2".into())));
    assert_eq!(message.matches("MKL_CBWR=SSE2 then and MKL_CBWR=AVX2 now").count(), 1, "{message}");
}

#[test]
fn what_an_earlier_version_did_not_record_is_not_compared() {
    let here = machine();
    let mut saved = metadata(&here);
    (saved.machine.processor, saved.machine.environment) = (String::new(), None);
    assert_eq!(here.other_bits(&saved), None);
}
