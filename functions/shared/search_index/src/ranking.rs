//! The order of results: by relevance, and by id if the relevance is equal, so that the
//! pages of a search fit together.

use std::cmp::Ordering;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader, TantivyError};

/// Collects how many documents match, and a page of the best.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranked {
    pub(crate) skip: usize,
    pub(crate) take: usize,
}

/// A match in a segment: its score, the order of its id there, and itself.
type Match = (Score, u64, DocId);

/// Matches of a segment.
pub(crate) struct SegmentMatches {
    segment: SegmentOrdinal,
    keys: StrColumn,
    wanted: usize,
    matches: Vec<Match>,
}

/// The number of matching documents in a segment, and the best ones with their ids; or the
/// reason why they are not known.
type Harvest = std::io::Result<(usize, Vec<(Score, String, DocAddress)>)>;

impl Collector for Ranked {
    type Fruit = (usize, Vec<DocAddress>);
    type Child = SegmentMatches;

    fn for_segment(
        &self,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<SegmentMatches> {
        let keys = reader.fast_fields().str("key")?;
        let keys = keys.ok_or_else(|| TantivyError::SchemaError("no column of keys".to_owned()))?;
        let wanted = self.skip.saturating_add(self.take);
        Ok(SegmentMatches { segment, keys, wanted, matches: Vec::new() })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, segments: Vec<Harvest>) -> tantivy::Result<Self::Fruit> {
        let (mut total, mut best) = (0, Vec::new());
        for segment in segments {
            let (count, matches) = segment?;
            total += count;
            best.extend(matches);
        }
        best.sort_unstable_by(|left, right| {
            by_score(left.0, right.0).then_with(|| left.1.cmp(&right.1))
        });
        let page = best.into_iter().skip(self.skip).take(self.take);
        Ok((total, page.map(|(_, _, address)| address).collect()))
    }
}

impl SegmentCollector for SegmentMatches {
    type Fruit = Harvest;

    fn collect(&mut self, document: DocId, score: Score) {
        let place = self.keys.ords().first(document).unwrap_or(u64::MAX);
        self.matches.push((score, place, document));
    }

    fn harvest(self) -> Harvest {
        let Self { segment, keys, wanted, mut matches } = self;
        let total = matches.len();
        let order = |left: &Match, right: &Match| {
            by_score(left.0, right.0).then_with(|| left.1.cmp(&right.1))
        };
        if wanted < total {
            matches.select_nth_unstable_by(wanted, order);
            matches.truncate(wanted);
        }
        let mut best = Vec::with_capacity(matches.len());
        for (score, place, document) in matches {
            let mut key = String::new();
            keys.ord_to_str(place, &mut key)?;
            best.push((score, key, DocAddress::new(segment, document)));
        }
        Ok((total, best))
    }
}

/// The highest first.
fn by_score(left: Score, right: Score) -> Ordering {
    right.total_cmp(&left)
}
