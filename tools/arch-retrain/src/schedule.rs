//! The learning rates of a recipe.

use std::fmt::Write;

use cream_cli::Failure;
use cream_train::settings::RetrainSettings;

/// CSV with a header: epoch and step from 0, and the rate from there on. A row for every epoch, or for every step where
/// the rate changes within epochs.
///
/// # Errors
/// [`Failure::Input`] for fewer images than a step takes.
pub fn csv(settings: &RetrainSettings, images: usize) -> Result<String, Failure> {
    let steps = settings.steps_per_epoch(images);
    if steps == 0 {
        return Err(Failure::input(format!(
            "--images is {images}; give at least the {} of one step",
            settings.global_batch()
        )));
    }
    let schedule = settings.schedule(steps);
    let every = if schedule.changes_every_step() { 1 } else { steps };
    let mut text = "epoch,step,learning_rate\n".to_owned();
    for step in (0..settings.total_epochs() * steps).step_by(every) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{},{step},{}", step / steps, schedule.rate(step as u64));
    }
    Ok(text)
}
