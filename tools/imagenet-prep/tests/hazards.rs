//! Awkward and hostile images of a size that is made smaller, on both roads: re-encoded, and with
//! their own bytes kept.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use cream_data::{ShardSet, Split, decode};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

const PHOTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/photos/");

fn photo(name: &str) -> Vec<u8> {
    fs::read(Path::new(PHOTOS).join(name)).unwrap()
}

/// A segment APP1 directly after the start marker.
fn with_exif(jpeg: &[u8], tiff: &[u8]) -> Vec<u8> {
    let payload = [b"Exif\0\0", tiff].concat();
    let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &payload, &jpeg[2..]].concat()
}

/// The last scan of a progressive JPEG as often as given: each makes a decoder go over the whole
/// image again.
fn with_scans(jpeg: &[u8], times: usize) -> Vec<u8> {
    let scan = jpeg.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let end = jpeg.windows(2).rposition(|pair| pair == [0xff, 0xd9]).unwrap();
    [&jpeg[..scan], &jpeg[scan..end].repeat(times), &jpeg[end..]].concat()
}

/// A grey PNG of zeros, which take next to no space, whose header is `claimed` for what is `there`.
fn png_of_zeros(there: (u32, u32), claimed: (u32, u32)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, there.0, there.1);
    encoder.set_color(png::ColorType::Grayscale);
    let zeros = vec![0; there.0 as usize * there.1 as usize];
    encoder.write_header().unwrap().write_image_data(&zeros).unwrap();
    bytes[16..20].copy_from_slice(&claimed.0.to_be_bytes());
    bytes[20..24].copy_from_slice(&claimed.1.to_be_bytes());
    let mut sum = flate2::Crc::new();
    sum.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.sum().to_be_bytes());
    bytes
}

/// Name, bytes, and the width and height when the short side becomes 100.
fn kept() -> Vec<(&'static str, Vec<u8>, (usize, usize))> {
    let (width, height) = (300, 200);
    let colour: Vec<u8> = (0..width * height).flat_map(|i| [(i % 251) as u8, 90, 160]).collect();
    let inks: Vec<u8> = colour.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let make = |pixels: &[u8], format, (width, height)| {
        compress(pixels, width, height, format, 90, Subsampling::S444).unwrap()
    };
    let plain = make(&colour, PixelFormat::Rgb, (width, height));
    // Little-endian TIFF: orientation 6, a quarter turn; and one whose entries lie outside.
    let turned = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let outside = b"II*\0\xff\xff\xff\x7f\xff\xff";
    vec![
        ("cmyk.jpg", make(&inks, PixelFormat::Cmyk, (width, height)), (150, 100)),
        ("grey.jpg", make(&colour[..60_000], PixelFormat::Grayscale, (width, height)), (150, 100)),
        ("progressive.jpg", photo("chelsea_progressive_444.jpg"), (139, 100)),
        ("turned.jpg", with_exif(&plain, turned), (150, 100)),
        ("outside.jpg", with_exif(&plain, outside), (150, 100)),
        ("wide.jpg", make(&colour[..900], PixelFormat::Rgb, (300, 1)), (300, 1)),
        ("tall.jpg", make(&colour[..900], PixelFormat::Rgb, (1, 300)), (1, 300)),
        ("wrong.JPEG", png_of_zeros((200, 400), (200, 400)), (100, 200)),
        // What is inflated beyond the header's size is left alone.
        ("more.png", png_of_zeros((120, 4_000), (120, 130)), (100, 108)),
    ]
}

/// Name, bytes and what the report says.
fn set_aside() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let whole = photo("chelsea.jpg");
    let progressive = photo("chelsea_progressive_444.jpg");
    let mut claim = whole.clone();
    let frame = claim.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    claim[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    vec![
        ("cut.jpg", whole[..whole.len() / 2].to_vec(), "truncated"),
        ("end.jpg", whole[..whole.len() - 2].to_vec(), "truncated"),
        ("cut-progressive.jpg", progressive[..progressive.len() / 2].to_vec(), "truncated"),
        ("claim.jpg", claim, "pixels"),
        ("scans.jpg", with_scans(&progressive, 300), "scan"),
        ("claimed.png", png_of_zeros((8, 8), (60_000, 60_000)), "pixels"),
        ("fewer.png", png_of_zeros((200, 200), (200, 20_000)), ""),
        ("page.jpg", b"<html>".repeat(1_000), "neither JPEG nor PNG"),
    ]
}

fn prepared(flags: &[&str]) -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("src/train/cat");
    fs::create_dir_all(&folder).unwrap();
    let validation = place.path().join("src/val/cat");
    fs::create_dir_all(&validation).unwrap();
    fs::write(validation.join("plain.png"), png_of_zeros((4, 3), (4, 3))).unwrap();
    for (name, bytes, _) in kept() {
        fs::write(folder.join(name), bytes).unwrap();
    }
    for (name, bytes, _) in set_aside() {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_imagenet-prep"))
        .args([place.path().join("src"), place.path().join("out")])
        .args(["--max-bad-share", "0.6"])
        .args(flags)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    (place, text)
}

