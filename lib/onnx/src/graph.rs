//! The messages of an ONNX model. Field numbers are those of `onnx.proto` in <https://github.com/onnx/onnx>.

use crate::options::{Batch, Opset};
use crate::wire::Message;

/// `TensorProto.DataType.FLOAT`.
const FLOAT: i64 = 1;

/// An attribute of a node.
pub enum Attribute<'a> {
    /// A whole number.
    Integer(&'static str, i64),
    /// Whole numbers.
    Integers(&'static str, &'a [i64]),
    /// A number.
    Float(&'static str, f32),
}

impl Attribute<'_> {
    /// `AttributeProto`.
    fn message(&self) -> Message {
        let message = Message::default();
        match *self {
            Self::Float(name, value) => message.text(1, name).float(2, value).integer(20, 1),
            Self::Integer(name, value) => message.text(1, name).integer(3, value).integer(20, 2),
            Self::Integers(name, values) => {
                message.text(1, name).integers(8, values).integer(20, 7)
            }
        }
    }
}

/// Nodes in the order in which they run, and the constants that they read.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Message>,
    constants: Vec<Message>,
}

/// What stands around a graph.
pub struct About<'a> {
    /// Of the graph.
    pub name: &'a str,
    /// Of the program.
    pub producer_version: &'a str,
    /// Of the operators.
    pub opset: Opset,
    /// Keys and values for whoever runs the model.
    pub metadata: &'a [(&'static str, String)],
}

/// An input or output of a graph.
pub struct Port<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it holds, for people.
    pub doc: &'a str,
    /// The first side.
    pub batch: Batch,
    /// The other sides.
    pub sides: &'a [usize],
}

impl Graph {
    /// `NodeProto`: a node of one output, which lends it its name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str, of: &[Attribute]) {
        let message = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
        let message = message.text(2, output).text(3, output).text(4, operator);
        let attributes: Vec<Message> = of.iter().map(Attribute::message).collect();
        self.nodes.push(message.messages(5, &attributes));
    }

    /// `TensorProto`: a constant in float32. No sides make a scalar.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let sides: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
        let tensor = Message::default().integers(1, &sides).integer(2, FLOAT);
        self.constants.push(tensor.text(8, name).bytes(9, &bytes));
    }

    /// `ModelProto` around `GraphProto`.
    pub fn into_model(self, about: &About, input: &Port, output: &Port) -> Message {
        let graph = Message::default().messages(1, &self.nodes).text(2, about.name);
        let graph = graph.messages(5, &self.constants);
        let graph = graph.message(11, &input.message()).message(12, &output.message());
        let opset = Message::default().text(1, "").integer(2, about.opset.version().into());
        let metadata = about.metadata.iter();
        let metadata: Vec<Message> =
            metadata.map(|(key, value)| Message::default().text(1, key).text(2, value)).collect();
        Message::default()
            .integer(1, about.opset.ir_version())
            .text(2, "cream")
            .text(3, about.producer_version)
            .message(7, &graph)
            .message(8, &opset)
            .messages(14, &metadata)
    }
}

impl Port<'_> {
    /// `ValueInfoProto`.
    fn message(&self) -> Message {
        let batch = match self.batch {
            Batch::Dynamic => Message::default().text(2, "batch"),
            Batch::Fixed(images) => Message::default().integer(1, images.into()),
        };
        let sides = self.sides.iter().map(|&side| Message::default().integer(1, side as i64));
        let dimensions: Vec<Message> = std::iter::once(batch).chain(sides).collect();
        let shape = Message::default().messages(1, &dimensions);
        let tensor = Message::default().integer(1, FLOAT).message(2, &shape);
        let kind = Message::default().message(1, &tensor);
        Message::default().text(1, self.name).message(2, &kind).text(3, self.doc)
    }
}
