//! Expressions of the language that is supported, at random.

use super::random::Random;

impl Random {
    fn pick<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A monitor's expression.
pub(crate) fn expression(random: &mut Random) -> String {
    let depth = 1 + random.below(3) as u32;
    match random.below(12) {
        0 => format!("scalar({})", vector(random, depth)),
        1 => histograms(random),
        2 => absent(random),
        _ => vector(random, depth),
    }
}

fn selector(random: &mut Random) -> String {
    let name = random.pick(&["counter", "gauge", "small", "gauge", "info", "counter", "classic_bucket"]);
    let matchers = match random.below(10) {
        0 => "{job=\"a\"}",
        1 => "{job!=\"b\"}",
        2 => "{instance=~\"1|2\"}",
        3 => "{job=~\"a|c\",instance!~\"3\"}",
        4 => "{job=\"nobody\"}",
        _ => "",
    };
    let offset = match random.below(12) {
        0 => " offset 5m",
        1 => " offset 90s",
        _ => "",
    };
    format!("{name}{matchers}\u{1}{offset}")
}

fn instant(random: &mut Random) -> String {
    selector(random).replace('\u{1}', "")
}

fn ranged(random: &mut Random) -> String {
    let range = random.pick(&["1m", "2m", "5m", "90s", "10m", "20m", "45s"]);
    selector(random).replace('\u{1}', &format!("[{range}]"))
}

fn range(random: &mut Random, depth: u32) -> String {
    if depth > 0 && random.chance(20) {
        let inner = vector(random, depth - 1);
        let range = random.pick(&["5m", "10m", "20m", "3m"]);
        let step = random.pick(&["1m", "30s", "45s", "2m", ""]);
        let offset = random.pick(&["", "", "", " offset 2m"]);
        format!("({inner})[{range}:{step}]{offset}")
    } else {
        ranged(random)
    }
}

fn over_range(random: &mut Random, depth: u32) -> String {
    let plain = [
        "rate",
        "rate",
        "rate",
        "irate",
        "increase",
        "delta",
        "idelta",
        "deriv",
        "changes",
        "resets",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "sum_over_time",
        "count_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "last_over_time",
        "present_over_time",
        "first_over_time",
    ];
    match random.below(14) {
        0 => format!("quantile_over_time({}, {})", quantile(random), range(random, depth)),
        1 => format!("predict_linear({}, {})", range(random, depth), random.pick(&["60", "3600", "-30"])),
        2 => format!("double_exponential_smoothing({}, 0.{}, 0.{})", range(random, depth), 1 + random.below(9), 1 + random.below(9)),
        _ => format!("{}({})", random.pick(&plain), range(random, depth)),
    }
}

fn quantile(random: &mut Random) -> &'static str {
    random.pick(&["0", "0.5", "0.9", "0.99", "1", "-1", "2", "0.25"])
}

fn scalar(random: &mut Random, depth: u32) -> String {
    match random.below(10) {
        0 => "time()".into(),
        1 => "pi()".into(),
        2 if depth > 0 => format!("scalar({})", vector(random, depth - 1)),
        3 if depth > 0 => {
            format!("({} {} {})", scalar(random, depth - 1), random.pick(&["+", "-", "*", "/", "%", "^"]), scalar(random, depth - 1))
        }
        4 => "-1.5".into(),
        5 => "0".into(),
        6 => "1e3".into(),
        _ => (random.below(200) as f64 / 10.0).to_string(),
    }
}

fn vector(random: &mut Random, depth: u32) -> String {
    if depth == 0 {
        return if random.chance(50) { instant(random) } else { over_range(random, 0) };
    }
    match random.below(20) {
        0..4 => over_range(random, depth),
        4..9 => aggregation(random, depth),
        9..13 => binary(random, depth),
        13..16 => math(random, depth),
        16 => relabel(random, depth),
        17 => format!("-{}", parenthesised(random, depth - 1)),
        18 => dates(random, depth),
        _ => histograms(random),
    }
}

fn parenthesised(random: &mut Random, depth: u32) -> String {
    format!("({})", vector(random, depth))
}

fn grouping(random: &mut Random) -> &'static str {
    random.pick(&[
        "",
        " by (job)",
        " by (job, instance)",
        " without (instance)",
        " by (instance)",
        " without (job, code)",
        " by ()",
        " by (zone)",
    ])
}

fn aggregation(random: &mut Random, depth: u32) -> String {
    let inner = vector(random, depth - 1);
    let by = grouping(random);
    match random.below(14) {
        // Of equals, which one stays depends on their order, and that of what is computed is not defined in Prometheus.
        0 => format!("topk{by} ({}, {})", 1 + random.below(4), instant(random)),
        1 => format!("bottomk{by} ({}, {})", 1 + random.below(4), instant(random)),
        2 => format!("quantile{by} ({}, {inner})", quantile(random)),
        // Values become texts, and the last digit of what is computed may differ.
        3 => format!("count_values{by} (\"value\", {})", instant(random)),
        _ => format!("{}{by} ({inner})", random.pick(&["sum", "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"])),
    }
}

