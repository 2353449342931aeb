//! Packages as documents of the text index.

use tantivy::TantivyDocument;
use tantivy::schema::{
    Field, IndexRecordOption, STORED, STRING, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};

use crate::package::{Description, IndexedPackage, ListedVersion};
use crate::words::tokens;
use crate::{SearchIndexError, View};

/// The fields of the index. A package has one document for each version that is
/// the newest in some view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    /// The id, lower-cased.
    pub(crate) key: Field,
    /// The views whose newest version this is.
    pub(crate) view: Field,
    /// The package types, lower-cased.
    pub(crate) package_type: Field,
    /// The newest version: normalized and full, lower-cased.
    pub(crate) version: Field,
    /// The words of all texts below.
    pub(crate) all: Field,
    pub(crate) id: Field,
    pub(crate) title: Field,
    pub(crate) description: Field,
    pub(crate) summary: Field,
    pub(crate) tags: Field,
    pub(crate) authors: Field,
    /// The package, whole.
    pub(crate) package: Field,
}

impl Fields {
    /// The schema, and its fields.
    pub(crate) fn schema() -> (Schema, Self) {
        let mut schema = Schema::builder();
        let fields = Self {
            key: schema.add_text_field("key", STRING.set_fast("raw")),
            view: schema.add_text_field("view", STRING),
            package_type: schema.add_text_field("package_type", STRING),
            version: schema.add_text_field("version", STRING),
            all: text(&mut schema, "all"),
            id: text(&mut schema, "id"),
            title: text(&mut schema, "title"),
            description: text(&mut schema, "description"),
            summary: text(&mut schema, "summary"),
            tags: text(&mut schema, "tags"),
            authors: text(&mut schema, "authors"),
            package: schema.add_bytes_field("package", STORED),
        };
        (schema.build(), fields)
    }

    /// The documents of a package.
    ///
    /// # Errors
    /// The package cannot be written.
    pub(crate) fn documents(
        &self,
        key: &str,
        package: &IndexedPackage,
    ) -> Result<Vec<TantivyDocument>, SearchIndexError> {
        let stored =
            serde_json::to_vec(package).map_err(|error| SearchIndexError::Engine(error.into()))?;
        let mut documents: Vec<(&ListedVersion, TantivyDocument)> = Vec::new();
        for view in View::ALL {
            let Some((version, description)) = package.latest_in(view) else { continue };
            let known = documents.iter().position(|(known, _)| *known == version);
            let place = known.unwrap_or(documents.len());
            if known.is_none() {
                let mut document = self.document(key, version, description);
                document.add_bytes(self.package, &stored);
                documents.push((version, document));
            }
            if let Some((_, document)) = documents.get_mut(place) {
                document.add_text(self.view, view.name());
            }
        }
        Ok(documents.into_iter().map(|(_, document)| document).collect())
    }

    fn document(
        &self,
        key: &str,
        version: &ListedVersion,
        description: &Description,
    ) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        document.add_text(self.key, key);
        for name in &description.package_types {
            document.add_text(self.package_type, name.to_lowercase());
        }
        let full = version.version.to_lowercase();
        let (normalized, metadata) = full.split_once('+').unwrap_or((&full, ""));
        document.add_text(self.version, normalized);
        if !metadata.is_empty() {
            document.add_text(self.version, &full);
        }
        let Description { id, title, authors, description, summary, tags, .. } = description;
        let tags = tags.join(" ");
        let texts = [id, title, authors, description, summary, &tags].map(String::as_str);
        document.add_pre_tokenized_text(self.all, tokens(texts));
        for (field, text) in [
            (self.id, id),
            (self.title, title),
            (self.authors, authors),
            (self.description, description),
            (self.summary, summary),
            (self.tags, &tags),
        ] {
            document.add_pre_tokenized_text(field, tokens([text.as_str()]));
        }
        document
    }
}

/// A field of words, with their places.
fn text(schema: &mut SchemaBuilder, name: &str) -> Field {
    let words =
        TextFieldIndexing::default().set_index_option(IndexRecordOption::WithFreqsAndPositions);
    schema.add_text_field(name, TextOptions::default().set_indexing_options(words))
}
