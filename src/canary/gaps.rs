//! Times of successes per partition become the stretches without one.

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// A stretch without success. Times in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) partition: i32,
    /// The last success before it, or the beginning.
    pub(crate) from: u64,
    /// The first success after it, or the end.
    pub(crate) to: u64,
}

impl Gap {
    fn milliseconds(&self) -> u64 {
        self.to - self.from
    }
}

impl Serialize for Gap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Gap", 4)?;
        fields.serialize_field("partition", &self.partition)?;
        fields.serialize_field("seconds", &seconds(self.milliseconds()))?;
        fields.serialize_field("from", &self.from)?;
        fields.serialize_field("to", &self.to)?;
        fields.end()
    }
}

/// Milliseconds as JSON shows them, with three places; what is longer than seven weeks is seven weeks.
pub(crate) fn seconds(milliseconds: u64) -> f64 {
    f64::from(u32::try_from(milliseconds).unwrap_or(u32::MAX)) / 1000.0
}

/// The gaps of partitions 0 to n − 1, found as successes come in.
#[derive(Debug, Clone)]
pub(crate) struct Gaps {
    last: Vec<u64>,
    longest: Vec<Option<Gap>>,
    listed: Vec<Gap>,
    threshold: u64,
}

impl Gaps {
    /// No success yet on `partitions` partitions that began at `start`; gaps of `threshold` milliseconds and
    /// more are listed.
    pub(crate) fn new(partitions: usize, start: u64, threshold: u64) -> Self {
        Self {
            last: vec![start; partitions],
            longest: vec![None; partitions],
            listed: Vec::new(),
            threshold,
        }
    }

    /// Notes a success. Partitions that were not announced count from their first success on.
    pub(crate) fn success(&mut self, partition: i32, at: u64) {
        let Ok(index) = usize::try_from(partition) else {
            return;
        };
        if index >= self.last.len() {
            self.last.resize(index + 1, at);
            self.longest.resize(index + 1, None);
        }
        self.close(index, partition, at);
    }

    /// Ends all gaps that are open at `at`.
    pub(crate) fn finish(&mut self, at: u64) {
        for (index, partition) in (0..self.last.len()).zip(0..) {
            self.close(index, partition, at);
        }
        self.listed.sort_by_key(|gap| (gap.from, gap.partition));
    }

    fn close(&mut self, index: usize, partition: i32, at: u64) {
        let from = self.last[index];
        if at <= from {
            return;
        }
        self.last[index] = at;
        let gap = Gap {
            partition,
            from,
            to: at,
        };
        let longest = &mut self.longest[index];
        if longest.is_none_or(|it| it.milliseconds() < gap.milliseconds()) {
            *longest = Some(gap);
        }
        if gap.milliseconds() >= self.threshold {
            self.listed.push(gap);
        }
    }

    /// The longest gap of one partition.
    pub(crate) fn longest_of(&self, partition: i32) -> Option<Gap> {
        *self.longest.get(usize::try_from(partition).ok()?)?
    }

    /// The longest gap of all.
    pub(crate) fn longest(&self) -> Option<Gap> {
        self.longest
            .iter()
            .flatten()
            .copied()
            .max_by_key(Gap::milliseconds)
    }

    /// Every gap that reached the threshold; by time once finished.
    pub(crate) fn listed(&self) -> &[Gap] {
        &self.listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_told_with_its_time() {
        let mut gaps = Gaps::new(2, 1000, 500);
        for at in [1100, 1200, 4200, 4300] {
            gaps.success(0, at);
        }
        gaps.success(1, 1400);
        gaps.finish(4400);
        let first = Gap {
            partition: 0,
            from: 1200,
            to: 4200,
        };
        let second = Gap {
            partition: 1,
            from: 1400,
            to: 4400,
        };
        assert_eq!(gaps.longest_of(0), Some(first));
        assert_eq!(gaps.longest_of(1), Some(second));
        assert_eq!(gaps.listed(), [first, second]);
    }

    #[test]
    fn a_partition_without_any_success_is_one_gap() {
        let mut gaps = Gaps::new(1, 1000, 1);
        gaps.finish(9000);
        assert_eq!(gaps.longest().map(|gap| gap.milliseconds()), Some(8000));
    }

    #[test]
    fn successes_after_the_end_of_sending_make_no_gap() {
        let mut gaps = Gaps::new(1, 1000, 1);
        gaps.success(0, 1500);
        gaps.finish(1400);
        assert_eq!(gaps.longest().map(|gap| gap.to), Some(1500));
    }
}
