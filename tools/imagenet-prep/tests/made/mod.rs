//! Runs of the tool, and archives as people have them, made byte by byte so that they can be wrong.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use cream_data::{ShardSet, Split};

pub fn prep(src: &Path, out: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_imagenet-prep")).args([src, out]).args(flags).output().unwrap()
}

/// Every file of a folder with its content.
pub fn content(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// Runs with success.
pub fn good(src: &Path, out: &Path, flags: &[&str]) -> ShardSet {
    let output = prep(src, out, flags);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    ShardSet::open(out).unwrap()
}

/// Runs with exit status 2, and returns the one line that says why.
pub fn refused(src: &Path, out: &Path, flags: &[&str]) -> String {
    let output = prep(src, out, flags);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("imagenet-prep: ") && !text.contains("panicked"), "{text}");
    text
}

/// Every shard and table of a set with its content.
pub fn shards(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap()))
        .filter(|(name, _)| name.starts_with("train-") || name.starts_with("val-"))
        .collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    files
}

pub fn keys(set: &ShardSet, split: Split) -> Vec<String> {
    set.samples(split).into_iter().map(|s| set.key(s).unwrap().to_owned()).collect()
}

/// A small image, another one for each value.
pub fn png(value: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 4, 3);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[value; 12]).unwrap();
    bytes
}

/// A member of a tar: header, data, padding.
pub fn member(name: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    claiming(name.as_bytes(), kind, format!("{:011o}\0", data.len()).as_bytes(), data)
}

/// A member whose size field holds what is given.
pub fn claiming(name: &[u8], kind: u8, size: &[u8], data: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..124 + size.len()].copy_from_slice(size);
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    let mut bytes = sealed(header).to_vec();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A header with its checksum made right.
pub fn sealed(mut header: [u8; 512]) -> [u8; 512] {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// A tar of members.
pub fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

/// The synsets of the sets made here, in the order of their numbers, which is not the sorted one.
pub const SYNSETS: [(&str, &str); 3] = [
    ("n02119789", "kit fox, Vulpes macrotis"),
    ("n01440764", "tench, Tinca tinca"),
    ("n09999999", "caf\u{e9}, of which there are no images"),
];

fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn matrix(class: u8, dimensions: [u32; 2], name: &str, content: &[Vec<u8>]) -> Vec<u8> {
    let mut flags = [0; 8];
    flags[0] = class;
    let dimensions: Vec<u8> = dimensions.iter().flat_map(|d| d.to_le_bytes()).collect();
    let head = [element(6, &flags), element(5, &dimensions), element(1, name.as_bytes())];
    element(14, &[head.concat(), content.concat()].concat())
}

/// `meta.mat` of [`SYNSETS`], as MATLAB writes it: one deflated element.
pub fn meta() -> Vec<u8> {
    const LENGTH: usize = 16;
    let fields = ["ILSVRC2012_ID", "WNID", "words", "num_children"];
    let names: Vec<u8> = fields
        .iter()
        .flat_map(|name| name.bytes().chain(std::iter::repeat(0)).take(LENGTH))
        .collect();
    let mut content = vec![
        // In the tag itself, as small elements are.
        [&(4_u32 << 16 | 5).to_le_bytes()[..], &(LENGTH as u32).to_le_bytes()].concat(),
        element(1, &names),
    ];
    for ((wnid, words), id) in SYNSETS.into_iter().zip(1_u8..) {
        let utf16: Vec<u8> = words.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let small = [&(1_u32 << 16 | 2).to_le_bytes()[..], &[id, 0, 0, 0]].concat();
        content.push(matrix(6, [1, 1], "", &[small]));
        content.push(matrix(4, [1, wnid.len() as u32], "", &[element(16, wnid.as_bytes())]));
        content.push(matrix(4, [1, utf16.len() as u32 / 2], "", &[element(4, &utf16)]));
        content.push(matrix(6, [0, 0], "", &[element(9, &[])]));
    }
    let synsets = matrix(2, [SYNSETS.len() as u32, 1], "synsets", &content);
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&synsets).unwrap();
    let packed = packer.finish().unwrap();
    let mut file = vec![b' '; 124];
    file.extend([0, 1, b'I', b'M']);
    file.extend(15_u32.to_le_bytes());
    file.extend((packed.len() as u32).to_le_bytes());
    file.extend(packed);
    file
}

/// A development kit with a ground truth.
pub fn devkit(truth: &str, meta: &[u8]) -> Vec<u8> {
    let folder = "ILSVRC2012_devkit_t12";
    let truth_name = format!("{folder}/data/ILSVRC2012_validation_ground_truth.txt");
    gzip(&tar(&[
        member(&format!("{folder}/"), b'5', &[]),
        member(&format!("{folder}/readme.txt"), b'0', b"read me"),
        member(&truth_name, b'0', truth.as_bytes()),
        member(&format!("{folder}/data/meta.mat"), b'0', meta),
    ]))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// An image of the sets made here.
pub struct Image {
    pub class: &'static str,
    pub stem: String,
    pub bytes: Vec<u8>,
}

/// Training images, three of each class that has any, and validation images, of which number 1 is a
/// tench and number 2 a fox.
pub fn images() -> (Vec<Image>, Vec<Image>) {
    let image = |class, stem, value| Image { class, stem, bytes: png(value) };
    let (fox, tench) = (SYNSETS[0].0, SYNSETS[1].0);
    let mut train = Vec::new();
    for (class, first) in [(fox, 0), (tench, 100)] {
        for (number, value) in [10_u8, 9, 8].into_iter().zip(first..) {
            train.push(image(class, format!("{class}_{number}"), value));
        }
    }
    let val = [(tench, 1), (fox, 2)];
    let val = val.map(|(class, n)| image(class, format!("ILSVRC2012_val_{n:08}"), 200 + n as u8));
    (train, val.into())
}

/// The ground truth of [`images`].
pub const TRUTH: &str = "2\n1\n";

/// Writes [`images`] as class folders.
pub fn class_folders(dir: &Path) {
    let (train, val) = images();
    for (part, images) in [("train", train), ("val", val)] {
        for Image { class, stem, bytes } in images {
            let folder = dir.join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{stem}.JPEG")), bytes).unwrap();
        }
    }
}

/// A member for each image.
pub fn members(images: &[Image], class: Option<&str>) -> Vec<Vec<u8>> {
    let chosen = images.iter().filter(|image| class.is_none_or(|class| image.class == class));
    chosen.map(|image| member(&format!("{}.JPEG", image.stem), b'0', &image.bytes)).collect()
}

/// Writes [`images`] as the official archives.
pub fn official_archives(dir: &Path) {
    let (train, val) = images();
    let classes = [SYNSETS[0].0, SYNSETS[1].0];
    let inner = classes
        .map(|class| member(&format!("{class}.tar"), b'0', &tar(&members(&train, Some(class)))));
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("ILSVRC2012_img_train.tar"), tar(&inner)).unwrap();
    fs::write(dir.join("ILSVRC2012_img_val.tar"), tar(&members(&val, None))).unwrap();
    fs::write(dir.join("ILSVRC2012_devkit_t12.tar.gz"), devkit(TRUTH, &meta())).unwrap();
}