fn binary(random: &mut Random, depth: u32) -> String {
    let arithmetic = ["+", "-", "*", "/", "%", "^", "atan2"];
    let comparisons = ["==", "!=", ">", "<", ">=", "<="];
    let left = parenthesised(random, depth - 1);
    if random.chance(35) {
        let number = scalar(random, depth - 1);
        let op = if random.chance(50) {
            random.pick(&arithmetic).to_owned()
        } else {
            format!("{}{}", random.pick(&comparisons), random.pick(&["", " bool"]))
        };
        return if random.chance(50) { format!("{left} {op} {number}") } else { format!("{number} {op} {left}") };
    }
    let right = parenthesised(random, depth - 1);
    let on = random.pick(&["", "", " on (job, instance)", " ignoring (code)", " on (instance)", " ignoring (zone, code, le)"]);
    match random.below(10) {
        0 | 1 => format!("{left} {}{on} {right}", random.pick(&["and", "or", "unless"])),
        2 => format!("{left} * on (instance) group_left (version) info"),
        3 => format!("info * on (instance) group_right (version) {left}"),
        4 => format!("{left} {} on (job, instance) group_left sum by (job, instance) ({right})", random.pick(&arithmetic)),
        5 => {
            let (a, b) = (instant(random), grouping(random));
            format!("sum{b} ({a}) {} sum{b} ({a})", random.pick(&arithmetic))
        }
        6 | 7 => format!("{left} {}{}{on} {right}", random.pick(&comparisons), random.pick(&["", " bool"])),
        _ => format!("{left} {}{on} {right}", random.pick(&arithmetic)),
    }
}

fn math(random: &mut Random, depth: u32) -> String {
    let inner = vector(random, depth - 1);
    let plain = [
        "abs",
        "ceil",
        "floor",
        "exp",
        "sqrt",
        "ln",
        "log2",
        "log10",
        "sgn",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "rad",
        "deg",
        "round",
        "timestamp",
    ];
    match random.below(10) {
        // Of a large angle they make much of the last digit.
        8 => format!("{}({})", random.pick(&["sin", "cos", "tan"]), instant(random)),
        0 => format!("clamp({inner}, {}, {})", scalar(random, 0), scalar(random, 0)),
        1 => format!("clamp_min({inner}, {})", scalar(random, 0)),
        2 => format!("clamp_max({inner}, {})", scalar(random, 0)),
        3 => format!("round({inner}, {})", random.pick(&["0.1", "5", "0.25", "10"])),
        4 => format!("{} or vector({})", inner, scalar(random, 1)),
        _ => format!("{}({inner})", random.pick(&plain)),
    }
}

fn relabel(random: &mut Random, depth: u32) -> String {
    let inner = vector(random, depth - 1);
    match random.below(4) {
        0 => format!("label_replace({inner}, \"kind\", \"$1-x\", \"job\", \"(a|b)\")"),
        1 => format!("label_replace({inner}, \"instance\", \"i${{1}}\", \"instance\", \"(.*)\")"),
        2 => format!("label_join({inner}, \"both\", \"/\", \"job\", \"instance\")"),
        _ => format!("sum by (both) (label_join({inner}, \"both\", \"-\", \"instance\", \"code\"))"),
    }
}

fn dates(random: &mut Random, depth: u32) -> String {
    let name = random.pick(&["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"]);
    if random.chance(40) {
        format!("{} and on () ({name}() >= {})", parenthesised(random, depth - 1), random.below(30))
    } else {
        // What is no time has no date: there Go's conversion of numbers decides.
        format!("{name}({} * 1e7)", random.pick(&["counter", "small", "sum by (job) (counter)", "-small"]))
    }
}

fn absent(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("absent({})", instant(random)),
        1 => format!("absent_over_time({})", ranged(random)),
        2 => "absent(gauge{job=\"nobody\",instance=\"1\"})".into(),
        _ => format!("absent({})", vector(random, 1)),
    }
}

fn histograms(random: &mut Random) -> String {
    let by = random.pick(&["job", "job, instance", "instance"]);
    let range = random.pick(&["1m", "5m", "10m"]);
    match random.below(16) {
        0 | 1 => format!("histogram_quantile({}, sum by ({by}, le) (rate(classic_bucket[{range}])))", quantile(random)),
        2 => format!("histogram_quantile({}, rate(classic_bucket[{range}]))", quantile(random)),
        3 => format!("histogram_fraction(0.2, 2, sum by ({by}, le) (increase(classic_bucket[{range}])))"),
        4 => format!("histogram_quantile({}, sum by ({by}) (rate(native[{range}])))", quantile(random)),
        5 => format!("histogram_quantile({}, native)", quantile(random)),
        6 => format!("histogram_count(rate(native[{range}]))"),
        7 => format!("histogram_sum(sum by ({by}) (increase(native[{range}])))"),
        8 => format!("histogram_avg(avg by ({by}) (native))"),
        9 => format!("histogram_fraction(0.1, 4, rate(native[{range}]))"),
        10 => {
            format!("{}(native[{range}])", random.pick(&["rate", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time"]))
        }
        11 => format!("{}(native[{range}])", random.pick(&["count_over_time", "last_over_time", "changes", "resets", "present_over_time"])),
        12 => format!("native {} native", random.pick(&["+", "-", "==", "!="])),
        13 => format!("{} by ({by}) (native)", random.pick(&["sum", "avg", "count", "group", "max"])),
        14 => format!("native {}", random.pick(&["* 2", "/ 4", "* -1"])),
        _ => format!("{}(native)", random.pick(&["histogram_stddev", "histogram_stdvar", "abs", "timestamp", "-"])),
    }
}
