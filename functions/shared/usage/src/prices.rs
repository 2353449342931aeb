//! Prices, and the amounts that figures come to.

use serde::Deserialize;

use crate::{ByteSize, Figures, Month};

/// The prices that a feed asks of its users, out of a file of TOML.
///
/// ```toml
/// currency = "EUR"
/// # The digits after the point of an amount: all amounts are in cents here.
/// digits = 2
///
/// [push]
/// amount = 50
/// per = 1000
///
/// # A month of storage.
/// [stored]
/// amount = 10
/// per = "1GB"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The currency's name.
    pub currency: String,
    /// How many digits of an amount stand after its point.
    #[serde(default)]
    pub digits: u8,
    /// Of packages and symbols packages that are pushed.
    #[serde(default)]
    push: Option<Price<u64>>,
    /// Of the bytes of pushes.
    #[serde(default)]
    taken: Option<Price<Bytes>>,
    /// Of bytes that are stored for a month.
    #[serde(default)]
    stored: Option<Price<Bytes>>,
    /// Of downloads.
    #[serde(default)]
    download: Option<Price<u64>>,
    /// Of the bytes of downloads.
    #[serde(default)]
    sent: Option<Price<Bytes>>,
}

/// A price: an amount in the smallest unit of the currency, for so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price<Q> {
    amount: u64,
    per: Q,
}

/// A number of bytes like `"1GB"`, not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Bytes(u64);

impl TryFrom<String> for Bytes {
    type Error = crate::ByteSizeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(|ByteSize(bytes)| Self(bytes))
    }
}

