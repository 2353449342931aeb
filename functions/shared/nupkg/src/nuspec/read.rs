//! From XML to a [`Nuspec`], as NuGet's own reader sees it.

use std::collections::HashSet;

use roxmltree::{Document, Node, ParsingOptions};

use super::{
    Dependency, DependencyGroup, License, Nuspec, NuspecError, PackageType, Repository, framework,
    strict,
};
use crate::{Limits, PackageId, Version};

/// Names that the registration's documents give to properties of their own.
const RESERVED: &[&str] = &[
    "created",
    "dependencyGroups",
    "isPrerelease",
    "lastEdited",
    "listed",
    "packageEntries",
    "packageHash",
    "packageHashAlgorithm",
    "packageSize",
    "published",
    "supportedFrameworks",
    "verbatimVersion",
];

pub(super) fn read(text: &str, limits: &Limits) -> Result<Nuspec, NuspecError> {
    let options = ParsingOptions { nodes_limit: limits.nuspec_nodes, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => {
            NuspecError::TooManyNodes { limit: limits.nuspec_nodes }
        }
        roxmltree::Error::DtdDetected => NuspecError::DocumentType,
        error => NuspecError::Malformed(error.to_string()),
    })?;
    // The parser lets an empty document type pass; .NET's does not.
    let prolog = text.get(..document.root_element().range().start);
    if prolog.is_some_and(|prolog| prolog.contains("<!DOCTYPE")) {
        return Err(NuspecError::DocumentType);
    }
    strict::check(text)?;
    let metadata = Metadata::of(&document)?;
    let nuspec = Nuspec {
        // Spaces around an id are part of it, and make it invalid.
        id: PackageId::parse(&metadata.verbatim("id").unwrap_or_default())?,
        version: metadata.text("version").ok_or(NuspecError::NoVersion)?.parse()?,
        min_client_version: metadata.min_client_version()?,
        title: metadata.text("title"),
        authors: metadata.text("authors").or_else(|| metadata.text("owners")),
        description: metadata.text("description"),
        summary: metadata.text("summary"),
        release_notes: metadata.text("releaseNotes"),
        copyright: metadata.text("copyright"),
        language: metadata.text("language"),
        tags: metadata.text("tags"),
        project_url: metadata.text("projectUrl"),
        icon_url: metadata.text("iconUrl"),
        license_url: metadata.text("licenseUrl"),
        license: metadata.license()?,
        icon: metadata.path("icon")?,
        readme: metadata.path("readme")?,
        require_license_acceptance: metadata.boolean("requireLicenseAcceptance")?,
        development_dependency: metadata.boolean("developmentDependency")?,
        repository: metadata.child("repository").map(repository),
        package_types: metadata.package_types()?,
        dependency_groups: metadata.dependency_groups()?,
    };
    // These are only checked: nothing that we serve shows them.
    metadata.boolean("serviceable")?;
    metadata.check_references()?;
    metadata.check_content_files()?;
    Ok(nuspec)
}

/// The nuspec's `<metadata>`, found under any root as NuGet's reader finds it.
struct Metadata<'a> {
    node: Node<'a, 'a>,
}

impl<'a> Metadata<'a> {
    fn of(document: &'a Document<'a>) -> Result<Self, NuspecError> {
        let node = elements(document.root_element())
            .find(|node| node.tag_name().name() == "metadata")
            .ok_or(NuspecError::NoMetadata)?;
        let (mut seen, mut folded) = (HashSet::new(), HashSet::new());
        for child in elements(node) {
            let name = child.tag_name().name();
            if !seen.insert(name) {
                return Err(NuspecError::DuplicateElement(name.to_owned()));
            }
            if name.eq_ignore_ascii_case("tags") && name != "tags" {
                return Err(NuspecError::MiscasedTags(name.to_owned()));
            }
            if RESERVED.contains(&name) {
                return Err(NuspecError::ReservedElement(name.to_owned()));
            }
            if !folded.insert(name.to_lowercase()) {
                return Err(NuspecError::ElementsDifferInCase(name.to_owned()));
            }
        }
        Ok(Self { node })
    }

    /// Children are looked up in the default namespace of `<metadata>`; an element with a
    /// prefix is not found.
    fn child(&self, name: &str) -> Option<Node<'a, 'a>> {
        child(self.node, self.node.default_namespace(), name)
    }

    fn children(&self, of: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
        let namespace = self.node.default_namespace();
        elements(of).filter(move |node| is_named(*node, namespace, name))
    }

    fn verbatim(&self, name: &str) -> Option<String> {
        self.child(name).map(text_of).filter(|text| !text.is_empty())
    }

    fn text(&self, name: &str) -> Option<String> {
        let text = self.verbatim(name)?;
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    fn boolean(&self, name: &'static str) -> Result<bool, NuspecError> {
        match self.text(name) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(NuspecError::NotABoolean { element: name, value }),
        }
    }

    /// The path of a file in the package, with `/` between its folders and none at its
    /// start: clients and nuget.org strip leading slashes before they look for the file.
    fn path(&self, name: &'static str) -> Result<Option<String>, NuspecError> {
        match self.child(name) {
            Some(node) if elements(node).next().is_some() => Err(NuspecError::NotText(name)),
            _ => Ok(self
                .text(name)
                .map(|path| path.replace('\\', "/").trim_start_matches('/').to_owned())
                .filter(|path| !path.is_empty())),
        }
    }

    /// Clients read it before anything else, and an empty one is not a version either.
    fn min_client_version(&self) -> Result<Option<String>, NuspecError> {
        let Some(written) = self.node.attribute("minClientVersion") else { return Ok(None) };
        match written.parse::<Version>() {
            Ok(_) => Ok(Some(written.to_owned())),
            Err(_) => Err(NuspecError::MinClientVersion(written.to_owned())),
        }
    }

