//! The months that have a book. Stored at `BOOKS`, `BOOKS`: nobody has to list the bucket.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize;
use usage::Month;

use super::{Table, TableError, from_item, unavailable};

const BOOKS: &str = "BOOKS";

#[derive(Deserialize)]
struct BooksRow {
    months: BTreeSet<Month>,
}

impl Table {
    /// The months that have a book. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn books(&self) -> Result<BTreeSet<Month>, TableError> {
        let key = (BOOKS.to_owned(), BOOKS.to_owned());
        let row = self.item("list books", key).await?.map(from_item::<BooksRow>).transpose()?;
        Ok(row.map(|row| row.months).unwrap_or_default())
    }

    /// Adds a month to those that have a book. One call.
    ///
    /// # Errors
    /// The table does not answer; trying again does no harm.
    pub async fn add_book(&self, month: Month) -> Result<(), TableError> {
        self.update_alone((BOOKS.to_owned(), BOOKS.to_owned()))
            .update_expression("ADD months :month")
            .expression_attribute_values(":month", AttributeValue::Ss(vec![month.to_string()]))
            .send()
            .await
            .map_err(|error| unavailable("add a book", error))?;
        Ok(())
    }
}