/// The prices cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// They are not as they should be.
    #[error("the prices cannot be read: {0}")]
    Unreadable(#[from] toml::de::Error),
    /// A price is for nothing.
    #[error("the price '{0}' is per 0; say per how many")]
    PerNothing(&'static str),
    /// Amounts cannot be shown.
    #[error("'digits' is {0}; a currency has up to 9 digits after its point")]
    TooManyDigits(u8),
}

/// A price that is charged for some figure: `amount` for each `per` of `quantity`.
struct Line {
    amount: u128,
    per: u128,
    quantity: Quantity,
}

/// The figure that a price is for.
type Quantity = fn(&Figures) -> u128;

impl Prices {
    /// The prices in `text`.
    ///
    /// # Errors
    /// It does not hold prices.
    pub fn read(text: &str) -> Result<Self, PricesError> {
        let prices: Self = toml::from_str(text)?;
        if prices.digits > 9 {
            return Err(PricesError::TooManyDigits(prices.digits));
        }
        let counts = [("push", prices.push), ("download", prices.download)];
        let bytes = [("taken", prices.taken), ("stored", prices.stored), ("sent", prices.sent)];
        let counts = counts.map(|(name, price)| (name, price.map(|price| price.per)));
        let bytes = bytes.map(|(name, price)| (name, price.map(|price| price.per.0)));
        match counts.into_iter().chain(bytes).find(|(_, per)| *per == Some(0)) {
            Some((name, _)) => Err(PricesError::PerNothing(name)),
            None => Ok(prices),
        }
    }

    fn lines(&self, month: Month) -> Vec<Line> {
        let hours = u128::try_from(month.hours()).unwrap_or(1);
        let bytes = |price: Option<Price<Bytes>>| {
            price.map(|Price { amount, per }| Price { amount, per: per.0 })
        };
        let lines: [(_, _, Quantity); 5] = [
            (self.push, 1, |figures| u128::from(figures.pushes + figures.symbols)),
            (bytes(self.taken), 1, |figures| figures.bytes_taken.into()),
            (bytes(self.stored), hours, |figures| u128::try_from(figures.byte_hours).unwrap_or(0)),
            (self.download, 1, |figures| figures.downloads.into()),
            (bytes(self.sent), 1, |figures| figures.bytes_sent.into()),
        ];
        let priced = lines.into_iter().filter_map(|(price, times, quantity)| {
            let Price { amount, per } = price?;
            Some(Line { amount: amount.into(), per: u128::from(per) * times, quantity })
        });
        priced.collect()
    }

    /// The amounts that `rows` come to. Each price is charged for the total, which is rounded
    /// once; the rows share it so that they sum to it, each within one unit of its own.
    pub(crate) fn amounts(&self, month: Month, rows: &[Figures], total: &Figures) -> Amounts {
        let mut amounts = Amounts { rows: vec![0; rows.len()], total: 0 };
        for line in self.lines(month) {
            let of = |figures: &Figures| line.amount.saturating_mul((line.quantity)(figures));
            let charged = (of(total) + line.per / 2) / line.per;
            amounts.total = amounts.total.saturating_add(small(charged));
            let exact: Vec<u128> = rows.iter().map(of).collect();
            for (amount, share) in amounts.rows.iter_mut().zip(shares(charged, &exact, line.per)) {
                *amount = amount.saturating_add(small(share));
            }
        }
        amounts
    }

    /// An amount as it is written, such as `12.50 EUR`.
    #[must_use]
    pub fn display(&self, amount: u64) -> String {
        let unit = 10_u64.pow(self.digits.into());
        let (whole, rest) = (amount / unit, amount % unit);
        match self.digits {
            0 => format!("{whole} {}", self.currency),
            digits => format!("{whole}.{rest:0width$} {}", self.currency, width = digits.into()),
        }
    }
}

/// The amounts of rows, and of all of them.
pub(crate) struct Amounts {
    pub(crate) rows: Vec<u64>,
    pub(crate) total: u64,
}

fn small(amount: u128) -> u64 {
    u64::try_from(amount).unwrap_or(u64::MAX)
}

/// `charged` among rows that come to `exact[i] / per`: each gets the whole part of its own, and
/// the rest goes to those with the largest fractions.
fn shares(charged: u128, exact: &[u128], per: u128) -> Vec<u128> {
    let mut shares: Vec<u128> = exact.iter().map(|exact| exact / per).collect();
    let mut rest = charged.saturating_sub(shares.iter().sum());
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by_key(|row| std::cmp::Reverse(exact.get(*row).map_or(0, |exact| exact % per)));
    for row in order {
        if let Some(share) = shares.get_mut(row).filter(|_| rest > 0) {
            *share += 1;
            rest -= 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figures(pushes: u64, byte_hours: i64) -> Figures {
        Figures { pushes, byte_hours, ..Figures::default() }
    }

    proptest! {
        #[test]
        fn rows_sum_to_the_total_and_are_within_a_unit_of_their_own(
            rows in prop::collection::vec((0..10_000_u64, 0..1_000_000_000_000_i64), 0..20),
            amount in 0..1_000_u64,
            per in 1..5_000_u64,
        ) {
            let text = format!(
                "currency = 'EUR'\n[push]\namount = {amount}\nper = {per}\n\
                 [stored]\namount = {amount}\nper = '1GB'"
            );
            let (prices, month) = (Prices::read(&text).unwrap(), "2026-11".parse().unwrap());
            let rows: Vec<Figures> = rows.into_iter().map(|(pushes, held)| figures(pushes, held)).collect();
            let mut total = Figures::default();
            for row in &rows {
                total.add(row);
            }
            let amounts = prices.amounts(month, &rows, &total);
            prop_assert_eq!(amounts.rows.iter().sum::<u64>(), amounts.total);
            for (row, share) in rows.iter().zip(&amounts.rows) {
                let own = row.pushes * amount / per
                    + u64::try_from(row.byte_hours).unwrap() * amount / (1_000_000_000 * 720);
                prop_assert!((own..=own + 2).contains(share), "{share} of {own}");
            }
        }
    }

    #[test]
    fn the_total_is_rounded_once_and_shared_by_the_largest_fractions() {
        let prices = "currency = 'EUR'\ndigits = 2\n[push]\namount = 1\nper = 3";
        let prices = Prices::read(prices).unwrap();
        let rows = [figures(1, 0), figures(2, 0), figures(2, 0)];
        let amounts = prices.amounts("2026-11".parse().unwrap(), &rows, &figures(5, 0));
        assert_eq!((amounts.rows, amounts.total), (vec![0, 1, 1], 2));
        assert_eq!(prices.display(1_205), "12.05 EUR");
        assert_eq!(prices.display(5), "0.05 EUR");
    }

    #[test]
    fn prices_that_mean_nothing_are_refused() {
        let error = |text: &str| Prices::read(text).unwrap_err().to_string();
        let free = "currency = 'EUR'\n[taken]\namount = 1\nper = '0GB'";
        assert_eq!(error(free), "the price 'taken' is per 0; say per how many");
        assert!(error("currency = 'EUR'\ndigits = 10").contains("up to 9 digits"));
        assert!(error("currency = 'EUR'\n[pushes]\namount = 1").contains("unknown field"));
        assert!(error("currency = 'EUR'\n[push]\namount = 0.5\nper = 1").contains("invalid type"));
    }
}
