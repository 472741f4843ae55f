//! Admission to the board, its ranking and its file.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use cream_arch::{
    Admission, Board, BoardFile, Candidate, Convention, Cost, FlopsInterval, Path, Shape, Space,
};

fn candidate(choice: usize, flops: u64, batch_score: f64) -> Candidate {
    let step = choice as u64;
    Candidate { path: Path(vec![vec![choice]]), flops, params: 1, batch_score, step }
}

/// Two entries of scores 0.50 and 0.60, costs 100 and 100.
fn full_board() -> Board {
    let mut board = Board::new(2);
    assert_eq!(board.offer(candidate(0, 100, 0.5)), Admission::Inserted { index: 0 });
    assert_eq!(board.offer(candidate(1, 100, 0.6)), Admission::Inserted { index: 1 });
    board
}

#[test]
fn a_full_board_admits_a_lead_of_five_points_or_a_cheaper_lead() {
    let offers = [
        (candidate(2, 200, 0.55), Admission::Replaced { index: 0 }),
        (candidate(2, 200, 0.549), Admission::Rejected),
        (candidate(2, 100, 0.51), Admission::Rejected),
        (candidate(2, 99, 0.51), Admission::Replaced { index: 0 }),
        (candidate(2, 99, 0.5), Admission::Rejected),
        (candidate(2, 99, f64::NAN), Admission::Rejected),
    ];
    for (offer, expected) in offers {
        assert_eq!(full_board().offer(offer.clone()), expected, "{offer:?}");
    }
}

#[test]
fn five_points_are_five_points_whatever_the_rounding() {
    for percent in 0..95 {
        let mut board = Board::new(1);
        board.offer(candidate(0, 100, f64::from(percent) / 100.0));
        let offer = candidate(1, 200, f64::from(percent + 5) / 100.0);
        assert_eq!(board.offer(offer), Admission::Replaced { index: 0 }, "{percent}");
    }
}

#[test]
fn a_path_met_again_takes_the_new_score_even_if_worse() {
    let mut board = full_board();
    assert_eq!(board.offer(candidate(1, 100, 0.1)), Admission::Updated { index: 1 });
    assert_eq!(board.entries[1].batch_score, 0.1);
    assert_eq!(board.worst(), Some(1));
    assert_eq!(board.entries.len(), 2);
}

#[test]
fn among_equal_scores_the_costliest_leaves_and_the_cheapest_leads() {
    let mut board = Board::new(3);
    for (choice, flops) in [(0, 200), (1, 300), (2, 100)] {
        board.offer(candidate(choice, flops, 0.5));
    }
    assert_eq!(board.worst(), Some(1));
    let costs: Vec<u64> = board.ranked().iter().map(|entry| entry.flops).collect();
    assert_eq!(costs, [100, 200, 300]);
}

#[test]
fn validation_ranks_and_batch_scores_only_admit() {
    let mut board = Board::new(3);
    for (choice, score) in [(0, 0.9), (1, 0.2), (2, 0.5)] {
        board.offer(candidate(choice, 100, score));
    }
    board.entries[1].validation_score = Some(0.4);
    board.entries[2].validation_score = Some(0.3);
    let order: Vec<u64> = board.ranked().iter().map(|entry| entry.step).collect();
    // The batch score 0.9 is no validation score, however high.
    assert_eq!(order, [1, 2, 0]);
    assert_eq!(board.worst(), Some(1));
}

#[test]
fn the_prior_counts_operators_plus_one_each() {
    let board = full_board();
    assert_eq!(board.prior(3), [2.0 / 5.0, 2.0 / 5.0, 1.0 / 5.0]);
}

/// A board of three real paths: rising cost, and the middle one the worst.
fn board_file() -> BoardFile {
    let space = Space::published();
    let mut board = Board::new(10);
    for (step, choice, score) in [(7, 0, 0.5), (8, 2, 0.4), (9, 3, 0.6)] {
        let path = Path(vec![vec![choice]; 5]);
        let cost = Cost::of(&space.architecture(&path, 32, 10).unwrap());
        let (flops, params) = (cost.flops(Convention::Published), cost.params());
        board.offer(Candidate { path, flops, params, batch_score: score, step });
    }
    board.entries.iter_mut().for_each(|entry| entry.validation_score = Some(entry.batch_score));
    let shape = Shape::fixed(32, vec![1; 5]);
    BoardFile::new(&board, space, shape, 10, FlopsInterval { min: 0, max: 9_000_000 }, 5)
}

#[test]
fn a_board_file_reads_back_and_rebuilds_its_best_network() {
    let file = board_file();
    let read = BoardFile::from_json(&file.to_json()).unwrap();
    assert_eq!(read, file);
    let best = read.architecture(&read.entries[0], Some("runs/x".to_owned())).unwrap();
    assert_eq!(read.space.path_of(&best).unwrap(), Path(vec![vec![3]; 5]));
    let provenance = best.provenance.unwrap();
    assert_eq!((provenance.seed, provenance.step), (Some(5), Some(9)));
    assert_eq!(provenance.validation_top1, Some(0.6));
}

#[test]
fn the_pareto_front_drops_what_a_cheaper_network_matches() {
    let file = board_file();
    let entries: Vec<_> = file.entries.iter().collect();
    let scores: Vec<f64> = file.pareto(&entries).iter().map(|entry| entry.batch_top1).collect();
    assert_eq!(scores, [0.5, 0.6]);
}

#[test]
fn malformed_boards_are_refused_by_name() {
    let good = board_file().to_json();
    let flops = board_file().entries[0].flops.to_string();
    let cases = [
        (good.replace("\"seed\": 5", "\"seed\": -5"), "seed"),
        (good.replace("\"seed\"", "\"sede\""), "sede"),
        (good.replace("cream-board", "cream-bored"), "format"),
        (good.replacen("\"version\": 1", "\"version\": 2", 1), "version"),
        (good.replace(&flops, "1"), "entries[0].flops"),
        (good.replace("\"batch_top1\": 0.6", "\"batch_top1\": 1.6"), "entries[0].batch_top1"),
        (good.replace("[[3], [3], [3], [3], [3]]", "[[3], [3], [3], [3], [6]]"), "choice 6"),
        (
            good.replace("[[3], [3], [3], [3], [3]]", "[[3], [3], [3], [3], [3, 3]]"),
            "entries[0].path",
        ),
        (good.replace("\"flops_min\": 0", "\"flops_min\": 10000000"), "interval.flops_min"),
        (good[..good.len() / 2].to_owned(), "EOF"),
    ];
    for (text, named) in cases {
        assert_ne!(text, good, "{named}: the case changes nothing");
        let error = BoardFile::from_json(&text).unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
}
