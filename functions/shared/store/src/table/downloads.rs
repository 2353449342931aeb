//! The count of a version's downloads, in the version's row.
//!
//! It is exact below 128. Beyond, only a sample of the downloads is written, so that a million
//! of them cost less than a thousand writes; the count stays unbiased, and its standard
//! deviation is below 8 %.

use aws_sdk_dynamodb::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use nupkg::{PackageId, Version};
use serde::Deserialize;

use super::rows::{PACKAGE, VERSION, version_key};
use super::writes::is_refused;
use super::{Table, TableError, VersionRow, from_item, text, unavailable};

/// The write that a download makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// How many downloads it stands for; 0 where it only notes the day.
    counted: u64,
    /// Whether it is the first of its day.
    is_first: bool,
}

impl Step {
    /// The write of a download on `today` of the version that was read as `row`; `None` for most
    /// of a version with many. `random` is any number.
    fn of(row: &VersionRow, today: &str, random: u128) -> Option<Self> {
        /// Up to here, each one is written.
        const EXACT: u64 = 128;
        let share = match row.downloads {
            few if few < EXACT => 1,
            many => 1 << (many / (EXACT / 2)).ilog2(),
        };
        let counted = if random.is_multiple_of(share.into()) { share } else { 0 };
        let is_first = row.downloaded.as_deref() < Some(today);
        (counted > 0 || is_first).then_some(Self { counted, is_first })
    }
}

impl Table {
    /// Counts a download of the version that was read as `row`. No call for most, else one; two
    /// if another download was the first of the day meanwhile. They are not tried again: the
    /// download waits for them.
    ///
    /// # Errors
    /// The table does not answer: the download may be counted or not.
    pub async fn count_download(
        &self,
        (id, version): (&PackageId, &Version),
        row: &VersionRow,
        random: u128,
    ) -> Result<(), TableError> {
        let today = self.now().date().to_string();
        let Some(step) = Step::of(row, &today, random) else { return Ok(()) };
        if self.take_step((id, version), step, &today).await? {
            return Ok(());
        }
        // Another was the first of the day; or the version was deleted, and nothing is written.
        let again = Step { is_first: false, ..step };
        if step.is_first && step.counted > 0 {
            self.take_step((id, version), again, &today).await?;
        }
        Ok(())
    }

    /// Makes a write; `false` where its condition does not hold.
    async fn take_step(
        &self,
        (id, version): (&PackageId, &Version),
        step: Step,
        today: &str,
    ) -> Result<bool, TableError> {
        let number = |number: u64| AttributeValue::N(number.to_string());
        let mut update = self
            .update_alone(version_key(id, version))
            // The count of a deleted version stands still, so that it can be restored with it.
            .condition_expression("#state = :visible")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":visible", AttributeValue::S("visible".to_owned()))
            .expression_attribute_values(":counted", number(step.counted));
        update = if step.is_first {
            update
                .update_expression(
                    "SET downloaded = :today, downloads_before = if_not_exists(downloads, :zero) \
                     ADD downloads :counted",
                )
                .condition_expression(
                    "#state = :visible \
                     AND (attribute_not_exists(downloaded) OR downloaded < :today)",
                )
                .expression_attribute_values(":zero", number(0))
                .expression_attribute_values(":today", AttributeValue::S(today.to_owned()))
        } else {
            update.update_expression("ADD downloads :counted")
        };
        let sent = update
            .customize()
            .config_override(Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(unavailable("count a download", error)),
        }
    }
}

/// The downloads of a version, as a scan reads them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CountedVersion {
    /// The package, in lower case.
    #[serde(skip)]
    pub id: String,
    /// The version, as keys have it.
    #[serde(skip)]
    pub version: String,
    /// Its size in bytes.
    pub size: u64,
    /// The key that pushed it.
    pub pushed_by: String,
    downloads: u64,
    downloaded: Option<String>,
    #[serde(default)]
    downloads_before: u64,
}