fn check_report(place: &Path, text: &str) {
    let bad = set_aside();
    assert!(text.contains(&format!("{} set aside", bad.len())), "{text}");
    let report = fs::read_to_string(place.join("out/quarantine.csv")).unwrap();
    for (name, _, reason) in bad {
        let start = format!("train/cat/{name}");
        let line = report.lines().find(|line| line.starts_with(&start)).expect(name);
        assert!(line.contains(reason), "{line}");
    }
}

/// The samples by key.
fn samples(place: &Path) -> impl Fn(&str) -> Vec<u8> {
    let set = ShardSet::open(place.join("out")).unwrap();
    assert_eq!(set.len(Split::Train), kept().len());
    move |name| {
        let key = name.split('.').next().unwrap();
        let mut all = set.samples(Split::Train).into_iter();
        let sample = all.find(|&sample| set.key(sample).unwrap() == key).expect(name);
        let mut bytes = Vec::new();
        set.read(sample, &mut bytes).unwrap();
        bytes
    }
}

#[test]
fn what_is_made_smaller_keeps_its_shape_and_the_rest_is_set_aside() {
    let (place, text) = prepared(&["--short-side", "100"]);
    check_report(place.path(), &text);
    let sample = samples(place.path());
    for (name, bytes, (width, height)) in kept() {
        let stored = sample(name);
        let image = decode(&stored).unwrap();
        let sides = decode(&bytes).unwrap();
        assert_eq!((image.width, image.height), (width, height), "{name}");
        assert_eq!(stored == bytes, sides.width.min(sides.height) <= 100, "{name}");
    }
}

#[test]
fn what_is_kept_as_it_is_has_its_own_bytes_and_the_rest_is_set_aside() {
    let (place, text) = prepared(&["--keep-original"]);
    check_report(place.path(), &text);
    let sample = samples(place.path());
    for (name, bytes, _) in kept() {
        assert!(sample(name) == bytes, "{name}");
    }
}

/// What is no file in a class folder is named, and nobody waits for it.
#[test]
fn pipes_devices_and_broken_links_are_set_aside() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("src/cat");
    fs::create_dir_all(folder.join("folder.jpg")).unwrap();
    for number in 0..4 {
        fs::write(folder.join(format!("{number}.png")), png_of_zeros((4, 3), (4, 3))).unwrap();
    }
    assert!(Command::new("mkfifo").arg(folder.join("pipe.jpg")).status().unwrap().success());
    symlink("/dev/zero", folder.join("device.jpg")).unwrap();
    symlink("round.jpg", folder.join("round.jpg")).unwrap();
    let out = place.path().join("out");
    let mut run = Command::new(env!("CARGO_BIN_EXE_imagenet-prep"))
        .args([&place.path().join("src"), &out])
        .args(["--max-bad-share", "0.5", "--val-share", "0.3", "--quiet"])
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        match run.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > Duration::from_secs(120) => {
                run.kill().unwrap();
                panic!("it waits for a pipe or reads a device without end");
            }
            None => sleep(Duration::from_millis(20)),
        }
    };
    assert!(status.success());
    let report = fs::read_to_string(out.join("quarantine.csv")).unwrap();
    let reasons = ["cat/device.jpg,cat,not a regular file", "cat/pipe.jpg,cat,not a regular file"];
    assert!(reasons.iter().all(|reason| report.contains(reason)), "{report}");
    assert!(report.contains("cat/round.jpg,cat,"), "{report}");
    assert_eq!(report.lines().count(), 4, "{report}");
}

/// Images that fail on the way to a smaller size count as those do that keep their bytes: one in
/// 1,000 is the share that passes without a word.
#[test]
fn one_bad_image_in_a_thousand_passes_and_more_do_not() {
    let progressive = photo("chelsea_progressive_444.jpg");
    let cut = &progressive[..progressive.len() / 2];
    for (flags, images, passes) in [
        (&["--short-side", "100"][..], 1_000, true),
        (&["--short-side", "100"], 999, false),
        (&["--keep-original"], 1_000, true),
        (&["--keep-original"], 999, false),
    ] {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("src/cat");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cut.jpg"), cut).unwrap();
        let good = png_of_zeros((4, 3), (4, 3));
        (1..images).for_each(|i| fs::write(folder.join(format!("{i}.png")), &good).unwrap());
        let output = Command::new(env!("CARGO_BIN_EXE_imagenet-prep"))
            .args([place.path().join("src"), place.path().join("out")])
            .args(["--val-share", "0.1"])
            .args(flags)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(!passes)), "{flags:?} {images}: {text}");
        let expected = if passes { "1 set aside" } else { "1 of 999 images are bad (0.10 %" };
        assert!(text.contains(expected), "{flags:?} {images}: {text}");
    }
}
