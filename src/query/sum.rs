//! Sums that lose no digits: Kahan's, as improved by Neumaier, in the very order in which Prometheus adds.
//! Source: `util/kahansum` of Prometheus.

/// A sum and what rounding took from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn of(first: f64) -> Self {
        Self { sum: first, lost: 0.0 }
    }

    pub(super) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - total) + value;
        } else {
            self.lost += (value - total) + self.sum;
        }
        self.sum = total;
    }

    pub(super) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }

    /// The sum with what was lost, also where it is infinite.
    pub(super) fn raw(self) -> f64 {
        self.sum + self.lost
    }

    fn scaled(self, by: f64) -> Self {
        Self { sum: self.sum * by, lost: self.lost * by }
    }
}

/// The arithmetic mean; where the sum would overflow it goes on with the mean of what was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    sum: Sum,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub(super) fn of(first: f64) -> Self {
        Self { sum: Sum::of(first), count: 1.0, incremental: false }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut sum = self.sum;
            sum.add(value);
            if !sum.sum.is_infinite() {
                self.sum = sum;
                return;
            }
            self.incremental = true;
            let seen = self.count - 1.0;
            self.sum = Sum { sum: self.sum.sum / seen, lost: self.sum.lost / seen };
        }
        self.sum = self.sum.scaled((self.count - 1.0) / self.count);
        self.sum.add(value / self.count);
    }

    pub(super) fn mean(self) -> f64 {
        if self.incremental { self.sum.sum + self.sum.lost } else { self.sum.sum / self.count + self.sum.lost / self.count }
    }
}
