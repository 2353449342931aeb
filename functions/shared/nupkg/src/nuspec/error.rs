//! Every way in which a nuspec is refused.

use crate::{PackageIdError, VersionError, VersionRangeError};

/// The rule that a nuspec breaks. Numbers in the messages are nuget.org's, unless they are
/// fields of [`Limits`](crate::Limits).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NuspecError {
    /// The bytes are not text in the encoding that they claim.
    #[error("the nuspec is not valid {encoding}; save it as UTF-8")]
    Undecodable {
        /// The encoding tried.
        encoding: &'static str,
    },
    /// The declaration names an encoding that does not exist.
    #[error("the nuspec declares the unknown encoding '{0}'; save it as UTF-8")]
    UnknownEncoding(String),
    /// The declaration contradicts the bytes.
    #[error(
        "the nuspec declares the encoding '{declared}' but is written in {encoding}; save it as UTF-8"
    )]
    WrongEncoding {
        /// The label in the declaration.
        declared: String,
        /// The encoding of the bytes.
        encoding: &'static str,
    },
    /// A document type could name entities and files.
    #[error("the nuspec has a <!DOCTYPE>; remove it")]
    DocumentType,
    /// The document has more nodes than the limit.
    #[error("the nuspec has more than {limit} elements; pack with fewer")]
    TooManyNodes {
        /// The limit.
        limit: u32,
    },
    /// The XML is not well-formed.
    #[error("the nuspec is not well-formed XML ({0}); pack again with an up-to-date client")]
    Malformed(String),
    /// There is no `<metadata>` under the root.
    #[error("the nuspec has no <metadata> element; pack again with an up-to-date client")]
    NoMetadata,
    /// A metadata element occurs twice.
    #[error("the nuspec has more than one <{0}> in its metadata; keep one")]
    DuplicateElement(String),
    /// Two metadata elements differ in case only.
    #[error("the nuspec has metadata elements that differ from <{0}> in case only; keep one")]
    ElementsDifferInCase(String),
    /// `tags` in another casing.
    #[error("the nuspec has <{0}> in its metadata; write it <tags>")]
    MiscasedTags(String),
    /// An element name that the registration uses for itself.
    #[error("the nuspec has the reserved element <{0}> in its metadata; remove it")]
    ReservedElement(String),
    /// A boolean that is neither true nor false.
    #[error("the nuspec's <{element}> is '{value}'; write true or false")]
    NotABoolean {
        /// The element.
        element: &'static str,
        /// Its text.
        value: String,
    },
    /// The id is missing or not valid.
    #[error(transparent)]
    Id(#[from] PackageIdError),
    /// There is no version.
    #[error("the nuspec has no <version>; set one")]
    NoVersion,
    /// The version is not valid.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A text is longer than its limit.
    #[error("the nuspec's {element} is {length} characters long; shorten it to at most {limit}")]
    TooLong {
        /// The element or attribute that is too long.
        element: &'static str,
        /// Its length in UTF-16 code units.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A list has more elements than its limit.
    #[error("the nuspec has {count} {element}; keep at most {limit}")]
    TooMany {
        /// The elements that are too many.
        element: &'static str,
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The deflated nuspec is larger than a feed can store.
    #[error("the nuspec takes {bytes} bytes compressed; shorten it to at most {limit}")]
    TooLargeDeflated {
        /// Its size, deflated.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// An address that is not absolute http or https.
    #[error(
        "the nuspec's {element} '{value}' is not an http or https address; correct or remove it"
    )]
    NotAWebAddress {
        /// The element.
        element: &'static str,
        /// Its text.
        value: String,
    },
    /// A package type without a name.
    #[error("the nuspec has a <packageType> without a name; name or remove it")]
    UnnamedPackageType,
    /// A package type whose name would not be valid as a package id.
    #[error(
        "the nuspec's package type '{0}' is not valid; use ASCII letters, digits and '_', joined by single '.' or '-'"
    )]
    PackageTypeName(String),
    /// A package type whose version is not a `System.Version`.
    #[error("the nuspec's package type '{name}' has the version '{version}'; write it like 1.0")]
    PackageTypeVersion {
        /// The type.
        name: String,
        /// Its version.
        version: String,
    },
    /// A symbols package on the package endpoint.
    #[error(
        "this is a symbols package (.snupkg); push it to the feed's SymbolPackagePublish address, as 'dotnet nuget push' does"
    )]
    SymbolsPackage,
    /// A package on the endpoint of symbols packages.
    #[error(
        "this is not a symbols package (its only package type would be SymbolsPackage); push a .nupkg to the feed's PackagePublish address, and a .snupkg of 'dotnet pack --include-symbols -p:SymbolPackageFormat=snupkg' here"
    )]
    NotSymbols,
    /// A dependency id that NuGet could not read.
    #[error("the nuspec names the dependency '{0}', which is not a package id; correct it")]
    DependencyId(String),
    /// A dependency's version is not a range.
    #[error("the nuspec's dependency '{id}' has no valid version: {source}")]
    DependencyRange {
        /// The dependency.
        id: String,
        /// The fault of its version.
        source: VersionRangeError,
    },
    /// A floating range would resolve to another version every day.
    #[error("the nuspec's dependency '{id}' floats ('{range}'); name a version or a fixed range")]
    FloatingRange {
        /// The dependency.
        id: String,
        /// Its range, normalized.
        range: String,
    },
    /// A bound with build metadata.
    #[error(
        "the nuspec's dependency '{id}' has build metadata in its version '{version}'; remove the part from '+'"
    )]
    RangeWithMetadata {
        /// The dependency.
        id: String,
        /// The bound, in full.
        version: String,
    },
    /// One id in a group with different ranges.
    #[error(
        "the nuspec names the dependency '{0}' twice in one group with different versions; keep one"
    )]
    DuplicateDependency(String),
    /// Two groups for one framework.
    #[error("the nuspec has two dependency groups for '{0}'; merge them")]
    DuplicateGroup(String),
    /// A framework that makes NuGet's own reader throw.
    #[error(
        "the nuspec names the target framework '{0}', which no NuGet client can read; write it like net8.0"
    )]
    TargetFramework(String),
    /// A `minClientVersion` that is not a version.
    #[error("the nuspec's minClientVersion is '{0}', which is not a version; correct or remove it")]
    MinClientVersion(String),
    /// An element that clients cannot read without the attribute.
    #[error(
        "the nuspec has a <{element}> without {attribute}, which no NuGet client can read; add it"
    )]
    MissingAttribute {
        /// The element.
        element: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// A license element of neither kind.
    #[error("the nuspec's <license> has the type '{0}'; use type=\"expression\" or type=\"file\"")]
    LicenseType(String),
    /// A license version that clients do not know.
    #[error("the nuspec's <license> has the version '{0}'; use 1.0.0 or leave it out")]
    LicenseVersion(String),
    /// Elements where only text may stand.
    #[error("the nuspec's <{0}> has elements in it; it may hold only text")]
    NotText(&'static str),
}
