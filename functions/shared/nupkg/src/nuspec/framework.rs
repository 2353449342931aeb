//! Target frameworks: the comparison of two spellings of the same framework, and a check
//! for those that make NuGet's reader throw.

use percent_encoding::percent_decode_str;

use super::check::is_system_version;

/// Whether `NuGetFramework.Parse` reads `framework`. It accepts nearly everything, if only
/// as an unsupported framework. If it throws, no client can install the package, whatever
/// framework the client uses.
pub(super) fn is_readable(framework: &str) -> bool {
    if framework.contains(',') {
        is_readable_name(framework)
    } else {
        is_readable_folder(framework)
    }
}

/// `.NETPortable,Version=v4.5,Profile=Profile259`.
fn is_readable_name(framework: &str) -> bool {
    let parts: Vec<&str> =
        framework.split(',').filter(|part| !part.is_empty()).map(str::trim).collect();
    let Some(identifier) = parts.first() else { return false };
    if ["any", "agnostic", "unsupported"].iter().any(|name| identifier.eq_ignore_ascii_case(name)) {
        return true;
    }
    // If a key occurs twice, neither counts.
    let value = |key: &str| {
        let is_key = |part: &&&str| {
            part.get(..key.len()).is_some_and(|start| start.eq_ignore_ascii_case(key))
        };
        let mut found = parts.iter().filter(is_key);
        let only = found.next().filter(|_| found.next().is_none())?;
        only.split('=').nth(1)
    };
    let is_version = value("Version=").is_none_or(|version| {
        let version = version.trim_start_matches('v');
        is_system_version(&if version.contains('.') {
            version.to_owned()
        } else {
            format!("{version}.0")
        })
    });
    let is_hyphenated =
        is_portable(identifier) && value("Profile=").is_some_and(|profile| profile.contains('-'));
    is_version && !is_hyphenated
}

/// `net45`, `portable-net45+win8`: the reader throws only at a portable framework that
/// includes a framework with its own profile.
fn is_readable_folder(framework: &str) -> bool {
    let text = percent_decode_str(framework).decode_utf8_lossy();
    let Some((name, profile)) = text.split_once('-') else { return true };
    if !is_portable(name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')) {
        return true;
    }
    !profile.split('+').any(has_profile)
}

fn is_portable(identifier: &str) -> bool {
    [".NETPortable", "NETPortable", "portable"]
        .iter()
        .any(|name| identifier.eq_ignore_ascii_case(name))
}

/// Whether `framework` is one that NuGet knows, with a profile after a hyphen. In
/// `net6.0-windows`, that part is a platform.
fn has_profile(framework: &str) -> bool {
    const KNOWN: &[&str] = &[
        "net",
        "netframework",
        "netcore",
        "winrt",
        "win",
        "windows",
        "wp",
        "windowsphone",
        "wpa",
        "windowsphoneapp",
        "sl",
        "silverlight",
        "netmf",
        "netportable",
        "portable",
        "monoandroid",
        "monotouch",
        "monomac",
        "xamarin.ios",
        "xamarin.mac",
        "uap",
        "netstandard",
        "netcoreapp",
        "dnx",
        "dnxcore",
        "aspnet",
        "aspnetcore",
        "dotnet",
        "native",
    ];
    let Some((framework, profile)) = framework.split_once('-') else { return false };
    let digits = framework.find(|c: char| c.is_ascii_digit()).unwrap_or(framework.len());
    let (name, version) = framework.split_at_checked(digits).unwrap_or((framework, ""));
    let name = name.trim_start_matches('.').to_ascii_lowercase();
    let major = version.split_once('.').and_then(|(major, _)| major.parse::<u32>().ok());
    let is_modern = matches!(&*name, "net" | "netcoreapp") && major.is_some_and(|major| major >= 5);
    let is_whole = !profile.is_empty() && !profile.eq_ignore_ascii_case("full");
    KNOWN.contains(&&*name) && is_whole && !is_modern
}

