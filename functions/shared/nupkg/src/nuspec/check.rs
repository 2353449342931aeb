//! The rules for a nuspec that has been read.

use std::collections::{HashMap, HashSet};

use super::{
    Dependency, DependencyGroup, License, Nuspec, NuspecError, PackageType, address, framework,
};
use crate::{Limits, PackageId, Version, VersionRange, is_dependency_id};

pub(super) fn check(nuspec: &Nuspec, limits: &Limits) -> Result<(), NuspecError> {
    check_lengths(nuspec, limits)?;
    check_counts(nuspec, limits)?;
    check_addresses(nuspec)?;
    nuspec.package_types.iter().try_for_each(check_package_type)?;
    check_groups(&nuspec.dependency_groups)?;
    check_dependencies(&nuspec.dependency_groups, limits)
}

fn check_lengths(nuspec: &Nuspec, limits: &Limits) -> Result<(), NuspecError> {
    let version = nuspec.version.full();
    check_length("version", &version, limits.version)?;
    let identity = format!("{}{}", nuspec.id, nuspec.version.normalized());
    check_length("id and version", &identity, limits.identity)?;
    let license = nuspec.license.as_ref().map(|license| match license {
        License::Expression(text) | License::File(text) => text,
    });
    let repository = nuspec.repository.as_ref();
    for (element, text, limit) in [
        ("title", nuspec.title.as_ref(), limits.title),
        ("authors", nuspec.authors.as_ref(), limits.text),
        ("description", nuspec.description.as_ref(), limits.text),
        ("summary", nuspec.summary.as_ref(), limits.text),
        ("copyright", nuspec.copyright.as_ref(), limits.text),
        ("tags", nuspec.tags.as_ref(), limits.text),
        ("releaseNotes", nuspec.release_notes.as_ref(), limits.release_notes),
        ("language", nuspec.language.as_ref(), limits.language),
        ("minClientVersion", nuspec.min_client_version.as_ref(), limits.version),
        ("projectUrl", nuspec.project_url.as_ref(), limits.text),
        ("iconUrl", nuspec.icon_url.as_ref(), limits.text),
        ("licenseUrl", nuspec.license_url.as_ref(), limits.text),
        ("license", license, limits.license),
        ("icon", nuspec.icon.as_ref(), limits.text),
        ("readme", nuspec.readme.as_ref(), limits.text),
        ("repository type", repository.and_then(|r| r.kind.as_ref()), limits.repository_type),
        ("repository url", repository.and_then(|r| r.url.as_ref()), limits.text),
        ("repository commit", repository.and_then(|r| r.commit.as_ref()), limits.text),
    ] {
        check_length(element, text.map_or("", String::as_str), limit)?;
    }
    Ok(())
}

fn check_counts(nuspec: &Nuspec, limits: &Limits) -> Result<(), NuspecError> {
    let groups = &nuspec.dependency_groups;
    let dependencies = groups.iter().map(|group| group.dependencies.len()).sum();
    for (element, count, limit) in [
        ("package types", nuspec.package_types.len(), limits.package_types),
        ("dependency groups", groups.len(), limits.dependency_groups),
        ("dependencies", dependencies, limits.dependency_count),
    ] {
        if count > limit {
            return Err(NuspecError::TooMany { element, count, limit });
        }
    }
    for group in groups {
        let framework = group.target_framework.as_deref().unwrap_or_default();
        check_length("target framework", framework, limits.target_framework)?;
    }
    Ok(())
}

fn check_length(element: &'static str, text: &str, limit: usize) -> Result<(), NuspecError> {
    let length = text.encode_utf16().count();
    if length > limit {
        return Err(NuspecError::TooLong { element, length, limit });
    }
    Ok(())
}

fn check_addresses(nuspec: &Nuspec) -> Result<(), NuspecError> {
    for (element, address) in [
        ("projectUrl", &nuspec.project_url),
        ("iconUrl", &nuspec.icon_url),
        ("licenseUrl", &nuspec.license_url),
    ] {
        if let Some(value) = address.as_ref().filter(|address| !address::is_of_the_web(address)) {
            return Err(NuspecError::NotAWebAddress { element, value: value.clone() });
        }
    }
    Ok(())
}

