use super::*;
use tch::{Device, Kind};

fn random(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu))
}

#[test]
fn values_stay_in_their_places() {
    for shape in [[2, 3, 4, 5], [2, 1, 4, 5], [4, 3, 1, 1], [0, 3, 4, 5]] {
        let usual = random(&shape);
        let moved = channels_last(&usual).unwrap();
        assert_eq!(moved.size(), shape);
        assert!(is_channels_last(&moved), "{shape:?}");
        assert_eq!(moved, usual);
        assert_eq!(moved.contiguous().view([-1]), usual.view([-1]), "{shape:?}");
        assert_eq!(channels_last(&moved).unwrap().data_ptr(), moved.data_ptr(), "{shape:?}");
    }
}

#[test]
fn other_numbers_of_dimensions_are_refused() {
    for shape in [&[][..], &[3], &[3, 4], &[1, 2, 3, 4, 5]] {
        let error = channels_last(&random(shape)).unwrap_err().to_string();
        assert!(error.contains("rank 4"), "{error}");
        assert!(!is_channels_last(&random(shape)));
    }
    assert!(channels_last(&Tensor::new()).is_err());
}

/// In the order of the weights, although the image has only one channel.
#[test]
fn a_convolution_keeps_the_order_and_its_gradient_has_it() {
    tch::manual_seed(1);
    let image = channels_last(&random(&[2, 1, 6, 6])).unwrap();
    let weight = channels_last(&random(&[4, 1, 3, 3])).unwrap().set_requires_grad(true);
    let second = channels_last(&random(&[5, 4, 3, 3])).unwrap().set_requires_grad(true);
    let convolved = |x: &Tensor, w: &Tensor| x.conv2d(w, None::<&Tensor>, 1, 0, 1, 1);
    let first = convolved(&image, &weight);
    assert!(is_channels_last(&first) && !first.is_contiguous(), "{:?}", first.stride());
    convolved(&first, &second).square().sum(Kind::Float).backward();
    assert_eq!(second.grad().stride(), second.stride());
}

/// Strides that fit both orders count as row-major, unless they were converted.
#[test]
fn a_convolution_computes_channels_last_if_input_or_weight_does() {
    for (inputs, kernel) in [(3, 1), (3, 3), (1, 3), (1, 1)] {
        let image = random(&[2, inputs, 6, 6]);
        let weight = random(&[4, inputs, kernel, kernel]);
        let (image_last, weight_last) =
            (channels_last(&image).unwrap(), channels_last(&weight).unwrap());
        let shape = (inputs, kernel);
        assert!(!computes_channels_last(&image, &weight), "{shape:?}");
        assert!(computes_channels_last(&image_last, &weight), "{shape:?}");
        // One number has no order.
        assert_eq!(computes_channels_last(&image, &weight_last), shape != (1, 1), "{shape:?}");
        let none = None::<&Tensor>;
        for (x, w) in [(&image, &weight), (&image_last, &weight), (&image, &weight_last)] {
            let convolved = x.conv2d(w, none, 1, 0, 1, 1);
            let found = is_channels_last(&convolved) && !convolved.is_contiguous();
            assert_eq!(found, computes_channels_last(x, w), "{shape:?}");
        }
    }
}