    /// Checks the assemblies and frameworks, because a restore throws if they are invalid.
    fn check_references(&self) -> Result<(), NuspecError> {
        let groups =
            |list| self.child(list).into_iter().flat_map(|list| self.children(list, "group"));
        for group in groups("references") {
            target_framework(group)?;
        }
        for group in groups("frameworkReferences") {
            target_framework(group)?;
            required(group, "group", "targetFramework")?;
            for reference in self.children(group, "frameworkReference") {
                required(reference, "frameworkReference", "name")?;
            }
        }
        let assemblies = self.child("frameworkAssemblies").into_iter();
        for assembly in assemblies.flat_map(|list| self.children(list, "frameworkAssembly")) {
            let frameworks = assembly.attribute("targetFramework").unwrap_or_default();
            frameworks.split(',').try_for_each(|framework| readable(framework.trim()))?;
        }
        Ok(())
    }

    /// Checks the content files, because a restore throws if they are invalid.
    fn check_content_files(&self) -> Result<(), NuspecError> {
        let list = self.child("contentFiles").into_iter();
        for files in list.flat_map(|list| self.children(list, "files")) {
            required(files, "files", "include")?;
            for name in ["copyToOutput", "flatten"] {
                let value = files.attribute(name).unwrap_or("false");
                if !["true", "false"].iter().any(|known| value.eq_ignore_ascii_case(known)) {
                    let value = value.to_owned();
                    return Err(NuspecError::NotABoolean { element: name, value });
                }
            }
        }
        Ok(())
    }

    fn license(&self) -> Result<Option<License>, NuspecError> {
        let Some(node) = self.child("license") else { return Ok(None) };
        let Some(path) = self.path("license")? else { return Ok(None) };
        if let Some(version) = node.attribute("version").filter(|version| *version != "1.0.0") {
            return Err(NuspecError::LicenseVersion(version.to_owned()));
        }
        match node.attribute("type") {
            Some("expression") => Ok(self.text("license").map(License::Expression)),
            Some("file") => Ok(Some(License::File(path))),
            other => Err(NuspecError::LicenseType(other.unwrap_or_default().to_owned())),
        }
    }

    fn package_types(&self) -> Result<Vec<PackageType>, NuspecError> {
        let Some(list) = self.child("packageTypes") else { return Ok(Vec::new()) };
        self.children(list, "packageType")
            .map(|node| {
                let name = attribute(node, "name").ok_or(NuspecError::UnnamedPackageType)?;
                // An empty version is not the same as none: clients cannot read it.
                let version = node.attribute("version").map(|version| version.trim().to_owned());
                Ok(PackageType { name, version })
            })
            .collect()
    }

    /// If there is a `<group>`, dependencies outside of groups do not count.
    fn dependency_groups(&self) -> Result<Vec<DependencyGroup>, NuspecError> {
        let Some(list) = self.child("dependencies") else { return Ok(Vec::new()) };
        let mut groups: Vec<_> = self.children(list, "group").collect();
        if groups.is_empty() {
            groups.push(list);
        }
        groups
            .into_iter()
            .map(|group| {
                Ok(DependencyGroup {
                    target_framework: target_framework(group)?,
                    dependencies: self
                        .children(group, "dependency")
                        .map(dependency)
                        .collect::<Result<_, _>>()?,
                })
            })
            .collect()
    }
}

/// The framework that a group is for, if clients can read it.
fn target_framework(group: Node<'_, '_>) -> Result<Option<String>, NuspecError> {
    let framework = attribute(group, "targetFramework");
    framework.as_deref().map_or(Ok(()), readable)?;
    Ok(framework)
}

fn readable(framework: &str) -> Result<(), NuspecError> {
    if framework::is_readable(framework) {
        return Ok(());
    }
    Err(NuspecError::TargetFramework(framework.to_owned()))
}

/// Checks that an element has an attribute without which clients cannot read it.
fn required(
    node: Node<'_, '_>,
    element: &'static str,
    attribute: &'static str,
) -> Result<(), NuspecError> {
    if node.has_attribute(attribute) {
        return Ok(());
    }
    Err(NuspecError::MissingAttribute { element, attribute })
}

fn dependency(node: Node<'_, '_>) -> Result<Dependency, NuspecError> {
    let id = node.attribute("id").unwrap_or_default().trim().to_owned();
    let range = match attribute(node, "version") {
        None => None,
        Some(version) => Some(
            version
                .parse()
                .map_err(|source| NuspecError::DependencyRange { id: id.clone(), source })?,
        ),
    };
    Ok(Dependency {
        id,
        range,
        include: attribute(node, "include"),
        exclude: attribute(node, "exclude"),
    })
}

fn repository(node: Node<'_, '_>) -> Repository {
    Repository {
        kind: attribute(node, "type"),
        url: attribute(node, "url"),
        commit: attribute(node, "commit"),
    }
}

fn elements<'a>(node: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(Node::is_element)
}

fn child<'a>(of: Node<'a, 'a>, namespace: Option<&str>, name: &str) -> Option<Node<'a, 'a>> {
    elements(of).find(|node| is_named(*node, namespace, name))
}

fn is_named(node: Node<'_, '_>, namespace: Option<&str>, name: &str) -> bool {
    node.tag_name().name() == name && node.tag_name().namespace() == namespace
}

/// An attribute's trimmed text, unless it is blank.
fn attribute(node: Node<'_, '_>, name: &str) -> Option<String> {
    let text = node.attribute(name)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// All text under an element, as .NET's `XElement.Value` joins it.
fn text_of(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()
}
