//! Files from packages that the feed also serves on their own.

use serde::{Deserialize, Serialize};

/// A file that a nuspec names, as the feed keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachedFile {
    /// The readme, in Markdown.
    Readme,
    /// The license's text.
    License,
    /// The icon, a PNG.
    Png,
    /// The icon, a JPEG.
    Jpeg,
}

impl AttachedFile {
    /// The kind of icon in `bytes`, by their beginning; `None` if they are not an image
    /// that NuGet clients show.
    #[must_use]
    pub fn icon(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Self::Png),
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            _ => None,
        }
    }

    /// Whether it is the icon.
    #[must_use]
    pub fn is_icon(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg)
    }

    /// The type that it is served with: nothing in it can run.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Readme => "text/markdown; charset=utf-8",
            Self::License => "text/plain; charset=utf-8",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }

    /// The ending of its object's key.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Readme => "readme",
            Self::License => "license",
            Self::Png => "png",
            Self::Jpeg => "jpeg",
        }
    }
}