impl CountedVersion {
    /// The downloads until the end of a day, like `2026-12-31`. Only those of the last day of
    /// downloads can be told from the rest.
    #[must_use]
    pub fn downloads_until(&self, day: &str) -> u64 {
        if self.downloaded.as_deref() > Some(day) { self.downloads_before } else { self.downloads }
    }
}

impl Table {
    /// Gives `take` all versions that were ever downloaded, visible or not. A call per MB of the
    /// table: no request may wait for it.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn each_counted_version(
        &self,
        mut take: impl FnMut(CountedVersion),
    ) -> Result<(), TableError> {
        let mut start = None;
        loop {
            let page = self
                .client
                .scan()
                .table_name(self.name.as_str())
                .projection_expression(
                    "pk, sk, #size, pushed_by, downloads, downloaded, downloads_before",
                )
                .expression_attribute_names("#size", "size")
                .filter_expression("attribute_exists(downloads)")
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| unavailable("give out downloads", error))?;
            for item in page.items.unwrap_or_default() {
                let (pk, sk) = (text(&item, "pk")?, text(&item, "sk")?);
                let id = pk.strip_prefix(PACKAGE).unwrap_or_default().to_owned();
                let version = sk.strip_prefix(VERSION).unwrap_or_default().to_owned();
                let counted: CountedVersion = from_item(item)?;
                take(CountedVersion { id, version, ..counted });
            }
            match page.last_evaluated_key {
                Some(key) if !key.is_empty() => start = Some(key),
                _ => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(downloads: u64, downloaded: Option<&str>) -> VersionRow {
        serde_json::from_value(json!({
            "id": "Acme", "version": "1.0.0", "listed": true, "state": "visible",
            "object": "o", "size": 1, "sha256": "", "published": "", "pushed_by": "ci",
            "downloads": downloads, "downloaded": downloaded, "downloads_before": 5
        }))
        .unwrap()
    }

    #[test]
    fn few_downloads_are_counted_one_by_one_and_each_day_is_noted() {
        let step = |downloads, day, random| Step::of(&row(downloads, day), "2026-11-28", random);
        let first = Step { counted: 1, is_first: true };
        assert_eq!(step(0, None, 3), Some(first));
        assert_eq!(step(127, Some("2026-11-27"), 3), Some(first));
        let counted = Some(Step { counted: 1, is_first: false });
        assert_eq!(step(127, Some("2026-11-28"), 3), counted);
        assert_eq!(step(128, Some("2026-11-28"), 3), None);
        assert_eq!(step(128, Some("2026-11-27"), 3), Some(Step { counted: 0, ..first }));
        // The clock of another instance is ahead.
        assert_eq!(step(9, Some("2026-11-29"), 3), counted);
    }

    #[test]
    fn many_downloads_take_few_writes_and_the_count_stays_close() {
        // A fixed sequence of random numbers (a linear congruence).
        let mut random = 42_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u128::from(random >> 33)
        };
        let (mut count, mut writes, mut shares) = (1_000, 0_u64, Vec::new());
        for _ in 0..10_000 {
            let row = row(count, Some("2026-11-28"));
            if let Some(step) = Step::of(&row, "2026-11-28", next()) {
                count += step.counted;
                writes += 1;
                shares.push(step.counted);
            }
        }
        assert!((100..=400).contains(&writes), "{writes}");
        assert!((8_800..=13_200).contains(&count), "{count}");
        assert!(shares.iter().all(|share| (8..=128).contains(share)), "{shares:?}");
    }

    #[test]
    fn a_row_tells_its_downloads_until_yesterday_from_those_of_today() {
        let row = |downloads, downloaded: Option<&str>| CountedVersion {
            id: "acme".to_owned(),
            version: "1.0.0".to_owned(),
            size: 1,
            pushed_by: "ci".to_owned(),
            downloads,
            downloaded: downloaded.map(str::to_owned),
            downloads_before: 5,
        };
        let used_today = row(9, Some("2026-11-28"));
        assert_eq!(used_today.downloads_until("2026-11-27"), 5);
        assert_eq!(used_today.downloads_until("2026-11-28"), 9);
        assert_eq!(row(0, None).downloads_until("2026-11-28"), 0);
    }
}
