use super::*;

const KINDS: [Kind; 4] = [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Half];

fn random(shape: &[i64], kind: Kind) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu)).to_kind(kind)
}

fn of_one_rank(tensors: &[&Tensor], differences: Option<Differences<'_>>) -> Buckets {
    let mut buckets = Buckets::default();
    let none = || Ok(Vec::new());
    buckets.mean_and_gather(&ProcessGroup::single(), tensors, differences, none).unwrap();
    buckets
}

#[test]
fn values_and_differences_lie_in_the_layout_of_their_tensors() {
    tch::manual_seed(1);
    for kind in KINDS {
        let wide = mean_kind(kind);
        // The last has gaps and takes another path.
        let tensors = [
            random(&[1000], kind),
            random(&[6, 5], kind).transpose(0, 1),
            random(&[], kind),
            random(&[40], kind).slice(0, 0, 40, 2),
        ];
        let from = tensors.each_ref().map(|t| random(&t.size(), Kind::Double).to_kind(wide));
        let (tensors, from) = (tensors.each_ref(), from.each_ref());
        for (i, mean) in of_one_rank(&tensors, None).means().iter().enumerate() {
            assert_eq!(*mean, tensors[i].to_kind(wide), "{kind:?}");
        }
        let narrow = Kind::BFloat16;
        let buckets = of_one_rank(&tensors, Some(Differences { from: &from, kind: narrow }));
        for (i, mean) in buckets.means().iter().enumerate() {
            let expected = (tensors[i].to_kind(wide) - from[i]).to_kind(Kind::Float);
            assert_eq!(*mean, expected.to_kind(narrow), "{kind:?}, tensor {i}");
        }
    }
}

#[test]
fn nan_and_infinity_are_detected_while_copying() {
    let (size, nan, infinity) = (70_001, f64::NAN, f64::INFINITY);
    for kind in KINDS {
        let from = Tensor::ones([size], (mean_kind(kind), Device::Cpu));
        for difference in [false, true] {
            for (place, value) in [(0, nan), (513, -infinity), (size - 1, infinity)] {
                let tensor = Tensor::ones([size], (kind, Device::Cpu));
                let from = [&from];
                let differences = Differences { from: &from, kind: Kind::BFloat16 };
                let differences = difference.then_some(differences);
                assert!(of_one_rank(&[&tensor], differences).known_finite(), "{kind:?}");
                let _ = tensor.get(place).fill_(value);
                let buckets = of_one_rank(&[&tensor], differences);
                assert!(!buckets.known_finite(), "{kind:?}, {value} at {place}");
                let kept = buckets.means()[0].double_value(&[place]);
                assert!(kept.is_nan() == value.is_nan() && !kept.is_finite(), "{kept}");
            }
        }
    }
    // The path for gaps does not check.
    let gaps = Tensor::ones([8], (Kind::Float, Device::Cpu)).slice(0, 0, 8, 2);
    assert!(!of_one_rank(&[&gaps], None).known_finite());
    // A difference that overflows bfloat16 is detected.
    let (huge, zero) = (Tensor::from_slice(&[f32::MAX]), Tensor::from_slice(&[0f32]));
    let differences = Differences { from: &[&zero], kind: Kind::BFloat16 };
    assert!(!of_one_rank(&[&huge], Some(differences)).known_finite());
}

#[test]
fn every_bit_changes_the_hash() {
    let tensors = [random(&[3, 7], Kind::Float), random(&[40_000], Kind::BFloat16)];
    let hash = |tensors: &[Tensor]| bits(tensors, 0, 1).unwrap();
    let before = hash(&tensors);
    assert_eq!(before, hash(&tensors.each_ref().map(Tensor::copy)));
    let negative = tensors.each_ref().map(|tensor| -tensor);
    assert_ne!(before, hash(&negative), "all signs flipped");
    for (of, place) in [(0, 0), (0, 20), (1, 0), (1, 39_999)] {
        let other = tensors.each_ref().map(Tensor::copy);
        let element = other[of].view([-1]).get(place);
        element.shallow_clone().copy_(&-&element);
        assert_ne!(before, hash(&other), "one sign, of tensor {of} at {place}");
    }
    // Each element is in exactly one share.
    let other = tensors.each_ref().map(Tensor::copy);
    let _ = other[1].get(20_000).fill_(0.5);
    let share = |tensors: &[Tensor], i| bits(tensors, i, 3).unwrap();
    let seen = (0..3).filter(|&i| share(&tensors, i) != share(&other, i)).count();
    assert_eq!(seen, 1);
}
