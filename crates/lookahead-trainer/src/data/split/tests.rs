use super::*;

#[test]
fn every_sample_is_in_one_part() {
    let (train, test) = shuffled_parts(100, 0.2).unwrap();
    assert_eq!((train.len(), test.len()), (80, 20));
    let mut all = [train.clone(), test].concat();
    assert_ne!(all, (0..100).collect::<Vec<_>>());
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
    // What is trained on does not move to the test set when the fraction shrinks.
    let (more, _) = shuffled_parts(100, 0.1).unwrap();
    assert_eq!(more[..80], train);
    assert_eq!(shuffled_parts(3, 0.01).unwrap().1.len(), 1);
    assert_eq!(shuffled_parts(3, 0.0).unwrap().1.len(), 0);
    assert!(shuffled_parts(1, 0.2).unwrap_err().contains("It has 1 samples"));
    assert!(shuffled_parts(0, 0.0).unwrap_err().contains("It has 0 samples"));
}

#[test]
fn a_fraction_is_alone() {
    let issue = check_test_part(Some(0.1), Some("data.test_file")).unwrap_err();
    assert!(issue.message.contains("and `data.test_file` are both set"), "{}", issue.message);
    check_test_part(Some(0.0), None).unwrap();
    check_test_part(None, Some("data.test_file")).unwrap();
}
