use super::*;

#[test]
fn a_busy_process_uses_processor_time_and_memory() {
    let mut monitor = ResourceMonitor::new(Device::Cpu);
    let before = processor_seconds();
    let mut sum = 0u64;
    while processor_seconds() < before + 0.05 {
        sum = std::hint::black_box(sum.wrapping_add(1));
    }
    let found = monitor.measure().unwrap();
    // Other threads of the test may compute as well, and other processes share the processor.
    assert!(found.cpu > 0.001, "{found:?}");
    assert!((1 << 20..1u64 << 40).contains(&found.memory), "{found:?}");
    assert_eq!(found.gpu, None);
    let ones = vec![1u8; 64 << 20];
    let more = monitor.measure().unwrap().memory;
    assert!(more >= found.memory + (60 << 20), "{found:?} {more}");
    drop(std::hint::black_box(ones));
}

#[test]
fn a_gpu_has_another_number_where_not_all_are_visible() {
    let index = |index| Some(Name::Index(index));
    assert_eq!(name(None, 2), index(2));
    assert_eq!(name(Some("3"), 0), index(3));
    assert_eq!(name(Some("3, 1"), 1), index(1));
    let uuid = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6";
    assert_eq!(name(Some(&format!("0,{uuid}")), 1), Some(Name::Uuid(uuid.to_owned())));
    assert_eq!(name(Some("0"), 1), None);
    assert_eq!(name(Some("MIG-1234"), 0), None);
    assert_eq!(name(Some(""), 0), None);
}
