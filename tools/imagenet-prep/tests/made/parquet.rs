//! Parquet files of one row group, a page per column, each part of which can be made wrong.

/// What a file holds, and what it says of it.
#[derive(Clone)]
pub struct Rows {
    pub images: Vec<Option<Vec<u8>>>,
    pub paths: Vec<Option<String>>,
    pub labels: Vec<Option<i64>>,
    /// Names of the labels, as the library writes them.
    pub names: Option<Vec<&'static str>>,
    /// Names of the columns `bytes`, `path` and `label`.
    pub columns: [&'static str; 3],
    /// The physical type that the schema gives labels, and images.
    pub label_type: u64,
    pub image_type: u64,
    pub codec: u64,
    pub encoding: u64,
    /// Added to what the pages' headers say of their unpacked size.
    pub inflated: u64,
    /// Added to what the footer says of the rows.
    pub more_rows: u64,
}

/// Image, path and label.
pub type Row = (Option<Vec<u8>>, Option<String>, Option<i64>);

impl Rows {
    pub fn new(rows: Vec<Row>) -> Self {
        let mut all = Self {
            images: Vec::new(),
            paths: Vec::new(),
            labels: Vec::new(),
            names: None,
            columns: ["bytes", "path", "label"],
            label_type: 2,
            image_type: 6,
            codec: 0,
            encoding: 0,
            inflated: 0,
            more_rows: 0,
        };
        for (image, path, label) in rows {
            all.images.push(image);
            all.paths.push(path);
            all.labels.push(label);
        }
        all
    }

    pub fn file(&self) -> Vec<u8> {
        let texts = |texts: &[Option<Vec<u8>>]| -> Vec<Option<Vec<u8>>> {
            let with_length =
                |text: &Vec<u8>| [&(text.len() as u32).to_le_bytes(), &text[..]].concat();
            texts.iter().map(|text| text.as_ref().map(with_length)).collect()
        };
        let paths: Vec<_> = self.paths.iter().map(|p| p.clone().map(String::into_bytes)).collect();
        let width = if self.label_type == 1 { 4 } else { 8 };
        let labels: Vec<_> =
            self.labels.iter().map(|l| l.map(|l| l.to_le_bytes()[..width].to_vec())).collect();
        let mut file = b"PAR1".to_vec();
        let parts = [
            (texts(&self.images), 2, self.image_type, vec!["image", self.columns[0]]),
            (texts(&paths), 2, 6, vec!["image", self.columns[1]]),
            (labels, 1, self.label_type, vec![self.columns[2]]),
        ];
        let mut chunks = Vec::new();
        for (values, levels, kind, path) in parts {
            let start = file.len();
            file.extend(self.page(&values, levels));
            let size = (file.len() - start) as u64;
            let about = Fields::default()
                .number(1, kind)
                .list(2, 5, &[vec![0]])
                .list(3, 8, &path.iter().map(|name| text(name)).collect::<Vec<_>>())
                .number(4, self.codec)
                .number(5, values.len() as u64 + self.more_rows)
                .number(6, size)
                .number(7, size)
                .number(9, start as u64);
            chunks.push(Fields::default().number(2, start as u64).structure(3, about).end());
        }
        let footer = self.footer(&chunks);
        file.extend(&footer);
        file.extend((footer.len() as u32).to_le_bytes());
        file.extend(b"PAR1");
        file
    }

    fn page(&self, values: &[Option<Vec<u8>>], levels: u8) -> Vec<u8> {
        // A run of one for each row.
        let runs: Vec<u8> =
            values.iter().flat_map(|value| [2, if value.is_some() { levels } else { 0 }]).collect();
        let mut body = [&(runs.len() as u32).to_le_bytes(), &runs[..]].concat();
        body.extend(values.iter().flatten().flatten());
        let size = body.len() as u64 + self.inflated;
        if self.codec == 1 {
            // All of it as it is: a literal with four bytes of length.
            let literal = [&[63 << 2], &(body.len() as u32 - 1).to_le_bytes()[..], &body].concat();
            body = [varint(size), literal].concat();
        }
        let about = Fields::default()
            .number(1, values.len() as u64)
            .number(2, self.encoding)
            .number(3, 3)
            .number(4, 3);
        let header = Fields::default()
            .number(1, 0)
            .number(2, size)
            .number(3, body.len() as u64)
            .structure(5, about);
        [header.end(), body].concat()
    }

    fn footer(&self, chunks: &[Vec<u8>]) -> Vec<u8> {
        let node = |name: &str| Fields::default().number(3, 1).bytes(4, name.as_bytes());
        let leaf = |kind: u64, name: &str| {
            Fields::default().number(1, kind).number(3, 1).bytes(4, name.as_bytes()).end()
        };
        let schema = [
            Fields::default().bytes(4, b"schema").number(5, 2).end(),
            node("image").number(5, 2).end(),
            leaf(self.image_type, self.columns[0]),
            leaf(6, self.columns[1]),
            leaf(self.label_type, self.columns[2]),
        ];
        let rows = self.labels.len() as u64 + self.more_rows;
        let group = Fields::default().list(1, 12, chunks).number(2, 0).number(3, rows).end();
        let mut footer = Fields::default().number(1, 1).list(2, 12, &schema).number(3, rows).list(
            4,
            12,
            &[group],
        );
        if let Some(names) = &self.names {
            let about =
                serde_json::json!({ "info": { "features": { "label": { "names": names } } } });
            let pair =
                Fields::default().bytes(1, b"huggingface").bytes(2, about.to_string().as_bytes());
            footer = footer.list(5, 12, &[pair.end()]);
        }
        footer.end()
    }
}

/// A structure of Thrift's compact protocol being written, fields in rising order.
#[derive(Default)]
struct Fields {
    bytes: Vec<u8>,
    last: u8,
}

impl Fields {
    fn field(mut self, number: u8, kind: u8, value: &[u8]) -> Self {
        self.bytes.push((number - self.last) << 4 | kind);
        self.last = number;
        self.bytes.extend(value);
        self
    }

    fn number(self, number: u8, value: u64) -> Self {
        self.field(number, 6, &varint(value << 1))
    }

    fn bytes(self, number: u8, value: &[u8]) -> Self {
        self.field(number, 8, &[&varint(value.len() as u64), value].concat())
    }

    fn list(self, number: u8, kind: u8, values: &[Vec<u8>]) -> Self {
        let header = [vec![0xf0 | kind], varint(values.len() as u64)].concat();
        self.field(number, 9, &[header, values.concat()].concat())
    }

    fn structure(self, number: u8, value: Self) -> Self {
        self.field(number, 12, &value.end())
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn text(text: &str) -> Vec<u8> {
    [varint(text.len() as u64), text.as_bytes().to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
