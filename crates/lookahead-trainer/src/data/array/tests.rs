use super::*;

#[test]
fn rows_are_taken_by_range_and_by_index() {
    let mut array = Array::new(&[4, 1, 2], (0..8).map(|i| i as f32).collect::<Vec<_>>()).unwrap();
    let read =
        |tensor: Tensor| (tensor.size(), Vec::<f32>::try_from(tensor.reshape([-1])).unwrap());
    assert_eq!(read(array.slice(1..3, Device::Cpu)), (vec![2, 1, 2], vec![2.0, 3.0, 4.0, 5.0]));
    assert_eq!(read(array.gather(&[3, 0, 3], Device::Cpu)).1, [6.0, 7.0, 0.0, 1.0, 6.0, 7.0]);
    assert_eq!(read(array.gather(&[], Device::Cpu)).0, [0, 1, 2]);

    let selected = array.select(&[2, 0]);
    assert_eq!(selected, Array::new(&[2, 1, 2], vec![4.0f32, 5.0, 0.0, 1.0]).unwrap());

    let end = array.split_off(1);
    assert_eq!((array.shape(), end.shape()), (&[3, 1, 2][..], &[1, 1, 2][..]));
    assert_eq!(read(end.slice(0..1, Device::Cpu)).1, [6.0, 7.0]);

    let classes = Array::new(&[2], vec![7i64, -1]).unwrap();
    assert_eq!(Vec::<i64>::try_from(classes.gather(&[1, 0], Device::Cpu)).unwrap(), [-1, 7]);
}

#[test]
fn a_shape_that_does_not_fit_is_refused() {
    for shape in [&[][..], &[3], &[2, 3], &[usize::MAX, 2]] {
        let error = Array::new(shape, vec![0i64; 4]).unwrap_err();
        assert!(error.contains(&format!("{shape:?}")) && error.contains('4'), "{error}");
    }
}
