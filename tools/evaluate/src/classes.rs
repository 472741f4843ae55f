//! What a network's outputs are called, and where the classes of data and of `--subset` are among them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, anyhow};
use cream_cli::{Failure, OrFail, read_text};
use cream_data::imagenet;

/// A list of a million classes.
const MAX_BYTES: u64 = 1 << 26;

/// Names in an error message.
const SHOWN: usize = 5;

/// The outputs of a network by name.
pub struct Outputs {
    names: Vec<Name>,
    source: Source,
}

/// What an output or a class of data is called.
#[derive(Clone)]
struct Name {
    /// What labels and files call it, such as `n01440764`.
    id: String,
    /// What people call it, such as `tench, Tinca tinca`, where that differs.
    words: Option<String>,
}

/// Where the names are from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// `--classes-file`, or the weights: the network was trained on these.
    Stated,
    /// There are as many as ImageNet has.
    Guessed,
    /// Nobody says: they are numbers.
    Unknown,
}

impl Outputs {
    /// Of a network of `count` classes: by the file, else as the weights say in words, else ImageNet's where there are 1,000, else
    /// numbers.
    ///
    /// # Errors
    /// [`Failure::Input`] when the file cannot be read or does not name every class.
    pub fn of(
        file: Option<&str>,
        stated: Option<Vec<String>>,
        count: usize,
    ) -> Result<Self, Failure> {
        let stated = match file {
            Some(file) => Some(read_classes(file, count)?),
            None => stated,
        };
        // Files name every class; those that nobody named have their numbers there.
        let numbers =
            |ids: &Vec<String>| ids.iter().enumerate().all(|(i, id)| *id == i.to_string());
        Ok(match stated.filter(|ids| file.is_some() || !numbers(ids)) {
            Some(ids) => Self { names: with_words(ids), source: Source::Stated },
            None if count == imagenet::NUM_CLASSES => {
                let ids = imagenet::classes().map(|(synset, _)| synset.to_owned()).collect();
                Self { names: with_words(ids), source: Source::Guessed }
            }
            None => {
                let ids = (0..count).map(|number| number.to_string()).collect();
                Self { names: with_words(ids), source: Source::Unknown }
            }
        })
    }

    /// Whether the names are ImageNet's for want of others.
    pub fn are_guessed(&self) -> bool {
        self.source == Source::Guessed
    }

    /// What labels and files call each.
    pub fn ids(&self) -> Vec<String> {
        self.names.iter().map(|name| name.id.clone()).collect()
    }

    /// What people call each.
    pub fn words(&self) -> Vec<String> {
        let words = |name: &Name| name.words.as_ref().unwrap_or(&name.id).clone();
        self.names.iter().map(words).collect()
    }

    /// The output of every class of the data. Names that nobody stated give way to the data's.
    ///
    /// # Errors
    /// [`Failure::Input`] naming the classes that are not among the outputs.
    pub fn place(
        &mut self,
        classes: &[String],
        words: Option<&[String]>,
    ) -> Result<Vec<usize>, Failure> {
        let (count, found) = (self.names.len(), classes.len());
        // The data it was trained on, in which two classes may have one name.
        if self.names.iter().map(|name| &name.id).eq(classes) {
            return Ok((0..count).collect());
        }
        let named: Vec<Name> = match words {
            Some(words) => {
                let name = |(id, words): (&String, &String)| Name {
                    id: id.clone(),
                    words: Some(words.clone()),
                };
                classes.iter().zip(words).map(name).collect()
            }
            None => with_words(classes.to_vec()),
        };
        let unknown = match self.find(&named) {
            Ok(places) => return Ok(places),
            Err(unknown) => unknown,
        };
        if self.source == Source::Stated || self.source == Source::Guessed && count != found {
            let (unknown, shown) = (unknown.len(), list(&unknown));
            return Err(Failure::input(format!(
                "{unknown} of the data's {found} classes cannot be told apart by name among the network's {count}: {shown}; \
                 give the data it was trained on, or the network's classes as the data names them with --classes-file"
            )));
        }
        if count != found {
            return Err(Failure::input(format!(
                "the network has {count} classes and the data {found}; give the data it was trained on, or the names of \
                 the network's classes with --classes-file"
            )));
        }
        (self.names, self.source) = (named, Source::Stated);
        Ok((0..count).collect())
    }

    /// The outputs that a file names, one a line, in ascending order.
    ///
    /// # Errors
    /// [`Failure::Input`] when the file cannot be read or names what is no output.
    pub fn subset(&self, file: &str) -> Result<Vec<usize>, Failure> {
        let text = read_text(file, MAX_BYTES)?;
        let lines: BTreeSet<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let wanted: Vec<Name> =
            lines.iter().map(|line| Name { id: (*line).to_owned(), words: None }).collect();
        if wanted.is_empty() {
            return Err(Failure::input(format!(
                "{file}: names no class; give the name of a class on each line"
            )));
        }
        let places = self.find(&wanted).map_err(|unknown| {
            let (number, shown) = (unknown.len(), list(&unknown));
            let advice = "give names that the network's classes have, or their numbers from 0";
            anyhow!("{number} of {} names are none of the classes: {shown}; {advice}", wanted.len())
        });
        let mut places = places.context(file.to_owned()).or_input()?;
        places.sort_unstable();
        Ok(places)
    }