/// The key that `framework` is compared by: `.NETFramework4.5`, `net45` and
/// `.NETFramework,Version=v4.5` have the same key. The key of an unknown framework is its
/// own text.
pub(super) fn key(framework: &str) -> String {
    let text: String = framework
        .to_ascii_lowercase()
        .replace(",version=v", "")
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let (name, rest) = text.split_at(digits);
    let version_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (version, platform) = rest.split_at(version_end);
    let numbers = numbers(version);
    let modern = version.contains('.') && numbers.first().is_some_and(|major| *major >= 5);
    let name = match name {
        ".netframework" | "" => "netframework",
        "net" if !modern => "netframework",
        ".netcoreapp" | "netcoreapp" | "net" => "netcoreapp",
        ".netstandard" | "netstandard" => "netstandard",
        other => other.trim_start_matches('.'),
    };
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    format!("{name}{}{platform}", numbers.join("."))
}

/// `4.5`, `45` and `4.5.0` are the same version; without dots, each digit is a number.
fn numbers(version: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = if version.contains('.') {
        version.split('.').map(|n| n.parse().unwrap_or(u32::MAX)).collect()
    } else {
        version.chars().filter_map(|c| c.to_digit(10)).collect()
    };
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::{is_readable, key};

    #[test]
    fn a_framework_is_refused_that_nugets_reader_throws_at() {
        for framework in [
            ".NETFramework,Version=vabc",
            ".NETFramework,Version=",
            ".NETFramework,Version=V4.5",
            ".NETFramework,Version=v4.5-beta",
            ".NETFramework,Version=v1.2.3.4.5",
            ",",
            ",,",
            ".NETPortable,Version=v4.5,Profile=net45-client",
            "portable-net45-client+win8",
            "portable-net45-cf",
            "portable-portable-net45",
            ".NETPortable0.0-net45-cf",
            "portable%2Dnet45%2Dcf",
        ] {
            assert!(!is_readable(framework), "{framework}");
        }
    }

    #[test]
    fn a_framework_is_taken_that_nugets_reader_calls_unsupported() {
        for framework in [
            "",
            "net8.0",
            "nonsense!",
            ".NETFramework,Version=v4.5",
            ".NETFramework,Version=v4",
            ".NETFramework,Version=vv4.5",
            ".NETFramework,Version=v4.5,Version=vabc",
            " , ",
            "any,Version=vabc",
            ".NETFramework,Version=v4.0,Profile=Client-x",
            "portable-net45+win8",
            "portable-foo-bar",
            "portable-net6.0-windows",
            "portable-Profile7",
            "portable",
            ".NETPortable0.0-net45+wp8+wpa81+win8+MonoAndroid10+MonoTouch10+Xamarin.iOS10",
            "net6.0-windows10.0",
            "net45-client",
        ] {
            assert!(is_readable(framework), "{framework}");
        }
    }

    #[test]
    fn spellings_of_one_framework_have_one_key() {
        for spellings in [
            &[".NETFramework4.5", "net45", ".NETFramework,Version=v4.5", "4.5"][..],
            &[".NETStandard2.0", "netstandard2.0", ".NETStandard,Version=v2.0"],
            &[".NETCoreApp3.1", "netcoreapp3.1"],
            &["net8.0", ".NETCoreApp8.0", "NET8.0", "netcoreapp8.0"],
            &["net8.0-windows7.0", "net8.0-Windows7.0"],
        ] {
            for spelling in spellings {
                assert_eq!(key(spelling), key(spellings[0]), "{spelling}");
            }
        }
    }

    #[test]
    fn different_frameworks_have_different_keys() {
        let different = [
            "net45",
            "net451",
            "net10",
            "net10.0",
            "net8.0",
            "net8.0-windows7.0",
            "netstandard2.0",
            "netstandard2.1",
            "netcoreapp3.1",
            "uap10.0",
            "MonoAndroid10",
        ];
        for (i, left) in different.iter().enumerate() {
            for right in &different[i + 1..] {
                assert_ne!(key(left), key(right), "{left} {right}");
            }
        }
    }
}
