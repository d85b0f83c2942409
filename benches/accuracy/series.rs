//! Labelled series: of the Numenta Anomaly Benchmark and of the AIOps-2018 KPI competition.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use richter::model::Timestamp;
use richter::wire::csv::{Series, read};

/// A series, and what people say of it.
#[derive(Clone)]
pub(crate) struct Labelled {
    pub(crate) name: String,
    pub(crate) series: Series,
    /// First and last place of each anomaly.
    pub(crate) anomalies: Vec<(usize, usize)>,
}

impl Labelled {
    pub(crate) fn len(&self) -> usize {
        self.series.points.len()
    }

    pub(crate) fn every(&self) -> Duration {
        self.series.every
    }

    /// How long so many of its values are.
    pub(crate) fn days(&self, values: usize) -> f64 {
        values as f64 * self.every().as_secs_f64() / 86_400.0
    }

    pub(crate) fn is_anomaly(&self, place: usize) -> bool {
        self.anomalies.iter().any(|(first, last)| (*first..=*last).contains(&place))
    }

    /// Without some of its values; an anomaly that loses all of them is gone.
    pub(crate) fn without(&self, mut dropped: impl FnMut() -> bool) -> Self {
        let kept: Vec<usize> = (0..self.len()).filter(|_| !dropped()).collect();
        let points = kept.iter().map(|place| self.series.points[*place]).collect();
        let anomalies = self.anomalies.iter().filter_map(|(first, last)| {
            let (a, b) = (kept.partition_point(|place| place < first), kept.partition_point(|place| place <= last));
            (a < b).then(|| (a, b - 1))
        });
        Self { name: self.name.clone(), anomalies: anomalies.collect(), series: Series { points, every: self.every() } }
    }

    /// Each value and time made another.
    pub(crate) fn mapped(&self, map: impl Fn(Timestamp, f64) -> (Timestamp, f64)) -> Self {
        let points = self.series.points.iter().map(|(at, value)| map(*at, *value)).collect();
        Self { series: Series { points, every: self.every() }, ..self.clone() }
    }
}

/// Where the data is; none, with a clear word, where it is missing.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var("RICHTER_DATA").unwrap_or_else(|_| "../shared/data".into()));
    if folder.join("nab/windows.json").exists() {
        return Some(folder);
    }
    eprintln!("skipped: no data in {}; RICHTER_DATA names a folder with nab/ and kpi/: benches/accuracy/README.md", folder.display());
    None
}

/// The public half of the Numenta Anomaly Benchmark, with its labelled windows.
pub(crate) fn nab(folder: &Path) -> Vec<Labelled> {
    let windows = fs::read_to_string(folder.join("nab/windows.json")).expect("readable");
    let windows: std::collections::BTreeMap<String, Vec<[String; 2]>> = serde_json::from_str(&windows).expect("windows");
    let labelled = windows.into_iter().map(|(name, windows)| {
        let text = fs::read_to_string(folder.join("nab").join(&name)).expect("readable");
        let series = read(&text).expect("a series");
        let time = |text: &String| Timestamp::parse(&format!("{}Z", text.replace(' ', "T"))).expect("a time");
        let place = |at: Timestamp| series.points.partition_point(|(time, _)| *time < at);
        let anomalies = windows.iter().map(|[start, end]| (place(time(start)), place(Timestamp(time(end).0 + 1)) - 1)).collect();
        Labelled { name, series, anomalies }
    });
    labelled.collect()
}

/// The public part of the KPI competition.
pub(crate) fn kpi(folder: &Path) -> Vec<Labelled> {
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder.join("kpi")) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(_) => {
            eprintln!("skipped: no KPI data in {}", folder.display());
            vec![]
        }
    };
    paths.sort();
    paths.iter().filter(|path| path.extension().is_some_and(|end| end == "gz")).map(|path| kpi_series(path)).collect()
}

fn kpi_series(path: &Path) -> Labelled {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path).expect("readable")).read_to_string(&mut text).expect("text");
    let labels: Vec<bool> = text.lines().skip(1).map(|line| line.trim_end().ends_with(",1")).collect();
    let mut anomalies: Vec<(usize, usize)> = vec![];
    for place in (0..labels.len()).filter(|place| labels[*place]) {
        match anomalies.last_mut() {
            Some((_, last)) if *last + 1 == place => *last = place,
            _ => anomalies.push((place, place)),
        }
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Labelled { name, series: read(&text).expect("a series"), anomalies }
}