    /// The outputs of these names, each another one: all by what they are called, or else all by number; or the names that
    /// are no outputs, or several.
    fn find(&self, wanted: &[Name]) -> Result<Vec<usize>, Vec<String>> {
        let mut known: HashMap<&str, Option<usize>> = HashMap::new();
        for (place, name) in self.names.iter().enumerate() {
            for text in [Some(&name.id), name.words.as_ref()].into_iter().flatten() {
                let entry = known.entry(text.as_str()).or_insert(Some(place));
                // Two of one name: neither is meant.
                *entry = entry.filter(|known| *known == place);
            }
        }
        let by_name = |name: &Name| {
            let find = |text: &String| known.get(text.as_str()).copied().flatten();
            find(&name.id).or_else(|| name.words.as_ref().and_then(find))
        };
        let by_number =
            |name: &Name| name.id.parse::<usize>().ok().filter(|n| *n < self.names.len());
        let unknown = match distinct(wanted, by_name) {
            Ok(places) => return Ok(places),
            Err(unknown) => unknown,
        };
        distinct(wanted, by_number).map_err(|_| unknown)
    }
}

/// A place for every name and another one for each, or the names for which there is none.
fn distinct(
    wanted: &[Name],
    find: impl Fn(&Name) -> Option<usize>,
) -> Result<Vec<usize>, Vec<String>> {
    let places: Vec<Option<usize>> = wanted.iter().map(find).collect();
    let mut times: BTreeMap<usize, usize> = BTreeMap::new();
    for place in places.iter().flatten() {
        *times.entry(*place).or_default() += 1;
    }
    let good = |place: &Option<usize>| place.is_some_and(|place| times.get(&place) == Some(&1));
    let bad = wanted.iter().zip(&places).filter(|(_, place)| !good(place));
    let bad: Vec<String> = bad.map(|(name, _)| name.id.clone()).collect();
    if bad.is_empty() { Ok(places.into_iter().flatten().collect()) } else { Err(bad) }
}

/// Names that are synsets of ImageNet get their words.
fn with_words(ids: Vec<String>) -> Vec<Name> {
    let known: HashMap<&str, &str> = imagenet::classes().collect();
    let name = |id: String| Name { words: known.get(id.as_str()).map(|w| (*w).to_owned()), id };
    ids.into_iter().map(name).collect()
}

fn read_classes(file: &str, count: usize) -> Result<Vec<String>, Failure> {
    let text = read_text(file, MAX_BYTES)?;
    let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    let wrong = if lines.len() != count {
        format!("names {} classes and the network has {count}", lines.len())
    } else if let Some(place) = lines.iter().position(String::is_empty) {
        format!("line {} is empty", place + 1)
    } else {
        return Ok(lines);
    };
    let advice = "give one name on each line, in the order of the network's outputs";
    Err(Failure::input(format!("{file}: {wrong}; {advice}")))
}

/// The first few, in quotes.
fn list(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN);
    let mut shown: Vec<String> =
        shown.map(|name| format!("{:?}", name.chars().take(60).collect::<String>())).collect();
    if names.len() > SHOWN {
        shown.push(format!("and {} more", names.len() - SHOWN));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn stated(classes: &[&str]) -> Outputs {
        Outputs::of(None, Some(names(classes)), classes.len()).unwrap()
    }

    fn message(failure: Failure) -> String {
        assert_eq!(failure.status(), 2);
        failure.error().to_string()
    }

    #[test]
    fn classes_of_data_are_found_by_name_in_any_order() {
        let mut outputs = stated(&["cat", "dog", "cow", "cow"]);
        assert_eq!(outputs.place(&names(&["dog", "cat"]), None).unwrap(), [1, 0]);
        let error = message(outputs.place(&names(&["dog", "cow", "fox"]), None).unwrap_err());
        assert!(error.starts_with("2 of the data's 3 classes"), "{error}");
        assert!(error.contains("\"cow\", \"fox\"; give"), "{error}");
        // By their words, which the data knows.
        let words = names(&["dog", "cat"]);
        assert_eq!(outputs.place(&names(&["n2", "n1"]), Some(&words)).unwrap(), [1, 0]);
        assert!(outputs.place(&names(&["cat", "cat"]), None).is_err());
        let same = names(&["cat", "dog", "cow", "cow"]);
        assert_eq!(outputs.place(&same, None).unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn folders_may_be_numbers() {
        let mut outputs = stated(&["a", "b", "c"]);
        assert_eq!(outputs.place(&names(&["0", "2", "1"]), None).unwrap(), [0, 2, 1]);
        assert!(outputs.place(&names(&["0", "3"]), None).is_err());
        // Names come first.
        let mut outputs = stated(&["1", "0", "2"]);
        assert_eq!(outputs.place(&names(&["0", "1"]), None).unwrap(), [1, 0]);
    }

    #[test]
    fn a_network_of_a_thousand_classes_knows_those_of_imagenet() {
        let of = || Outputs::of(None, None, 1000).unwrap();
        let mut outputs = of();
        assert!(outputs.are_guessed());
        let some = names(&["n02123045", "coffee mug"]);
        assert_eq!(outputs.place(&some, None).unwrap(), [281, 504]);
        // Those of other data, only if all are there.
        let other: Vec<String> = (0..1000).map(|i| format!("class {i}")).collect();
        assert!(outputs.place(&other[..999], None).is_err());
        assert_eq!(outputs.place(&other, None).unwrap()[999], 999);
        assert_eq!(outputs.ids()[999], "class 999");
        assert_eq!(
            (of().ids()[281].as_str(), of().words()[281].as_str()),
            ("n02123045", "tabby, tabby cat")
        );
    }

    #[test]
    fn a_network_without_names_takes_the_datas() {
        let mut outputs = Outputs::of(None, None, 2).unwrap();
        let error = message(outputs.place(&names(&["x"]), None).unwrap_err());
        assert!(error.contains("2 classes and the data 1"), "{error}");
        assert_eq!(outputs.place(&names(&["x", "y"]), None).unwrap(), [0, 1]);
        assert_eq!(outputs.ids(), ["x", "y"]);
    }
}
