//! ONNX models read back, by a decoder that shares nothing with the encoder, and run by plain loops in float64.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod run;

use std::collections::BTreeMap;

/// The value of one field.
#[derive(Clone)]
pub enum Value {
    Number(u64),
    Float(f32),
    Bytes(Vec<u8>),
}

/// Fields of a message in their order.
pub struct Message(Vec<(u64, Value)>);

impl Message {
    pub fn decode(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let value = match tag % 8 {
                0 => Value::Number(varint(&mut bytes)),
                5 => Value::Float(f32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap())),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    Value::Bytes(take(&mut bytes, length).to_vec())
                }
                other => panic!("wire type {other}"),
            };
            fields.push((tag / 8, value));
        }
        Self(fields)
    }

    fn all(&self, field: u64) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |(number, _)| *number == field).map(|(_, value)| value)
    }

    pub fn numbers(&self, field: u64) -> Vec<i64> {
        let number = |value: &Value| match value {
            Value::Number(number) => number.cast_signed(),
            _ => panic!("field {field} is no number"),
        };
        self.all(field).map(number).collect()
    }

    pub fn bytes(&self, field: u64) -> Vec<&[u8]> {
        let mut all = Vec::new();
        for value in self.all(field) {
            match value {
                Value::Bytes(bytes) => all.push(bytes.as_slice()),
                _ => panic!("field {field} has no length"),
            }
        }
        all
    }

    pub fn texts(&self, field: u64) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.bytes(field).into_iter().map(text).collect()
    }

    pub fn text(&self, field: u64) -> String {
        self.texts(field).concat()
    }

    pub fn messages(&self, field: u64) -> Vec<Message> {
        self.bytes(field).into_iter().map(Message::decode).collect()
    }

    pub fn float(&self, field: u64) -> Option<f32> {
        self.all(field).find_map(|value| match value {
            Value::Float(float) => Some(*float),
            _ => None,
        })
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a number of more than ten bytes")
}

/// A node, with the attributes that models here have.
pub struct Node {
    pub operator: String,
    pub inputs: Vec<String>,
    pub output: String,
    pub integers: BTreeMap<String, Vec<i64>>,
    pub floats: BTreeMap<String, f32>,
}

/// A constant.
pub struct Constant {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// What a model states. Field numbers and types are those of onnx.proto.
pub struct Model {
    pub ir_version: Vec<i64>,
    pub opsets: Vec<(String, Vec<i64>)>,
    pub metadata: Vec<(String, String)>,
    pub nodes: Vec<Node>,
    pub constants: BTreeMap<String, Constant>,
    pub inputs: Vec<(String, Vec<String>)>,
    pub outputs: Vec<(String, Vec<String>)>,
}

impl Model {
    pub fn decode(bytes: &[u8]) -> Self {
        let model = Message::decode(bytes);
        let graphs = model.messages(7);
        let [graph] = &graphs[..] else { panic!("{} graphs", graphs.len()) };
        let opsets = model.messages(8);
        let pairs = model.messages(14);
        Self {
            ir_version: model.numbers(1),
            opsets: opsets.iter().map(|opset| (opset.text(1), opset.numbers(2))).collect(),
            metadata: pairs.iter().map(|pair| (pair.text(1), pair.text(2))).collect(),
            nodes: graph.messages(1).iter().map(node).collect(),
            constants: graph.messages(5).iter().map(constant).collect(),
            inputs: graph.messages(11).iter().map(port).collect(),
            outputs: graph.messages(12).iter().map(port).collect(),
        }
    }

    pub fn node(&self, output: &str) -> &Node {
        let found = self.nodes.iter().find(|node| node.output == output);
        found.unwrap_or_else(|| panic!("no node {output}"))
    }

    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

fn node(message: &Message) -> Node {
    let outputs = message.texts(2);
    assert_eq!(outputs.len(), 1);
    assert_eq!(message.text(3), outputs[0], "a node is called as its output");
    let (mut integers, mut floats) = (BTreeMap::new(), BTreeMap::new());
    for attribute in message.messages(5) {
        let name = attribute.text(1);
        // FLOAT, INT and INTS are 1, 2 and 7.
        match attribute.numbers(20)[..] {
            [1] => drop(floats.insert(name, attribute.float(2).unwrap())),
            [2] => drop(integers.insert(name, attribute.numbers(3))),
            [7] => drop(integers.insert(name, attribute.numbers(8))),
            ref other => panic!("attribute {name} of type {other:?}"),
        }
    }
    let inputs = message.texts(1);
    Node { operator: message.text(4), inputs, output: outputs[0].clone(), integers, floats }
}

fn constant(message: &Message) -> (String, Constant) {
    assert_eq!(message.numbers(2), [1], "float32");
    let shape: Vec<usize> = message.numbers(1).iter().map(|&side| side as usize).collect();
    let raw = message.bytes(9).concat();
    let values: Vec<f32> = raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    assert_eq!(values.len(), shape.iter().product::<usize>());
    (message.text(8), Constant { shape, values })
}

/// Name and sides, a side without a number by its name.
fn port(message: &Message) -> (String, Vec<String>) {
    let tensor = &message.messages(2)[0].messages(1)[0];
    assert_eq!(tensor.numbers(1), [1], "float32");
    let side = |side: &Message| {
        side.text(2) + &side.numbers(1).first().map_or(String::new(), i64::to_string)
    };
    (message.text(1), tensor.messages(2)[0].messages(1).iter().map(side).collect())
}
