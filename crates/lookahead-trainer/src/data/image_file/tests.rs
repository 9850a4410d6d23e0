use super::*;
use image::{GrayImage, Luma, Rgb, RgbImage};

#[test]
fn pixels_are_channel_by_channel() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let colors = RgbImage::from_fn(2, 1, |x, _| Rgb([x as u8, 10 + x as u8, 20 + x as u8]));
    colors.save(at("rgb.png")).unwrap();
    let layout = probe(&at("rgb.png")).unwrap();
    assert_eq!(layout, PixelLayout { channels: 3, size: [1, 2], resize: false });
    let mut pixels = [0; 6];
    decode(&at("rgb.png"), layout, &mut pixels).unwrap();
    assert_eq!(pixels, [0, 1, 10, 11, 20, 21]);

    GrayImage::from_pixel(2, 2, Luma([7])).save(at("gray.png")).unwrap();
    // The contents decide about the format.
    std::fs::rename(at("gray.png"), at("gray.jpg")).unwrap();
    let gray = probe(&at("gray.jpg")).unwrap();
    assert_eq!(gray, PixelLayout { channels: 1, size: [2, 2], resize: false });
    let mut pixels = [0; 12];
    decode(&at("gray.jpg"), PixelLayout { channels: 3, ..gray }, &mut pixels).unwrap();
    assert_eq!(pixels, [7; 12]);

    let error = decode(&at("rgb.png"), gray, &mut [0; 4]).unwrap_err().to_string();
    assert!(
        error.contains("rgb.png has 1 × 2 pixels (height × width) instead of 2 × 2"),
        "{error}"
    );
    let mut pixels = [0; 4];
    decode(&at("rgb.png"), PixelLayout { resize: true, ..gray }, &mut pixels).unwrap();
    assert_eq!(pixels[0], pixels[2], "the rows of an image that was one row");
}

/// A photo that is cut off, and files of which none is an image: each with its name.
#[test]
fn broken_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken.jpg");
    GrayImage::from_fn(64, 64, |x, y| Luma([(x * y) as u8])).save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    probe(&path).unwrap();
    // A small picture in a segment ends too.
    let segment = [&[0xff, 0xe1, 0, 6], &whole[whole.len() - 2..], &[0, 0]].concat();
    let with_picture = [&whole[..2], &segment, &whole[2..]].concat();
    std::fs::write(&path, &with_picture).unwrap();
    probe(&path).unwrap();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
    for (bytes, words) in [
        (&whole[..whole.len() / 2], "broken.jpg can't be read: it is cut off"),
        (&whole[..20], "broken.jpg can't be read: it is cut off"),
        (&whole[..whole.len() - 1], "broken.jpg can't be read: it is cut off"),
        (&with_picture[..with_picture.len() / 2], "broken.jpg can't be read: it is cut off"),
        (b"", "broken.jpg can't be read: it is empty"),
        (b"no image", "broken.jpg isn't an image in a format that is read: PNG"),
        (b"<!DOCTYPE html><html>", "It is a web page"),
        (pointer, "git lfs pull"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = probe(&path).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("broken.jpg"), "{error}");
    }
    let error = probe(&dir.path().join("none.png")).unwrap_err().to_string();
    assert!(error.contains("none.png can't be read"), "{error}");
}

#[test]
fn the_first_failure_in_the_order_of_files_counts() {
    let files: Vec<PathBuf> = (0..100).map(|i| PathBuf::from(i.to_string())).collect();
    let run = |broken: &[usize], all: bool| {
        let mut out = vec![0; 200];
        let found = for_each_file(&files, (&mut out, 2), all, |path, out| {
            let i: usize = path.to_str().unwrap().parse().unwrap();
            out.fill(i);
            let error = ImageError::Unreadable(i.to_string());
            if broken.contains(&i) { Err(error) } else { Ok(()) }
        });
        let found: Vec<usize> = found.iter().map(|broken| broken.index).collect();
        (found, out)
    };
    let (found, out) = run(&[], true);
    assert!(found.is_empty());
    assert_eq!(out, (0..200).map(|i| i / 2).collect::<Vec<_>>());
    assert_eq!(run(&[99, 3, 70], true).0, [3, 70, 99]);
    assert_eq!(run(&[99, 3, 70, 71], false).0[0], 3);
}