/// Checks that the nuspec is not a symbols package's.
pub(super) fn is_of_a_package(nuspec: &Nuspec) -> Result<(), NuspecError> {
    if nuspec.package_types.iter().any(is_symbols) {
        return Err(NuspecError::SymbolsPackage);
    }
    Ok(())
}

/// Checks that the nuspec is a symbols package's.
pub(super) fn is_of_symbols(nuspec: &Nuspec) -> Result<(), NuspecError> {
    match nuspec.package_types.as_slice() {
        [only] if is_symbols(only) => Ok(()),
        _ => Err(NuspecError::NotSymbols),
    }
}

fn is_symbols(package_type: &PackageType) -> bool {
    package_type.name.eq_ignore_ascii_case("SymbolsPackage")
}

fn check_package_type(package_type: &PackageType) -> Result<(), NuspecError> {
    let PackageType { name, version } = package_type;
    if PackageId::parse(name).is_err() {
        return Err(NuspecError::PackageTypeName(name.clone()));
    }
    match version {
        Some(version) if !is_system_version(version) => {
            Err(NuspecError::PackageTypeVersion { name: name.clone(), version: version.clone() })
        }
        _ => Ok(()),
    }
}

/// .NET's `System.Version`: two to four numbers.
pub(super) fn is_system_version(text: &str) -> bool {
    text.contains('.')
        && text
            .parse::<Version>()
            .is_ok_and(|version| !version.is_prerelease() && !version.has_metadata())
}

fn check_groups(groups: &[DependencyGroup]) -> Result<(), NuspecError> {
    let mut seen = HashSet::new();
    for group in groups {
        let written = group.target_framework.as_deref().unwrap_or_default();
        if !seen.insert(framework::key(written)) {
            let name = if written.is_empty() { "any framework" } else { written };
            return Err(NuspecError::DuplicateGroup(name.to_owned()));
        }
    }
    Ok(())
}

fn check_dependencies(groups: &[DependencyGroup], limits: &Limits) -> Result<(), NuspecError> {
    let mut flattened = 0;
    for group in groups {
        let framework = group.target_framework.as_deref().unwrap_or_default();
        // nuget.org joins them as `id:range:framework|…`, including a group without
        // dependencies.
        if group.dependencies.is_empty() {
            flattened += framework.encode_utf16().count() + 3;
        }
        let mut seen = HashMap::new();
        for dependency in &group.dependencies {
            check_dependency(dependency, limits)?;
            let range = dependency.range.as_ref().map(ToString::to_string).unwrap_or_default();
            flattened += [dependency.id.as_str(), &range, framework]
                .iter()
                .map(|text| text.encode_utf16().count() + 1)
                .sum::<usize>();
            let twin = seen.insert(dependency.id.to_lowercase(), &dependency.range);
            if twin.is_some_and(|range| *range != dependency.range) {
                return Err(NuspecError::DuplicateDependency(dependency.id.clone()));
            }
        }
    }
    if flattened > limits.dependencies {
        return Err(NuspecError::TooLong {
            element: "list of dependencies",
            length: flattened,
            limit: limits.dependencies,
        });
    }
    Ok(())
}

fn check_dependency(dependency: &Dependency, limits: &Limits) -> Result<(), NuspecError> {
    let Dependency { id, range, .. } = dependency;
    if !is_dependency_id(id) {
        return Err(NuspecError::DependencyId(id.clone()));
    }
    check_length("dependency id", id, limits.dependency_id)?;
    let Some(range) = range else { return Ok(()) };
    check_length("dependency version", &range.to_string(), limits.dependency_range)?;
    if range.is_floating() {
        return Err(NuspecError::FloatingRange { id: id.clone(), range: range.to_string() });
    }
    match VersionRange::versions(range).find(|version| version.has_metadata()) {
        Some(version) => {
            Err(NuspecError::RangeWithMetadata { id: id.clone(), version: version.full() })
        }
        None => Ok(()),
    }
}
