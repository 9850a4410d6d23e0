use super::*;
use tch::{Device, Kind};

fn print(tensor: &Tensor) -> Fingerprint {
    fingerprints([tensor]).unwrap()[0]
}

#[test]
fn every_way_of_changing_a_tensor_shows() {
    let mut t = Tensor::zeros([3], (Kind::Float, Device::Cpu));
    let before = print(&t);
    assert_eq!(before, print(&t.shallow_clone()));
    let _ = &t + 1.0;
    assert_eq!(before, print(&t), "reading changes nothing");

    let _ = t.g_add_scalar_(1.0);
    let written = print(&t);
    assert_ne!(before, written);
    t.set_data(&Tensor::zeros([3], (Kind::Float, Device::Cpu)));
    let replaced = print(&t);
    assert_ne!(written, replaced);
    t.set_data(&t.to_kind(Kind::Double));
    assert_ne!(replaced, print(&t));
}

#[test]
fn equal_values_are_not_the_same_tensor() {
    let t = Tensor::zeros([3], (Kind::Float, Device::Cpu));
    assert_eq!(identity(&t), identity(&t.shallow_clone()));
    assert_ne!(identity(&t), identity(&t.copy()));
    assert_ne!(identity(&t), identity(&t.detach()));
}
