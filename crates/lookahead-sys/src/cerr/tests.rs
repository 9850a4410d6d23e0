use super::*;
use std::sync::Mutex;

static TEXT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// libtorch warns of an output that it has to resize.
#[test]
fn a_warning_of_libtorch_goes_to_the_sink() {
    redirect(|text| TEXT.lock().unwrap().extend_from_slice(text), || {});
    let ones = |n: i64| tch::Tensor::ones([n], (tch::Kind::Float, tch::Device::Cpu));
    let _ = ones(3).f_add_out(&ones(2), &ones(1));
    let _ = ones(2).f_add_out(&ones(2), &ones(3));
    let text = String::from_utf8(TEXT.lock().unwrap().clone()).unwrap();
    assert!(text.contains("resized") && text.contains("[W"), "{text:?}");
}
