//! The part of JSON Schema that the shipped schemas use. A keyword it does not know fails the
//! test, so that nothing in a schema goes unchecked.

#![allow(dead_code, reason = "the tools' tests check their own schemas with it")]

use serde_json::Value;

const ARCHITECTURE: &str = include_str!("../../schema/architecture.schema.json");
const BOARD: &str = include_str!("../../schema/board.schema.json");

/// Both schemas, so that one may refer to the other.
pub struct Schemas {
    architecture: Value,
    board: Value,
}

impl Schemas {
    pub fn load() -> Self {
        let read = |text| serde_json::from_str(text).unwrap();
        Self { architecture: read(ARCHITECTURE), board: read(BOARD) }
    }

    pub fn check_architecture(&self, value: &Value) -> Result<(), String> {
        self.check(&self.architecture, &self.architecture, value, "$")
    }

    pub fn check_board(&self, value: &Value) -> Result<(), String> {
        self.check(&self.board, &self.board, value, "$")
    }

    /// Checks against any other schema.
    pub fn check_against(&self, schema: &str, value: &Value) -> Result<(), String> {
        let schema: Value = serde_json::from_str(schema).unwrap();
        self.check(&schema, &schema, value, "$")
    }

    /// A part of the architecture's schema by JSON pointer.
    pub fn architecture_part(&self, pointer: &str) -> &Value {
        self.architecture.pointer(pointer).unwrap()
    }

    fn check(&self, root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        for (keyword, rule) in schema.as_object().unwrap() {
            let holds = match keyword.as_str() {
                "$schema" | "$id" | "title" | "description" | "$defs" => true,
                "$ref" => {
                    let (root, part) = self.resolve(root, rule.as_str().unwrap());
                    self.check(root, part, value, at)?;
                    true
                }
                "type" => types(rule).any(|name| is_of(value, name)),
                "const" => value == rule,
                "enum" => rule.as_array().unwrap().contains(value),
                "oneOf" => {
                    let ways = rule.as_array().unwrap().iter();
                    ways.filter(|way| self.check(root, way, value, at).is_ok()).count() == 1
                }
                "properties" => self.check_properties(root, rule, value, at)?,
                "items" => self.check_items(root, rule, value, at)?,
                "additionalProperties" => known_keys_only(schema, rule, value),
                "required" => required(rule, value),
                "pattern" => matches(rule, value),
                _ => within(keyword, rule, value),
            };
            if !holds {
                return Err(format!("{at}: {value} breaks {keyword} {rule}"));
            }
        }
        Ok(())
    }

    fn resolve<'a>(&'a self, root: &'a Value, target: &str) -> (&'a Value, &'a Value) {
        let (file, pointer) = target.split_once('#').unwrap();
        let root = match file {
            "" => root,
            "architecture.schema.json" => &self.architecture,
            "board.schema.json" => &self.board,
            other => panic!("no such schema: {other}"),
        };
        (root, root.pointer(pointer).unwrap())
    }

    fn check_properties(
        &self,
        root: &Value,
        rule: &Value,
        value: &Value,
        at: &str,
    ) -> Result<bool, String> {
        for (key, schema) in rule.as_object().unwrap() {
            if let Some(part) = value.get(key) {
                self.check(root, schema, part, &format!("{at}.{key}"))?;
            }
        }
        Ok(true)
    }

    fn check_items(
        &self,
        root: &Value,
        rule: &Value,
        value: &Value,
        at: &str,
    ) -> Result<bool, String> {
        for (index, part) in value.as_array().into_iter().flatten().enumerate() {
            self.check(root, rule, part, &format!("{at}[{index}]"))?;
        }
        Ok(true)
    }
}

fn types(rule: &Value) -> impl Iterator<Item = &str> {
    let several = rule.as_array().into_iter().flatten();
    several.chain(rule.as_str().map(|_| rule)).map(|name| name.as_str().unwrap())
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("no such type: {other}"),
    }
}

fn known_keys_only(schema: &Value, rule: &Value, value: &Value) -> bool {
    assert_eq!(rule, &Value::Bool(false));
    let known = schema["properties"].as_object().unwrap();
    value.as_object().is_none_or(|object| object.keys().all(|key| known.contains_key(key)))
}

fn required(rule: &Value, value: &Value) -> bool {
    let mut keys = rule.as_array().unwrap().iter().map(|key| key.as_str().unwrap());
    value.as_object().is_none_or(|object| keys.all(|key| object.contains_key(key)))
}

/// Checksums are the only text with a pattern.
fn matches(rule: &Value, value: &Value) -> bool {
    assert_eq!(rule, "^[0-9a-f]{64}$");
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    value.as_str().is_none_or(|text| text.len() == 64 && text.bytes().all(digit))
}

/// Limits bind the types that they are about and no other.
fn within(keyword: &str, rule: &Value, value: &Value) -> bool {
    let limit = rule.as_f64().unwrap_or_else(|| panic!("no such keyword: {keyword}"));
    let number = value.as_f64();
    let length = value.as_array().map(Vec::len).map(|length| length as f64);
    let text = value.as_str().map(|text| text.chars().count() as f64);
    match keyword {
        "minimum" => number.is_none_or(|number| number >= limit),
        "maximum" => number.is_none_or(|number| number <= limit),
        "exclusiveMinimum" => number.is_none_or(|number| number > limit),
        "minItems" => length.is_none_or(|length| length >= limit),
        "maxItems" => length.is_none_or(|length| length <= limit),
        "minLength" => text.is_none_or(|text| text >= limit),
        "maxLength" => text.is_none_or(|text| text <= limit),
        other => panic!("no such keyword: {other}"),
    }
}
