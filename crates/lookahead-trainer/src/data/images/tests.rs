use super::*;

fn images() -> Images {
    Images {
        pixels: vec![0, 10, 20, 30, 40, 50],
        labels: vec![3, 1, 2],
        ..Images::none([1, 1, 2], &[10.0], &[5.0])
    }
}

fn numbers(batch: &Batch) -> (Vec<f32>, Vec<i64>) {
    let inputs = Vec::try_from(batch.inputs.reshape([-1])).unwrap();
    (inputs, Vec::try_from(&batch.targets).unwrap())
}

#[test]
fn pixels_are_normalized_in_their_places() {
    let batch = images().slice(1..3, Device::Cpu).unwrap();
    assert_eq!(batch.inputs.size(), [2, 1, 1, 2]);
    assert_eq!(numbers(&batch), (vec![2.0, 4.0, 6.0, 8.0], vec![1, 2]));
    let key = SampleKey { seed: 0, epoch: 0, cursor: 0 };
    let batch = images().gather(&[2, 0], key, Device::Cpu).unwrap();
    assert_eq!(numbers(&batch), (vec![6.0, 8.0, -2.0, 0.0], vec![2, 3]));
}

#[test]
fn each_channel_can_have_its_own_mean() {
    let images = Images {
        pixels: vec![0, 10, 20, 30],
        labels: vec![0],
        ..Images::none([2, 1, 2], &[10.0, 20.0], &[5.0, 2.0])
    };
    let batch = images.slice(0..1, Device::Cpu).unwrap();
    assert_eq!(numbers(&batch).0, [-2.0, 0.0, 0.0, 5.0]);
}

#[test]
fn the_fraction_of_wrong_labels_is_right_and_the_same_every_time() {
    let mut clean = Images { labels: vec![4; 10_000], ..images() };
    let mut noisy = clean.clone();
    noisy.add_label_noise(0.2, 10);
    let wrong = noisy.labels.iter().filter(|&&label| label != 4).count();
    // Five standard deviations of a binomial with p = 0.2: √(10000 · 0.16) = 40.
    assert!(wrong.abs_diff(2000) < 200, "{wrong}");
    let counts = (0..10).map(|class| noisy.labels.iter().filter(|&&l| l == class).count());
    assert!(counts.enumerate().all(|(class, n)| class == 4 || n.abs_diff(222) < 75));
    let first = noisy.labels.clone();
    clean.add_label_noise(0.2, 10);
    assert_eq!(clean.labels, first);
    clean.labels.fill(4);
    clean.add_label_noise(0.0, 10);
    assert!(clean.labels.iter().all(|&label| label == 4));
}
