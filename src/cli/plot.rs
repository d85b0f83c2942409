//! A series, its expected band and its breaches as an SVG.

use std::time::Duration;

use plotters::prelude::*;

use crate::model::Timestamp;

use super::backtest::Point;

const SIZE: (u32, u32) = (1000, 320);
const BAND: RGBColor = RGBColor(120, 160, 220);
const VALUE: RGBColor = RGBColor(40, 60, 90);
const BREACH: RGBColor = RGBColor(210, 60, 40);

/// Draws it.
///
/// # Errors
/// There is nothing to draw, or the drawing fails.
pub(super) fn svg(points: &[Point<'_>], every: Duration) -> Result<String, Box<dyn std::error::Error>> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Err("there are no values in that time".into()) };
    let x = |at: Timestamp| at.0 as f64 / 1000.0;
    let (low, high) = range(points);
    let mut drawn = String::new();
    {
        let area = SVGBackend::with_string(&mut drawn, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(28)
            .y_label_area_size(64)
            .build_cartesian_2d(x(first.timestamp)..x(last.timestamp).max(x(first.timestamp) + 1.0), low..high)?;
        let days = last.timestamp.since(first.timestamp) > Duration::from_secs(4 * 86_400);
        let label = |at: &f64| time(*at, days);
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(230, 230, 230))
            .x_labels(9)
            .y_labels(6)
            .x_label_formatter(&label)
            .draw()?;
        for run in points.chunk_by(|a, b| a.breach.is_some() == b.breach.is_some()).filter(|run| run[0].breach.is_some()) {
            let (from, to) = (x(run[0].timestamp), x(run[run.len() - 1].timestamp) + every.as_secs_f64());
            chart.draw_series(std::iter::once(Rectangle::new([(from, low), (to, high)], BREACH.mix(0.18).filled())))?;
        }
        let in_band = |point: &&Point<'_>| point.lower.is_some() || point.upper.is_some();
        for run in points.chunk_by(|a, b| in_band(&a) == in_band(&b)).filter(|run| in_band(&&run[0])) {
            let upper = run.iter().map(|point| (x(point.timestamp), point.upper.unwrap_or(high).clamp(low, high)));
            let lower = run.iter().rev().map(|point| (x(point.timestamp), point.lower.unwrap_or(low).clamp(low, high)));
            chart.draw_series(std::iter::once(Polygon::new(upper.chain(lower).collect::<Vec<_>>(), BAND.mix(0.25))))?;
            let expected = run
                .iter()
                .filter_map(|point| Some((x(point.timestamp), point.expected.filter(|expected| (low..=high).contains(expected))?)));
            chart.draw_series(LineSeries::new(expected, BAND))?;
        }
        for run in points.chunk_by(|a, b| a.value.is_some() == b.value.is_some()).filter(|run| run[0].value.is_some()) {
            let values = run.iter().filter_map(|point| Some((x(point.timestamp), point.value?)));
            chart.draw_series(LineSeries::new(values, VALUE))?;
        }
        area.present()?;
    }
    Ok(drawn)
}

/// From the smallest value to the largest, with some room; a band may go beyond.
fn range(points: &[Point<'_>]) -> (f64, f64) {
    let values = || points.iter().filter_map(|point| point.value);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let room = if high > low { 0.15 * (high - low) } else { 1.0 };
    // What is so far apart that no scale has marks for it is drawn as nothing.
    let (low, high) = (low - room, high + room);
    if (high - low).is_finite() && high > low { (low, high) } else { (0.0, 1.0) }
}

/// A day, or a time of it.
fn time(seconds: f64, days: bool) -> String {
    let text = Timestamp((seconds * 1000.0) as i64).to_string();
    let part = if days { text.get(5..10) } else { text.get(5..16) };
    part.unwrap_or_default().replace('T', " ")
}
